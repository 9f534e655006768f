package provider_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

const guards = "testdata/guards"

// misspelt is the summary of a warning about the misspelt stage of a rule.
const misspelt = `Warning: Rule network-apply: stage "Aply" matches nothing`

// guarded is Terraform with some of the files of testdata/guards, which the test chooses.
type guarded struct {
	terraform
	t *testing.T
}

func guard(t *testing.T, configuration string, backend *acctest.Backend) guarded {
	t.Helper()
	return guarded{terraform{configuration: configuration, backend: backend, variables: map[string]string{}, directory: t.TempDir()}, t}
}

// with adds a file.
func (g guarded) with(names ...string) guarded {
	g.t.Helper()
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(guards, name+".tf"))
		require.NoError(g.t, err)
		require.NoError(g.t, os.WriteFile(filepath.Join(g.directory, name+".tf"), text, 0o600))
	}
	return g
}

// without removes a file.
func (g guarded) without(name string) guarded {
	g.t.Helper()
	require.NoError(g.t, os.Remove(filepath.Join(g.directory, name+".tf")))
	return g
}

// says returns what a command prints, without the frames of warnings and broken lines.
func (g guarded) says(arguments ...string) string {
	g.t.Helper()
	return joined(g.do(g.t, arguments...))
}

// joined returns a text of Terraform without frames and broken lines.
func joined(text string) string {
	said := strings.ReplaceAll(text, "│", "")
	// The tests use a provider that they built.
	said = strings.ReplaceAll(said, "Warning: Provider development overrides are in effect", "")
	return strings.Join(strings.Fields(said), " ")
}

func (g guarded) applies() string { return g.says("apply", "-auto-approve") }

// silent plans, applies and plans again without a warning.
func (g guarded) silent() {
	g.t.Helper()
	require.NotContains(g.t, g.says("plan"), "Warning")
	require.NotContains(g.t, g.applies(), "Warning")
	require.NotContains(g.t, g.says("plan", "-detailed-exitcode"), "Warning")
}

