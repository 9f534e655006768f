package river

import (
	"context"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// bridge lets River log by hclog.
func bridge(log hclog.Logger) *slog.Logger { return slog.New(handler{log}) }

type handler struct{ log hclog.Logger }

// level is hclog's: what River finds worth telling of its own work is detail here.
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
		args = append(args, a.Key, a.Value.Any())
		return true
	})
	h.log.Log(level(record.Level), record.Message, args...)
	return nil
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var args []any
	for _, a := range attrs {
		args = append(args, a.Key, a.Value.Any())
	}
	return handler{h.log.With(args...)}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.log.Named(name)} }
