package server

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/hooks"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logging"
)

// listenForHooks listens for deliveries if the configuration says where; nil otherwise.
func (s *start) listenForHooks(ctx context.Context) (net.Listener, error) {
	if s.config.HooksListen == "" {
		return nil, nil //nolint:nilnil // Not to listen is the default.
	}
	if s.config.PublicURL == "" {
		s.log.Warn("URLs of webhooks are paths without a host until public-url is set", "hooks_listen", s.config.HooksListen)
	}
	return s.listenOn(ctx, "hooks-listen", s.config.HooksListen)
}

// limitHooks bounds the connections of the listener of deliveries.
func (s withWork) limitHooks() net.Listener {
	return hooks.Limit(s.hooksOn, s.config.TrustedProxies, s.connectionClosed, s.log.Named("hooks"))
}

// newHooks returns the server of deliveries.
func (s withWork) newHooks(conf *tls.Config) *http.Server {
	log := s.log.Named("hooks")
	handler := hooks.NewHandler(hooks.Config{
		Intake: s.intake, Formats: formats(), TrustedProxies: s.config.TrustedProxies, Clock: s.clock, Log: log,
		Observe: func(kind forge.Kind, outcome hooks.Outcome, took time.Duration) {
			s.counters.Delivered(string(kind), string(outcome), took)
		},
	})
	return hooks.NewServer(handler, conf, logging.Standard(log))
}

// hookURL returns the address of a webhook.
func (s *start) hookURL(kind forge.Kind, path string) string {
	return s.config.PublicURL + kind.Path(path)
}
