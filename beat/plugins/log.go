package plugins

import (
	"context"
	"log/slog"

	"github.com/elastic/beats/v7/libbeat/logp"
	"github.com/elastic/beats/v7/libbeat/monitoring"
)

// Log takes what the host logs to the beat's log.
func Log(l *logp.Logger) *slog.Logger { return slog.New(&handler{l: l}) }

type handler struct {
	l    *logp.Logger
	with []any
}

// Enabled implements slog.Handler; logp decides itself.
func (*handler) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	args := h.with[:len(h.with):len(h.with)]
	r.Attrs(func(a slog.Attr) bool {
		args = append(args, a.Key, a.Value.Any())
		return true
	})
	switch {
	case r.Level >= slog.LevelError:
		h.l.Errorw(r.Message, args...)
	case r.Level >= slog.LevelWarn:
		h.l.Warnw(r.Message, args...)
	case r.Level >= slog.LevelInfo:
		h.l.Infow(r.Message, args...)
	default:
		h.l.Debugw(r.Message, args...)
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := &handler{l: h.l, with: h.with[:len(h.with):len(h.with)]}
	for _, a := range attrs {
		c.with = append(c.with, a.Key, a.Value.Any())
	}
	return c
}

// WithGroup implements slog.Handler; the host has no groups.
func (h *handler) WithGroup(string) slog.Handler { return h }

// Metrics shows the plugins in the beat's metrics, under plugins, until remove is called.
func (p *Plugins) Metrics() (remove func()) {
	const key = "plugins"
	monitoring.Default.Remove(key)
	monitoring.NewFunc(monitoring.Default, key, func(_ monitoring.Mode, v monitoring.Visitor) {
		v.OnRegistryStart()
		defer v.OnRegistryFinished()
		for _, s := range p.List() {
			monitoring.ReportNamespace(v, s.Name, func() {
				monitoring.ReportString(v, "state", s.State)
				monitoring.ReportInt(v, "events", s.Events)
				monitoring.ReportInt(v, "failed", s.Failed)
				monitoring.ReportInt(v, "dropped", s.Dropped)
				monitoring.ReportInt(v, "made", s.Made)
				monitoring.ReportInt(v, "restarts", s.Restarts)
				monitoring.ReportInt(v, "batches", s.Batches)
				monitoring.ReportInt(v, "microseconds", int64(s.Seconds*1e6))
			})
		}
	})
	return func() { monitoring.Default.Remove(key) }
}
