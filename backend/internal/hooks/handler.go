package hooks

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/listen"
	"github.com/headrace/terraform-provider-headrace/backend/internal/sender"
)

const (
	// maxPath is how long the part of a path is that nobody can guess, with some room.
	maxPath = 200
	// deliverLimit is how long a delivery may take to be stored. It does not depend on the
	// forge, which may have hung up by then.
	deliverLimit = 30 * time.Second
	// busyRetry is when a forge may try again if the store does not answer.
	busyRetry = 30 * time.Second
	// maxJudged bounds how often a delivery is verified again because its webhook changes.
	maxJudged = 5
)

// Outcome is what became of a request, for metrics.
type Outcome string

const (
	// Accepted deliveries are stored.
	Accepted Outcome = "accepted"
	// IgnoredOutcome is of deliveries that are stored and say nothing that triggers use.
	IgnoredOutcome Outcome = "ignored"
	// Refused requests are not verified or cannot be read.
	Refused Outcome = "refused"
	// Throttled requests come from an address that sent too many that were not verified.
	Throttled Outcome = "throttled"
	// Unavailable requests could not be stored.
	Unavailable Outcome = "unavailable"
	// UnknownPath is of requests to a path that no webhook has.
	UnknownPath Outcome = "unknown_path"
)

// Config is what a Handler needs.
type Config struct {
	Intake  Intake
	Formats map[forge.Kind]forge.Format
	// TrustedProxies are believed when they say whom they speak for.
	TrustedProxies []netip.Prefix
	Clock          func() time.Time
	Log            hclog.Logger
	// Pace is how slowly a body may arrive. The zero value is the default.
	Pace Pace
	// Observe is called for each request. The kind is one of Formats.
	Observe func(kind forge.Kind, outcome Outcome, took time.Duration)
}

// Handler takes deliveries at /hooks/{kind}/{path}.
type Handler struct {
	config Config
	limits *sender.Limits
	rooms  *rooms
	mux    *http.ServeMux
}

// NewHandler returns a handler.
func NewHandler(config Config) *Handler {
	if config.Pace == (Pace{}) {
		config.Pace = defaultPace()
	}
	h := &Handler{config: config, limits: sender.NewLimits(), rooms: newRooms(), mux: http.NewServeMux()}
	h.mux.HandleFunc("POST /hooks/{kind}/{path}", h.serve)
	h.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusNotFound, 0) })
	return h
}

var _ http.Handler = (*Handler)(nil)

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	kind := forge.Kind(r.PathValue("kind"))
	format, known := h.config.Formats[kind]
	if !known {
		answer(w, http.StatusNotFound, 0)
		return
	}
	start := h.config.Clock()
	request := &request{Handler: h, format: format, kind: kind, start: start, address: sender.Address(r, h.config.TrustedProxies)}
	result := request.take(w, r)
	answer(w, result.status, result.retryAfter)
	h.config.Observe(kind, result.outcome, h.config.Clock().Sub(start))
}

// result is what a request is answered with.
type result struct {
	status     int
	outcome    Outcome
	retryAfter time.Duration
}

// request is one request while it is taken.
type request struct {
	*Handler
	format  forge.Format
	kind    forge.Kind
	start   time.Time
	address netip.Addr
	webhook forge.Webhook
}

// take finds the webhook, bounds and reads the body, and verifies it before it reads anything
// else of it.
func (r *request) take(w http.ResponseWriter, req *http.Request) result {
	var err error
	r.webhook, err = r.find(req)
	switch {
	case errors.Is(err, forge.ErrNoWebhook):
		return unknownPath()
	case err != nil:
		return r.unavailable("find a webhook", err)
	}
	if wait := r.limits.Wait(r.address, r.webhook.Name, r.start); wait > 0 {
		return result{status: http.StatusTooManyRequests, outcome: Throttled, retryAfter: wait}
	}
	if encoding := req.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return r.refuse(req.Context(), http.StatusUnsupportedMediaType, forge.EncodingUnsupported,
			"the body is compressed, which no forge does")
	}
	if req.ContentLength > r.kind.MaxBody() {
		return r.refuse(req.Context(), http.StatusRequestEntityTooLarge, forge.BodyTooLarge, r.tooLarge())
	}
	room := r.rooms.enter(listen.Network(r.address), r.limits.Trusts(r.address, r.webhook.Name, r.start))
	defer room.leave()
	body, err := r.read(w, req, room)
	switch {
	case errors.Is(err, errNoRoom):
		return result{status: http.StatusServiceUnavailable, outcome: Unavailable, retryAfter: busyRetry}
	case errors.As(err, new(*http.MaxBytesError)):
		return r.refuse(req.Context(), http.StatusRequestEntityTooLarge, forge.BodyTooLarge, r.tooLarge())
	case err != nil:
		return r.refuse(req.Context(), http.StatusRequestTimeout, forge.BodyIncomplete, "the body did not arrive completely in time")
	}
	return r.verified(req, body)
}

// read reads the body. The limits of a connection are by the clock of the machine.
func (r *request) read(w http.ResponseWriter, req *http.Request, room *room) ([]byte, error) {
	connection := http.NewResponseController(w)
	deadline := func(at time.Time) error {
		if err := connection.SetReadDeadline(at); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		return nil
	}
	read, err := io.ReadAll(&body{
		ctx: req.Context(), from: http.MaxBytesReader(w, req.Body, r.kind.MaxBody()), room: room,
		pace: r.config.Pace, deadline: deadline, start: time.Now(),
	})
	if err != nil {
		return nil, err
	}
	// Whether the sender hangs up while its delivery is stored is not a matter of pace.
	return read, deadline(time.Time{})
}