func TestRulesThatGuardNothing(t *testing.T) {
	t.Parallel()
	configuration := providerProgram(t)
	tests := map[string]func(t *testing.T, tf guarded){
		"the rule after its pipeline": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.variables["stages"] = `["Aply"]`
			require.NotContains(t, tf.with("network").applies(), "Warning")
			plan := tf.with("rule").says("plan")
			require.Contains(t, plan, misspelt)
			require.Contains(t, plan, "Pipeline network has stages Source, Plan, Apply; did you mean Apply?")
			require.Contains(t, plan, "stages = var.stages", "the argument is underlined")
			require.Contains(t, tf.applies(), misspelt)
			require.Contains(t, tf.says("plan"), misspelt, "until it is mended")
			tf.variables["stages"] = `["Apply"]`
			require.NotContains(t, tf.applies(), "Warning")
			require.NotContains(t, tf.says("plan", "-detailed-exitcode"), "Warning")
		},
		"the pipeline after its rule": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.variables["stages"] = `["Aply"]`
			require.NotContains(t, tf.with("rule").applies(), "Warning", "its pipeline may follow")
			require.Contains(t, tf.with("network").says("plan"), misspelt)
			require.Contains(t, tf.applies(), misspelt)
		},
		"both misspelt in one first apply": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.variables["stages"] = `["Aply"]`
			tf.with("rule", "network")
			require.NotContains(t, tf.says("plan"), "Warning", "nothing is known yet")
			require.Equal(t, 1, strings.Count(tf.applies(), misspelt), "the one that is created last warns")
		},
		"both in one first apply": func(t *testing.T, tf guarded) {
			t.Helper()
			require.NotContains(t, tf.with("rule", "network").applies(), "Warning")
			require.NotContains(t, tf.says("plan", "-detailed-exitcode"), "Warning")
		},
		"a composed pipeline in one first apply": func(t *testing.T, tf guarded) {
			t.Helper()
			require.NotContains(t, tf.with("composed").applies(), "Warning")
			require.NotContains(t, tf.says("plan", "-detailed-exitcode"), "Warning")
		},
		"a stage added with its rule": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.variables["approve_stage"] = ""
			tf.with("network").applies()
			tf.variables["approve_stage"] = "Apply"
			tf.with("rule").silent()
		},
		"a stage added with many rules": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.variables["approve_stage"] = ""
			tf.with("network").applies()
			tf.variables["approve_stage"] = "Apply"
			tf.with("many").silent()
		},
		"a stage renamed with its rule": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.with("network", "rule").applies()
			tf.variables["approve_stage"], tf.variables["stages"] = "Deploy", `["Deploy"]`
			tf.silent()
			tf.variables["approve_stage"], tf.variables["stages"] = "Release", `["Release"]`
			tf.variables["rule_name"] = "network-release"
			tf.silent()
		},
		"a stage removed with its rule": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.with("network", "rule").applies()
			tf.variables["approve_stage"] = ""
			tf.without("rule").silent()
		},
		"a pipeline destroyed with its rule": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.with("network", "rule").applies()
			require.NotContains(t, tf.says("destroy", "-auto-approve"), "Warning")
		},
		"a stage renamed while its rule gets another pipeline": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.with("network", "web", "rule").applies()
			tf.variables["approve_stage"], tf.variables["pipelines"] = "Deploy", `["network", "web"]`
			require.Contains(t, tf.says("plan"), "Rule network-apply no longer guards stage Apply of pipeline network")
		},
		"parts added to a composed pipeline with their rule": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.with("parts").applies()
			tf.with("parts_apply").silent()
			tf.without("parts_apply").silent()
		},
		"a pipeline of another configuration": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.with("network").applies()
			other := guard(t, tf.configuration, tf.backend)
			other.variables["stages"] = `["Aply"]`
			require.Contains(t, other.with("rule").says("plan"), misspelt)
			require.Contains(t, other.applies(), misspelt)
		},
		"all pipelines of an empty account": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.variables["pipelines"] = `["*"]`
			require.NotContains(t, tf.with("rule").applies(), "Warning")
			require.NotContains(t, tf.says("plan", "-detailed-exitcode"), "Warning")
			require.NotContains(t, tf.with("network").applies(), "Warning")
		},
		"one of two pipelines": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.with("network").applies()
			tf.variables["pipelines"] = `["network", "netwerk"]`
			require.Contains(t, tf.with("rule").says("plan"), `pipeline "netwerk" matches nothing`)
			require.Contains(t, tf.says("plan"), "Account default has pipeline network; did you mean network?")
		},
		"a pipeline without the stage that the rule guards in another": func(t *testing.T, tf guarded) {
			t.Helper()
			const unguarded = `Warning: Rule network-apply: "web" guards nothing, because the rule matches no stage`
			tf.with("network", "web").applies()
			tf.variables["pipelines"] = `["network", "web"]`
			require.Contains(t, tf.with("rule").says("plan"), unguarded)
			require.Contains(t, tf.applies(), unguarded)
			plan := tf.says("plan")
			require.Contains(t, plan, unguarded, "until it is mended")
			require.Contains(t, plan, "Pipeline web has stages Source, Deploy.")
			tf.variables["web_stage"] = "Apply"
			tf.applies()
			require.NotContains(t, tf.says("plan", "-detailed-exitcode"), "Warning")
		},
		"both pipelines and the rule in one first apply": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.variables["pipelines"], tf.variables["web_stage"] = `["network", "web"]`, "Apply"
			require.NotContains(t, tf.with("rule", "network", "web").applies(), "Warning")
		},
		"a misspelt pipeline": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.with("network").applies()
			tf.variables["pipelines"] = `["netwerk"]`
			require.NotContains(t, tf.with("rule").applies(), "Warning", "the apply could have created it")
			require.Contains(t, tf.says("plan"), `pipeline "netwerk" matches nothing`)
			tf.variables["pipelines"] = `["network"]`
			require.NotContains(t, tf.applies(), "Warning")
		},
		"a group that no token has": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.backend.Token("alice", []string{"release-managers"}, backendtest.Binding("default", headracev1.Role_ROLE_APPROVER))
			tf.variables["groups"] = `["release-mangers"]`
			plan := tf.with("rule", "network").says("plan")
			require.Contains(t, plan, `no token in group "release-mangers" can approve in account default`)
			require.Contains(t, plan, "Approver tokens are in group release-managers; did you mean release-managers?")
			tf.variables["groups"] = `["release-managers"]`
			require.NotContains(t, tf.applies(), "Warning")
		},
		"a guarded stage that an admin renames": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.with("rule", "network").applies()
			tf.variables["approve_stage"] = "Deploy"
			plan := tf.says("plan")
			require.Contains(t, plan, "Warning: Rule network-apply no longer guards stage Apply of pipeline network")
			require.Contains(t, tf.applies(), "Rule network-apply no longer guards stage Apply")
			require.Contains(t, tf.says("plan"), `Rule network-apply: stage "Apply" matches nothing`)
		},
		"a guarded pipeline that an admin deletes": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.with("rule", "network").applies()
			require.Contains(t, tf.without("network").applies(), "Rule network-apply no longer guards stage Apply of pipeline network")
		},
		"a deployer's rename warns in the plan": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.with("rule", "network").applies()
			deployer := *tf.backend
			deployer.Backend = &backendtest.Backend{Endpoint: tf.backend.Endpoint}
			deployer.AdminToken = tf.backend.Token("dan", nil, backendtest.Binding("default", headracev1.Role_ROLE_DEPLOYER))
			tf.backend = &deployer
			tf.variables["approve_stage"] = "Deploy"
			require.Contains(t, tf.says("plan"), `Warning: The apply of pipeline "network" may be refused`)
		},
		"several of a kind": func(t *testing.T, tf guarded) {
			t.Helper()
			shows := func(said string, warnings ...string) {
				t.Helper()
				for _, warning := range warnings {
					require.Equal(t, 1, strings.Count(said, "Warning: "+warning), "%q in %s", warning, said)
				}
			}
			shows(tf.with("several").applies(),
				`Approval "Ask" of stage "Prod" does not hold back action "Ship" (pipeline "api")`,
				`Approval "Ask" of stage "Prod" does not hold back action "Ship" (pipeline "web")`)
			tf.variables["guarded"] = "Prd"
			wrong := []string{`Rule entry-api: stage "Prd" matches nothing`, `Rule entry-web: stage "Prd" matches nothing`}
			shows(tf.says("plan"), wrong...)
			shows(tf.applies(), wrong...)
			tf.variables["guarded"], tf.variables["asked"] = "Prod", "Confirm"
			lost := []string{
				"Rule ask-api no longer guards action Ask of stage Prod of pipeline api",
				"Rule ask-web no longer guards action Ask of stage Prod of pipeline web",
				`Rule ask-api: action "Ask" matches nothing`, `Rule ask-web: action "Ask" matches nothing`,
			}
			shows(tf.says("plan"), lost...)
			shows(tf.applies(), lost...)
		},
		"a viewer's plan": func(t *testing.T, tf guarded) {
			t.Helper()
			tf.variables["stages"] = `["Aply"]`
			tf.with("rule", "network").applies()
			viewer := *tf.backend
			viewer.Backend = &backendtest.Backend{Endpoint: tf.backend.Endpoint}
			viewer.AdminToken = tf.backend.Token("vic", nil, backendtest.Binding("default", headracev1.Role_ROLE_VIEWER))
			tf.backend = &viewer
			require.Contains(t, tf.says("plan"), misspelt)
			tf.variables["approve_stage"] = "Deploy"
			require.NotContains(t, tf.says("plan"), "refused", "plans may have a token of their own")
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, guard(t, configuration, acctest.Start(t)))
		})
	}
}
