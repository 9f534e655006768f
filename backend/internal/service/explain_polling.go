package service

import "fmt"

// withoutHook says what finds pushes that no webhook reports.
type withoutHook struct {
	// finds continues a sentence about the lack of a webhook, next is what to do.
	finds, next string
	// late is set if a push may stay unnoticed.
	late bool
}

// withoutWebhook returns what finds pushes by the settings of this server.
func withoutWebhook(cfg DecisionsConfig) withoutHook {
	if cfg.Poll > 0 {
		return withoutHook{finds: ", so pushes are found by polling"}
	}
	of, start := "the server", "Start the server with --poll-interval above 0s."
	if cfg.Shared {
		of, start = "this server", "Start a server with --poll-interval above 0s, unless another one polls."
	}
	if cfg.Backfill > 0 {
		return withoutHook{next: start, finds: fmt.Sprintf(", and %s does not poll (--poll-interval 0s), so pushes are found by the back-fill every %s", of, cfg.Backfill)}
	}
	return withoutHook{
		next: start, late: true,
		finds: fmt.Sprintf(", and %s does not poll (--poll-interval 0s, --backfill-interval 0s), so pushes are found only after a start of the server", of),
	}
}
