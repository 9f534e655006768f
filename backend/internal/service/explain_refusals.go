package service

import (
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
)

// afterRefusal says what to do about a delivery that was refused, as a whole sentence.
func afterRefusal(d *ledger.Delivery) string {
	switch forge.Reason(d.Reason) {
	case forge.SignatureExpired:
		return "Set the clocks of the sender and of the server, for example by NTP."
	case forge.SecretUnusable:
		return "Set a new secret of the webhook, and the same one at the sender."
	case forge.BodyTooLarge:
		return "Make the sender send less, for example by leaving out fields or by reporting fewer changes at once."
	case forge.BodyIncomplete:
		return "Check the network and the proxies between the sender and the server."
	case forge.EncodingUnsupported:
		return "Turn off the compression of request bodies at the sender and at the proxies in front of the server."
	case forge.Malformed:
		return "Check that the sender is of the kind of the webhook and sends its events as application/json."
	default:
		// Also for EVENT_UNUSED and UNWATCHED, with which no delivery is refused.
		return "Compare the secret of the sender with that of the webhook."
	}
}
