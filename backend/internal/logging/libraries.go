package logging

import (
	"context"
	"io"
	"log"
	"log/slog"
	"strings"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/grpclog"
)

// maxText bounds what is logged of a line that a library wrote.
const maxText = 1 << 10

// TakeOver lets libraries that have one logger for the process write to a log: Go's own
// loggers and gRPC's. It is for the main function of a program, before it starts anything.
func TakeOver(to hclog.Logger) {
	slog.SetDefault(Slog(to))
	// This comes last, since the line before also sets it.
	log.SetFlags(0)
	log.SetOutput(writer{to})
	// What gRPC does not call an error is about single connections, which anybody can break.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, writer{to.Named("grpc")}))
}

// Standard returns a logger of Go's standard library that writes to a log.
func Standard(to hclog.Logger) *log.Logger { return log.New(writer{to}, "", 0) }

// writer logs what a library writes as one line with one message, since the rate of lines is
// bounded by their message.
type writer struct{ log hclog.Logger }

// Write implements io.Writer.
func (w writer) Write(p []byte) (int, error) {
	text := strings.TrimSpace(string(p))
	level := hclog.Warn
	for _, prefix := range []string{"http: TLS handshake error", "http2: "} {
		if strings.HasPrefix(text, prefix) {
			// Every scan of the port causes it.
			level = hclog.Debug
		}
	}
	w.log.Log(level, "A library reports a problem", "text", Cut(text, maxText))
	return len(p), nil
}

// Cut returns the start of a text that may be of any length.
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// Slog returns a structured logger of Go's standard library that writes to a log. Its
// information is detail here: only warnings and errors keep their level.
func Slog(to hclog.Logger) *slog.Logger { return slog.New(handler{to}) }

type handler struct{ log hclog.Logger }

func level(l slog.Level) hclog.Level {
	switch {
	case l >= slog.LevelError:
		return hclog.Error
	case l >= slog.LevelWarn:
		return hclog.Warn
	default:
		return hclog.Trace
	}
}

// Enabled implements slog.Handler.
func (h handler) Enabled(_ context.Context, l slog.Level) bool { return level(l) >= h.log.GetLevel() }

// Handle implements slog.Handler.
func (h handler) Handle(_ context.Context, record slog.Record) error {
	var args []any
	record.Attrs(func(a slog.Attr) bool {
		args = append(args, a.Key, a.Value.Resolve().Any())
		return true
	})
	h.log.Log(level(record.Level), record.Message, args...)
	return nil
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var args []any
	for _, a := range attrs {
		args = append(args, a.Key, a.Value.Resolve().Any())
	}
	return handler{h.log.With(args...)}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.log.Named(name)} }
