package webtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

const (
	// writePictures replaces the pictures of the documentation if it is "write".
	writePictures = "HEADRACE_SCREENSHOTS"
	// pictures are where the documentation has them.
	pictures = "../docs/images"
	// pictureLimit is the most bytes of a picture.
	pictureLimit = 150_000
)

// picture is a page, what it shows once it is whole, and the name of its picture.
type picture struct {
	Name  string `json:"name"`
	Path  string `json:"path"`
	Shows string `json:"shows"`
	// Height is that of the window in pixels.
	Height int `json:"height"`
}

// The pictures of the documentation show the views of a small shop.
func TestScreenshots(t *testing.T) {
	t.Parallel()
	b := findBrowser(t)
	s := newSite(t)
	waiting := s.seedShop()
	all := []picture{
		{"overview", "/accounts/default", "payments", 430},
		{"execution", "/" + waiting, "Smoke", 780},
		{"log", "/" + waiting + "/log/Build/Compile/1", "bin/shop", 480},
	}
	b.run(t, "screenshots.mjs", map[string]any{"url": "http://" + s.HTTPAddr, "token": s.viewer(), "pictures": all})
	for _, p := range all {
		made, err := os.ReadFile(filepath.Join(t.ArtifactDir(), "screenshots", p.Name+".png"))
		require.NoError(t, err)
		require.Less(t, len(made), pictureLimit, p.Name)
		if os.Getenv(writePictures) == "write" {
			require.NoError(t, os.WriteFile(filepath.Join(pictures, "ui-"+p.Name+".png"), made, 0o600))
		}
	}
}

// seedShop fills the account with the pipelines of a shop, and returns an execution that waits for
// approval.
func (s *site) seedShop() (waiting string) {
	s.t.Helper()
	s.repo = filepath.Join(s.t.TempDir(), "shop")
	s.git("init", "-q", "-b", "main", s.repo)
	require.NoError(s.t, os.WriteFile(filepath.Join(s.repo, "build.sh"), []byte(shopBuild), 0o700))
	s.git("-C", s.repo, "add", "build.sh")
	s.commit("Show delivery dates at checkout")
	for _, name := range []string{"grace", "barbara"} {
		s.Token(name, nil, backendtest.Binding(account, headracev1.Role_ROLE_APPROVER))
	}
	ada := s.Client(s.Token("ada", nil, backendtest.Binding(account, headracev1.Role_ROLE_DEPLOYER)))
	start := func(pipeline string) string {
		s.t.Helper()
		resp, err := ada.Executions.StartExecution(s.t.Context(), &headracev1.StartExecutionRequest{Pipeline: client.PipelineName(account, pipeline)})
		require.NoError(s.t, err)
		return resp.GetExecution().GetName()
	}
	queued := headracev1.ExecutionMode_EXECUTION_MODE_QUEUED
	compile := commands("Build", "Compile", 1, "./build.sh")
	compile.InputArtifacts = []string{"source"}
	approve := approval("Release")
	approve.Configuration["CustomData"] = "Look at the dashboard of the checkout first."
	s.define("shop", queued,
		s.source(),
		&headracev1.Stage{Name: "Build", Actions: []*headracev1.Action{
			compile, commands("Test", "Lint", 1, "echo no findings"),
			commands("Test", "Unit", 2, "echo 214 tests passed"), commands("Test", "Contract", 2, "echo 31 contracts hold"), commands("Build", "Image", 3, "echo pushed"),
		}},
		&headracev1.Stage{Name: "Staging", Actions: []*headracev1.Action{
			commands("Deploy", "Roll", 1, "echo rolled out"), commands("Test", "Smoke", 2, "echo all pages answer"), commands("Test", "Load", 2, "echo p99 is 180 ms"),
		}},
		&headracev1.Stage{Name: "Production", Actions: []*headracev1.Action{approve, commands("Deploy", "Deploy", 2, "echo deployed")}},
	)
	release := func(name string, test string) *headracev1.Stage {
		return &headracev1.Stage{Name: "Test", Actions: []*headracev1.Action{commands("Test", name, 1, test)}}
	}
	deploy := &headracev1.Stage{Name: "Deploy", Actions: []*headracev1.Action{commands("Deploy", "Deploy", 1, "echo deployed")}}
	s.define("accounts", queued, s.source(), release("Unit", "true"), deploy)
	s.define("docs", queued, s.source(), &headracev1.Stage{Name: "Publish", Actions: []*headracev1.Action{commands("Deploy", "Publish", 1, "echo published")}})
	s.define("payments", queued, s.source(), release("Integration", "echo connection refused >&2; exit 3"), deploy)
	for _, name := range []string{"accounts", "docs", "docs", "accounts", "docs"} {
		s.awaitStatus(start(name), headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED)
	}
	s.awaitStatus(start("payments"), headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED)
	s.commit("Sort search results by delivery date")
	s.define("search", queued, s.source(), release("Index", "until [ -e "+s.gate+" ]; do sleep 0.1; done"), deploy)
	s.awaitAction(start("search"), "Index")
	waiting = start("shop")
	s.awaitAction(waiting, "Release")
	_, err := s.admin.Pipelines.SetStageTransition(s.t.Context(), &headracev1.SetStageTransitionRequest{
		Pipeline: client.PipelineName(account, "accounts"), Stage: "Deploy", Reason: "The database moves until Friday",
	})
	require.NoError(s.t, err)
	return waiting
}

// shopBuild is a script that prints what a build prints.
const shopBuild = `#!/bin/sh
set -eu
echo '::group::Download modules'
printf 'github.com/example/%s v%s\n' money 1.4.0 calendar 0.9.2 checkout-api 2.11.1
echo '::endgroup::'
printf '\033[1mCompile 8 packages for linux/amd64\033[0m\n'
printf '\033[32mok\033[0m      shop/%s \033[2m%s s\033[0m\n' catalog 0.8 basket 1.1 checkout 2.4 delivery 0.7 invoice 0.5 mail 0.3 search 1.9 web 3.2
printf '\033[33mwarning\033[0m shop/delivery/date.go:41: the calendar ends in December; set CALENDAR_YEAR\n'
printf 'Link \033[36mbin/shop\033[0m (23.4 MB)\n'
printf '\033[1;32mBuild succeeded\033[0m in 11 s\n'
`

// commit adds a commit to the repository.
func (s *site) commit(message string) {
	s.t.Helper()
	s.git("-C", s.repo, "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q", "--allow-empty", "-m", message)
}

func (s *site) git(args ...string) {
	s.t.Helper()
	out, err := exec.CommandContext(s.t.Context(), "git", args...).CombinedOutput()
	require.NoError(s.t, err, "%s", out)
}
