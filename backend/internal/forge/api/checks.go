package api

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
)

// Checks collects the results of Client.Check.
type Checks []connection.Check

// OK adds what works.
func (c *Checks) OK(kind connection.CheckKind, subject, format string, args ...any) {
	*c = append(*c, connection.Check{Kind: kind, Status: connection.CheckOK, Subject: subject, Message: fmt.Sprintf(format, args...)})
}

// Skip adds what was not checked.
func (c *Checks) Skip(kind connection.CheckKind, subject, format string, args ...any) {
	*c = append(*c, connection.Check{Kind: kind, Status: connection.CheckSkipped, Subject: subject, Message: fmt.Sprintf(format, args...)})
}

// Fail adds what does not work, and what to do.
func (c *Checks) Fail(kind connection.CheckKind, subject, message, nextStep string) {
	*c = append(*c, connection.Check{Kind: kind, Status: connection.CheckFailed, Subject: subject, Message: message, NextStep: nextStep})
}

// Warn adds what works only in part, and what to do.
func (c *Checks) Warn(kind connection.CheckKind, subject, message, nextStep string) {
	*c = append(*c, connection.Check{Kind: kind, Status: connection.CheckWarning, Subject: subject, Message: message, NextStep: nextStep})
}

// Refused adds a call that failed.
func (c *Checks) Refused(kind connection.CheckKind, subject string, err error) {
	var known *Error
	if errors.As(err, &known) {
		said := *known
		said.NextStep = ""
		c.Fail(kind, subject, said.Error(), known.NextStep)
		return
	}
	c.Fail(kind, subject, err.Error(), "")
}

// Reached adds whether the endpoint answered a first call, and returns that. An answer that
// refuses the credentials is an answer.
func (c *Checks) Reached(endpoint string, err error) bool {
	var known *Error
	if err == nil || errors.As(err, &known) && known.Status != 0 {
		c.OK(connection.CheckEndpoint, endpoint, "%s answers", endpoint)
		return true
	}
	reason := err.Error()
	if known != nil {
		reason = known.Reason
	}
	c.Fail(connection.CheckEndpoint, endpoint, endpoint+" does not answer: "+reason,
		"check the endpoint, the network between this server and it and, for a certificate of your own, ca_certificate")
	return false
}

// Hooks adds the state of those hooks of a repository that deliver to Headrace.
func (c *Checks) Hooks(kind forge.Kind, hooks []Hook) {
	found := false
	for i := range hooks {
		if hook := &hooks[i]; ToHeadrace(kind, hook.URL) {
			found = true
			c.hook(hook)
		}
	}
	if !found {
		c.Skip(connection.CheckHook, "", "the repository has no webhook that delivers to Headrace; pushes are found by a webhook of an App, a group or an organization, "+
			"or else by polling, if --poll-interval of headraced is above 0s")
	}
}

func (c *Checks) hook(hook *Hook) {
	switch {
	case hook.Problem != "":
		c.Fail(connection.CheckHook, hook.ID, "webhook "+hook.ID+": "+hook.Problem,
			"check that the forge reaches --public-url of headraced and that the secrets are equal; headrace trigger deliveries shows what arrived")
	case !hook.Active:
		c.Fail(connection.CheckHook, hook.ID, "webhook "+hook.ID+" is not active", "activate it in the settings of the repository")
	case hook.Unsigned:
		c.Warn(connection.CheckHook, hook.ID, "webhook "+hook.ID+" does not sign its deliveries, so their bodies could be changed on the way",
			"set a signing token or a secret that signs, and the same value as the secret of the headrace_webhook")
	case hook.Insecure:
		c.Warn(connection.CheckHook, hook.ID, "webhook "+hook.ID+" does not verify the certificate of the server", "turn on SSL verification")
	default:
		c.OK(connection.CheckHook, hook.ID, "webhook %s sends %s", hook.ID, strings.Join(hook.Events, ", "))
	}
}

// ToHeadrace tells whether a hook delivers to the webhooks of a Headrace server.
func ToHeadrace(kind forge.Kind, address string) bool {
	parsed, err := url.Parse(address)
	return err == nil && strings.Contains(parsed.Path, "/hooks/"+string(kind)+"/")
}
