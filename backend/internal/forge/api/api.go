// Package api is what the clients of the forges' APIs have in common: what they return, how
// they fail, and how a forge is reached. It must never know a forge or send a credential to
// another host than the endpoint's.
package api

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
)

// Client calls the API of a forge by the credentials of one connection. A repository is named
// as the forge names it, such as acme/web. Errors of the forge are *Error.
type Client interface {
	// Check reaches the endpoint and says whether the credentials are accepted and what they
	// allow. With a repository it also looks at that and its hooks. It changes nothing.
	Check(ctx context.Context, repository string) []connection.Check
	Repository(ctx context.Context, repository string) (Repository, error)
	// Hooks returns all hooks of a repository, also those that others made.
	Hooks(ctx context.Context, repository string) ([]Hook, error)
	CreateHook(ctx context.Context, repository string, settings HookSettings) (Hook, error)
	// UpdateHook replaces the settings of a hook and activates it. Where the forge cannot do
	// that, it returns another hook that takes the place of the hook.
	UpdateHook(ctx context.Context, repository, hook string, settings HookSettings) (Hook, error)
	// DeleteHook succeeds if the hook does not exist.
	DeleteHook(ctx context.Context, repository, hook string) error
	// FailedDeliveries returns the deliveries since a time that the receiver did not accept,
	// newest first. Without a repository and a hook they are those of a GitHub App. It
	// returns ErrNoDeliveries if the forge does not tell.
	FailedDeliveries(ctx context.Context, repository, hook string, since time.Time) ([]FailedDelivery, error)
	// Redeliver makes the forge send a delivery again.
	Redeliver(ctx context.Context, repository, hook, delivery string) error
}

// ErrNoDeliveries says that the API of a forge does not tell which deliveries failed.
var ErrNoDeliveries = errors.New("the API of the forge does not list deliveries")

// ErrNoAPI says that servers of the type of a connection have no API that Headrace uses.
var ErrNoAPI = errors.New("servers of this type have no API that Headrace uses")

// ErrNoConnection says that the connection whose API is to be called does not exist.
var ErrNoConnection = errors.New("the connection does not exist")

// Repository is a repository as the forge knows it.
type Repository struct {
	// ID is the forge's number, which a rename does not change.
	ID int64
	// Name is the full name as the forge writes it, such as Acme/web.
	Name          string
	DefaultBranch string
}

// Hook is a webhook that a forge has.
type Hook struct {
	ID     string
	URL    string
	Active bool
	// Events are the forge's names of the events that it sends.
	Events []string
	// Insecure is set if the forge does not verify the certificate of the receiver.
	Insecure bool
	// Unsigned is set if deliveries carry a secret that proves nothing about their body.
	Unsigned bool
	// Problem says why the forge does not deliver, as a sentence. Empty if it does.
	Problem string
	// DisabledUntil is when a forge that switched the hook off tries it again. Zero if it
	// does not.
	DisabledUntil time.Time
}

// HookSettings are the settings of a hook that Headrace manages. It sends the events that
// triggers use.
type HookSettings struct {
	URL    string
	Secret string
}

// FailedDelivery is a delivery that its receiver did not accept.
type FailedDelivery struct {
	// ID is what Redeliver takes, GUID the id that the receiver sees.
	ID   string
	GUID string
	// Event is the forge's name of the event.
	Event string
	// Status is the status of the receiver's answer, 0 if there was none.
	Status int
	SentAt time.Time
	// RepositoryID is the forge's number of the repository, 0 if it does not tell.
	RepositoryID int64
}

// What to do about a call that a forge refused, which is the same for every forge.
const (
	NewToken    = "the token is invalid: create a new one and set it"
	CheckAccess = "check the name, and that the token may access the repository"
)

// Error is a call that a forge refused or did not answer. It holds no credential.
type Error struct {
	// Forge is the name of the product, such as GitHub.
	Forge string
	// Call is what was to be done, such as "list the hooks".
	Call string
	// Repository is empty if the call was about none.
	Repository string
	// Status is the status of the answer, 0 if there was none.
	Status int
	// Reason is what the forge said, cut.
	Reason string
	// NextStep is what to do, empty if nothing is known.
	NextStep string
	// RetryAfter is how long the forge asked to wait, 0 if it did not.
	RetryAfter time.Duration
	Err        error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Forge + ": cannot " + e.Call)
	if e.Repository != "" {
		b.WriteString(" of " + e.Repository)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, ": HTTP %d", e.Status)
	}
	if e.Reason != "" {
		b.WriteString(": " + e.Reason)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, "; it takes calls again in %s", e.RetryAfter.Round(time.Second))
	}
	if e.NextStep != "" {
		b.WriteString("; " + e.NextStep)
	}
	return b.String()
}

// Unwrap returns what went wrong below HTTP.
func (e *Error) Unwrap() error { return e.Err }

// Unreached says why a request got no answer.
func Unreached(err error) string {
	var redirect *RedirectError
	if errors.As(err, &redirect) {
		return redirect.Error()
	}
	var request *url.Error
	if errors.As(err, &request) {
		// The address may have a query, the operation and the rest say enough.
		return Reason(request.Err.Error())
	}
	return Reason(err.Error())
}

// maxReason bounds what is repeated of an answer, in bytes.
const maxReason = 300

// Reason returns what a forge said as one short line.
func Reason(text string) string {
	line := strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)), " ")
	if len(line) > maxReason {
		return strings.ToValidUTF8(line[:maxReason], "") + "…"
	}
	return line
}
