package webtest

import (
	"testing"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// Nothing of a session is left for the next user of the browser or for a page on another port.
func TestSessionsOfABrowser(t *testing.T) {
	t.Parallel()
	b := findBrowser(t)
	s := newSite(t)
	s.Account("secret")
	viewer := headracev1.Role_ROLE_VIEWER
	b.run(t, "session.mjs", map[string]any{
		"url":   "http://" + s.HTTPAddr,
		"token": s.Token("ann", nil, backendtest.Binding("default", viewer), backendtest.Binding("secret", viewer)),
		"other": s.Token("bob", nil, backendtest.Binding("default", viewer)),
	})
}