// find returns the webhook of the path.
func (r *request) find(req *http.Request) (forge.Webhook, error) {
	path := req.PathValue("path")
	if len(path) > maxPath {
		return forge.Webhook{}, forge.ErrNoWebhook
	}
	return r.config.Intake.Webhook(req.Context(), r.kind, path)
}

// verified takes a body that was read. The webhook may have changed since the server read it:
// only the current one refuses.
func (r *request) verified(req *http.Request, body []byte) result {
	for try := 1; ; try++ {
		result, refusal := r.judge(req, body)
		if refusal == nil {
			return result
		}
		current, err := r.config.Intake.CurrentWebhook(req.Context(), r.kind, req.PathValue("path"))
		switch {
		case errors.Is(err, forge.ErrNoWebhook):
			return unknownPath()
		case err != nil:
			return r.unavailable("find a webhook", err)
		case current.Etag == r.webhook.Etag || try == maxJudged:
			return refusal()
		}
		r.webhook = current
	}
}

// judge verifies a body by the webhook as it was read, and delivers it. If the webhook is a reason
// not to, it returns what refuses the delivery.
func (r *request) judge(req *http.Request, body []byte) (_ result, refusal func() result) {
	version, err := r.format.Verify(r.webhook, req.Header, body, r.start)
	if err != nil {
		reason, message := forge.SignatureInvalid, "the delivery could not be verified"
		var unverified *forge.UnverifiedError
		if errors.As(err, &unverified) {
			reason, message = unverified.Reason, unverified.Message
		}
		return result{}, func() result { return r.refuse(req.Context(), http.StatusUnauthorized, reason, message) }
	}
	r.limits.Verified(r.address, r.webhook.Name, r.start)
	listen.From(req.Context()).Authenticate()
	malformed := func(err error) func() result {
		return func() result { return r.malformed(req.Context(), err) }
	}
	content, err := r.format.Open(req.Header, body)
	if err != nil {
		return result{}, malformed(err)
	}
	delivery := forge.Delivery{
		Content: content, Webhook: r.webhook.Name, Etag: r.webhook.Etag, Kind: r.kind, SecretVersion: version,
		Address: r.address.String(), ReceiveTime: r.start, Headers: keptHeaders(req.Header, r.webhook),
	}
	outcome := Accepted
	delivery.Signals, err = r.format.Parse(content.Event, content.Body)
	var ignored *forge.IgnoredError
	switch {
	case errors.As(err, &ignored):
		delivery.Ignored, outcome = ignored.Message, IgnoredOutcome
	case err != nil:
		return result{}, malformed(err)
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), deliverLimit)
	defer cancel()
	err = r.config.Intake.Deliver(limited, delivery)
	var busy *forge.BusyError
	switch {
	case errors.Is(err, forge.ErrNoWebhook):
		// It was deleted since.
		return unknownPath(), nil
	case errors.Is(err, forge.ErrWebhookChanged):
		return result{}, func() result { return r.unavailable("verify a delivery", err) }
	case errors.As(err, &busy):
		return result{status: http.StatusTooManyRequests, outcome: Unavailable, retryAfter: busy.RetryAfter}, nil
	case err != nil:
		return r.unavailable("store a delivery", err), nil
	}
	// Also if no trigger matches: GitLab disables webhooks that answer with errors.
	return result{status: http.StatusAccepted, outcome: outcome}, nil
}

func unknownPath() result { return result{status: http.StatusNotFound, outcome: UnknownPath} }

// malformed refuses a delivery that was verified, which is not held against its address.
func (r *request) malformed(ctx context.Context, err error) result {
	r.store(ctx, forge.Malformed, err.Error())
	return result{status: http.StatusBadRequest, outcome: Refused}
}

// refuse refuses a delivery that was not verified.
func (r *request) refuse(ctx context.Context, status int, reason forge.Reason, message string) result {
	r.limits.Refused(r.address, r.webhook.Name, r.start)
	r.store(ctx, reason, message)
	return result{status: status, outcome: Refused}
}

func (r *request) store(ctx context.Context, reason forge.Reason, message string) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliverLimit)
	defer cancel()
	refusal := forge.Refusal{
		Webhook: r.webhook.Name, Address: r.address.String(), ReceiveTime: r.start, Reason: reason, Message: message,
	}
	if err := r.config.Intake.Refuse(limited, refusal); err != nil {
		r.config.Log.Error("Cannot store that a delivery was refused", "webhook", r.webhook.Name, "address", refusal.Address,
			"reason", reason, "error", err)
	}
}

func (r *request) unavailable(what string, err error) result {
	r.config.Log.Error("Cannot "+what, "kind", r.kind, "webhook", r.webhook.Name, "address", r.address, "error", err)
	return result{status: http.StatusServiceUnavailable, outcome: Unavailable, retryAfter: busyRetry}
}

func (r *request) tooLarge() string {
	return "the body is larger than " + strconv.FormatInt(r.kind.MaxBody()>>20, 10) + " MiB"
}

// answer writes a status and nothing that the sender could learn from.
func answer(w http.ResponseWriter, status int, retryAfter time.Duration) {
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	if retryAfter > 0 {
		header.Set("Retry-After", strconv.FormatInt(int64(math.Ceil(retryAfter.Seconds())), 10))
	}
	w.WriteHeader(status)
	// An error means that the sender is gone.
	_, _ = io.WriteString(w, http.StatusText(status)+"\n")
}
