package forge

import (
	"errors"
	"fmt"
	"time"
)

// Reason is the machine-readable reason why a delivery was refused or ignored. Its text is part of
// the contract and never changes.
type Reason string

const (
	// SignatureMissing says that the delivery has nothing that could prove who sent it.
	SignatureMissing Reason = "SIGNATURE_MISSING"
	// SignatureInvalid says that no secret of the webhook made the signature.
	SignatureInvalid Reason = "SIGNATURE_INVALID"
	// SignatureExpired says that the signature is right, and its time is too far from now.
	SignatureExpired Reason = "SIGNATURE_EXPIRED"
	// SecretUnusable says that the webhook has no secret that could verify a delivery.
	SecretUnusable Reason = "SECRET_UNUSABLE"
	// BodyTooLarge says that the body is larger than the webhook takes.
	BodyTooLarge Reason = "BODY_TOO_LARGE"
	// BodyIncomplete says that the body did not come as a whole in time.
	BodyIncomplete Reason = "BODY_INCOMPLETE"
	// EncodingUnsupported says that the body is compressed.
	EncodingUnsupported Reason = "ENCODING_UNSUPPORTED"
	// Malformed says that a verified delivery cannot be read.
	Malformed Reason = "MALFORMED"
	// EventUnused says that triggers decide on no event of this kind.
	EventUnused Reason = "EVENT_UNUSED"
	// Unwatched says that no trigger uses the webhook, or the repository through its connection.
	Unwatched Reason = "UNWATCHED"
)

// UnverifiedError says why a delivery is not verified. It holds nothing of the delivery.
type UnverifiedError struct {
	Reason  Reason
	Message string
}

func (e *UnverifiedError) Error() string { return e.Message }

// Unverified returns an UnverifiedError.
func Unverified(reason Reason, format string, args ...any) error {
	return &UnverifiedError{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// MalformedError says what of a verified delivery cannot be read.
type MalformedError struct{ Message string }

func (e *MalformedError) Error() string { return e.Message }

// MalformedBy returns a MalformedError.
func MalformedBy(format string, args ...any) error {
	return &MalformedError{Message: fmt.Sprintf(format, args...)}
}

// IgnoredError says why a delivery that can be read has no signals.
type IgnoredError struct{ Message string }

func (e *IgnoredError) Error() string { return e.Message }

// Ignore returns an IgnoredError.
func Ignore(format string, args ...any) error {
	return &IgnoredError{Message: fmt.Sprintf(format, args...)}
}

// BusyError says that a delivery was not stored because too much is waiting already.
// Nothing is lost: back-fill finds what the delivery says.
type BusyError struct{ RetryAfter time.Duration }

func (e *BusyError) Error() string {
	return fmt.Sprintf("too many deliveries wait for a decision; try again in %s", e.RetryAfter)
}

// ErrNoWebhook says that no webhook has the path of a request, or that it is of another kind.
var ErrNoWebhook = errors.New("no webhook has this path")

// ErrWebhookChanged says that a delivery was verified by a webhook that has changed since: its
// current secrets and authentication decide.
var ErrWebhookChanged = errors.New("the webhook has changed since it was read")
