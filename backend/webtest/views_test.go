package webtest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// view is a page and the name of its pictures.
type view struct {
	Name string `json:"name"`
	Path string `json:"path"`
}

// Each view is there in both themes and for narrow windows, without a violation of
// accessibility, and takes what people wrote as text.
func TestViews(t *testing.T) {
	t.Parallel()
	b := findBrowser(t)
	s := newSite(t)
	names := s.seed()
	views := []view{
		{"overview", "/accounts/default"},
		{"history", "/accounts/default/executions"},
		{"pipeline", "/accounts/default/pipelines/web"},
		{"pipeline-hostile", "/accounts/default/pipelines/hostile"},
		{"pipeline-wide", "/accounts/default/pipelines/wide"},
		{"pipeline-history", "/accounts/default/pipelines/web/executions"},
		{"execution-waiting", "/" + names.Waiting},
		{"execution-behind", "/" + names.Behind},
		{"execution-succeeded", "/" + names.Succeeded},
		{"execution-failed", "/" + names.Failed},
		{"execution-running", "/" + names.Running},
		{"execution-hostile", "/" + names.Hostile},
		{"execution-wide", "/" + names.Wide},
		{"artifacts", "/" + names.Files + "?face=artifacts"},
		{"artifacts-files", "/" + names.Files + "?face=artifacts&artifact=app"},
		{"artifacts-hostile", "/" + names.Files + "?face=artifacts&artifact=odd"},
		{"log-failed", "/" + names.Failed + "/log/Test/Integration/1"},
		{"log-hostile", "/" + names.Hostile + "/log/Print/Print/1"},
		{"log-plain", "/" + names.Hostile + "/log/Print/Print/1?view=text"},
		{"log-running", "/" + names.Running + "/log/Build/Wait/1"},
		{"versions", "/accounts/default/pipelines/web/versions"},
		{"triggers", "/accounts/default/triggers"},
		{"decisions", "/accounts/default/decisions"},
		{"webhooks", "/accounts/default/webhooks"},
		{"deliveries", "/accounts/default/deliveries"},
	}
	b.run(t, "walk.mjs", map[string]any{"url": "http://" + s.HTTPAddr, "token": s.viewer(), "views": views})
}

// viewer is a token that may read the account and nothing else, which is enough for each view.
func (s *site) viewer() string {
	s.t.Helper()
	token := s.Token("viewer", nil, backendtest.Binding(account, headracev1.Role_ROLE_VIEWER))
	require.False(s.t, strings.ContainsAny(token, " \n"))
	return token
}
