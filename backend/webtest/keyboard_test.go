package webtest

import (
	"testing"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// A person without a mouse logs in, filters, opens a pipeline, an execution and its log, searches in
// it and goes back, and sees at each stop what has the focus.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	b := findBrowser(t)
	s := newSite(t)
	s.define("other", headracev1.ExecutionMode_EXECUTION_MODE_QUEUED, s.source(), &headracev1.Stage{Name: "Build", Actions: []*headracev1.Action{commands("Build", "Compile", 1, "true")}})
	s.define("web", headracev1.ExecutionMode_EXECUTION_MODE_QUEUED, s.source(), &headracev1.Stage{Name: "Build", Actions: []*headracev1.Action{
		commands("Build", "Lint", 1, "true"), commands("Build", "Compile", 1, "seq -f 'file %.0f is compiled' 2000"),
	}})
	execution := s.start("web")
	s.awaitStatus(execution, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED)
	b.run(t, "keyboard.mjs", map[string]any{
		"url": "http://" + s.HTTPAddr, "token": s.viewer(),
		"pipeline": "web", "execution": "/" + execution, "action": "Compile", "printed": "file 7 is compiled",
	})
}
