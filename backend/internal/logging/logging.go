// Package logging is the log of headraced: one format for everything that is logged, by
// libraries too, and a bounded rate for what repeats. It must never decide what is logged.
package logging

import (
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Config is what a log is made of.
type Config struct {
	// Name is in front of every line.
	Name  string
	Level hclog.Level
	// JSON writes an object for each line instead of text.
	JSON   bool
	Output io.Writer
	Clock  func() time.Time
}

// New returns a log. Its warnings and errors come at a bounded rate: of each message the first
// of them and then one each second. The next line of the message says how many were dropped.
func New(config Config) hclog.Logger {
	return &logger{
		Logger: hclog.New(&hclog.LoggerOptions{
			Name: config.Name, Level: config.Level, JSONFormat: config.JSON, Output: config.Output, TimeFn: config.Clock,
		}),
		bound: hclog.Warn, rates: newRates(config.Clock),
	}
}

// Bounded returns a log that bounds the rate of every line, of any level. It is for what
// anybody who reaches the server can cause.
func Bounded(log hclog.Logger, clock func() time.Time) hclog.Logger {
	if own, ok := log.(*logger); ok {
		log = own.Logger
	}
	return &logger{Logger: log, bound: hclog.Trace, rates: newRates(clock)}
}

// logger bounds the lines of a log, and makes their values readable.
type logger struct {
	// Logger has the format, the level and the output.
	hclog.Logger
	// bound is the lowest level whose lines have a bounded rate.
	bound hclog.Level
	rates *rates
}

var _ hclog.Logger = (*logger)(nil)

// Log implements hclog.Logger.
func (l *logger) Log(level hclog.Level, message string, args ...any) {
	if level < l.GetLevel() {
		return
	}
	if level >= l.bound {
		dropped, ok := l.rates.take(line{name: l.Name(), level: level, message: message})
		if !ok {
			return
		}
		if dropped > 0 {
			args = append(args[:len(args):len(args)], "dropped", dropped)
		}
	}
	l.Logger.Log(level, message, readable(args)...)
}

// Trace implements hclog.Logger.
func (l *logger) Trace(message string, args ...any) { l.Log(hclog.Trace, message, args...) }

// Debug implements hclog.Logger.
func (l *logger) Debug(message string, args ...any) { l.Log(hclog.Debug, message, args...) }

// Info implements hclog.Logger.
func (l *logger) Info(message string, args ...any) { l.Log(hclog.Info, message, args...) }

// Warn implements hclog.Logger.
func (l *logger) Warn(message string, args ...any) { l.Log(hclog.Warn, message, args...) }

// Error implements hclog.Logger.
func (l *logger) Error(message string, args ...any) { l.Log(hclog.Error, message, args...) }

// With implements hclog.Logger.
func (l *logger) With(args ...any) hclog.Logger { return l.derive(l.Logger.With(readable(args)...)) }

// Named implements hclog.Logger.
func (l *logger) Named(name string) hclog.Logger { return l.derive(l.Logger.Named(name)) }

// ResetNamed implements hclog.Logger.
func (l *logger) ResetNamed(name string) hclog.Logger { return l.derive(l.Logger.ResetNamed(name)) }

func (l *logger) derive(from hclog.Logger) hclog.Logger {
	return &logger{Logger: from, bound: l.bound, rates: l.rates}
}

// StandardLogger implements hclog.Logger. The lines of the library that writes to it have
// the level Warn.
func (l *logger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger { return Standard(l) }

// StandardWriter implements hclog.Logger.
func (l *logger) StandardWriter(*hclog.StandardLoggerOptions) io.Writer { return writer{l} }

// readable returns the arguments of a line with values that say the same in text and in
// JSON, in one line each: hclog writes a duration as a number of nanoseconds into JSON, an
// address as an object, and a text of several lines as several lines.
func readable(args []any) []any {
	var changed []any
	for i, arg := range args {
		value, ok := plain(arg)
		if !ok {
			continue
		}
		if changed == nil {
			// The arguments are the caller's.
			changed = append(changed, args...)
		}
		changed[i] = value
	}
	if changed == nil {
		return args
	}
	return changed
}

// plain returns another value for one that is not readable.
func plain(arg any) (value any, ok bool) {
	var text string
	switch arg := arg.(type) {
	case string:
		text = arg
	case hclog.Quote, hclog.CapturedStacktrace:
		return nil, false
	case error, fmt.Stringer:
		switch arg.(type) {
		case json.Marshaler, encoding.TextMarshaler:
			return nil, false
		}
		// It recovers from a method that panics, as that of a nil pointer does.
		text, ok = fmt.Sprint(arg), true
	default:
		return nil, false
	}
	if strings.ContainsAny(text, "\n\r") {
		return hclog.Quote(text), true
	}
	return text, ok
}
