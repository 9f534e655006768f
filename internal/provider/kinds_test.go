package provider_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

const (
	kinds = "testdata/kinds"
	// notKnown begins the summary of a warning about a kind.
	notKnown = "Warning: Type unknown to the provider: "
	// unchecked ends the summary of a warning about kinds that no server has checked.
	unchecked = "may be refused: the server has not checked all types"
	// later begins the summary of a warning about settings of a kind that the server runs.
	later = "Settings that the server checks only at apply: "
)

func checkLevel(level string) error {
	if level == "strict" || level == "loose" {
		return nil
	}
	return errors.New("the level is not strict or loose")
}

// acme adds a type of actions and a type of rules to a server.
func acme() []backendtest.Option {
	return []backendtest.Option{
		backendtest.WithType(domain.Type{
			ID:         domain.TypeID{Category: domain.CategoryBuild, Owner: "Acme", Provider: "Lint", Version: "1"},
			Work:       domain.WorkAttempt,
			Properties: []domain.Property{{Name: "Level", Required: true, Check: checkLevel}},
			MinInputs:  1, MaxInputs: 1, OnLost: domain.OnLostRetry, DefaultTimeout: time.Minute,
		}),
		// Rules name no owner to the server.
		backendtest.WithType(domain.Type{
			ID:    domain.TypeID{Category: domain.CategoryRule, Owner: domain.Owner, Provider: "Probe", Version: "1"},
			Work:  domain.WorkAttempt,
			Takes: domain.TakesCommands, OnLost: domain.OnLostRetry, DefaultTimeout: time.Minute,
		}),
	}
}

// kind returns Terraform with a configuration of testdata/kinds, in which words are replaced.
func kind(t *testing.T, configuration, name string, backend *acctest.Backend, replace ...string) guarded {
	t.Helper()
	tf := guard(t, configuration, backend)
	for _, file := range []string{"variables.tf", name + ".tf"} {
		text, err := os.ReadFile(filepath.Join(kinds, file))
		require.NoError(t, err)
		changed := strings.NewReplacer(replace...).Replace(string(text))
		require.NoError(t, os.WriteFile(filepath.Join(tf.directory, file), []byte(changed), 0o600))
	}
	return tf
}

// offline returns the same where no server listens.
func (g guarded) offline() guarded {
	g.backend = &acctest.Backend{Backend: &backendtest.Backend{Endpoint: "127.0.0.1:9", AdminToken: "none"}}
	return g
}

// viewing returns the same with the token of somebody who may not write.
func (g guarded) viewing() guarded {
	g.t.Helper()
	token := g.backend.Token("vera", nil, backendtest.Binding("default", headracev1.Role_ROLE_VIEWER))
	g.backend = &acctest.Backend{Backend: &backendtest.Backend{Endpoint: g.backend.Endpoint, AdminToken: token}}
	return g
}

// refuses returns what a command that fails prints.
func (g guarded) refuses(arguments ...string) string {
	g.t.Helper()
	return joined(g.fails(g.t, arguments...))
}

// TestKindsThatOnlyTheServerKnows shows that a kind of the server's own works in both
// compositions, whatever the provider knows.
func TestKindsThatOnlyTheServerKnows(t *testing.T) {
	t.Parallel()
	configuration := providerProgram(t)
	for _, name := range []string{"inline", "composed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tf := kind(t, configuration, name, acctest.Start(t, acme()...),
				`owner    = "Headrace"`, `owner    = "Acme"`, `provider = "Commands"`, `provider = "Probe"`)
			said := tf.offline().says("validate")
			require.Contains(t, said, notKnown+`stage "Build", on_success, rule "check"`)
			require.Contains(t, said, `provider = "Probe"`, "the argument is underlined")
			require.Contains(t, said, "type Build/Acme/Lint/1 is not supported by this version of Headrace; use one of Build/Headrace/Commands/1")
			require.Contains(t, said, `owner = "Acme"`, "the argument is underlined")
			require.Contains(t, said, "The plan asks the server")
			require.Contains(t, tf.offline().says("plan"), unchecked)
			// Anyone who may read may compare kinds with those of the server.
			said = tf.viewing().says("plan")
			require.NotContains(t, said, unchecked)
			require.Contains(t, said, later+`stage "Build", on_success, rule "check"`)
			said = tf.says("plan")
			require.NotContains(t, said, unchecked)
			require.NotContains(t, said, later)

			// The server checks the configuration, also of a pipeline that does not exist yet.
			tf.variables["level"] = "mild"
			said = tf.refuses("plan")
			require.Contains(t, said, "the level is not strict or loose")
			require.Contains(t, said, "Level = local.level", "the argument is underlined")
			// What an apply decides is checked by the apply.
			delete(tf.variables, "level")
			tf.variables["late"] = "true"
			said = tf.says("plan")
			require.NotContains(t, said, unchecked)
			require.Contains(t, said, later+`stage "Build", action "Lint"`)
			require.Contains(t, tf.offline().says("plan"), unchecked)
			delete(tf.variables, "late")

			tf.applies()
			tf.says("plan", "-detailed-exitcode")
			tf.variables["level"] = "loose"
			tf.applies()
			tf.says("plan", "-detailed-exitcode")
			require.NotContains(t, tf.says("plan"), unchecked, "nothing changes, so nothing is asked")
		})
	}
}

// TestKindsThatNoServerKnows shows what is refused, and when.
func TestKindsThatNoServerKnows(t *testing.T) {
	t.Parallel()
	configuration := providerProgram(t)
	for _, name := range []string{"inline", "composed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := acctest.Start(t)
			for what, test := range map[string]struct {
				replace []string
				// offline tells that it is refused without a server.
				offline          bool
				underlined, says string
			}{
				"typo":             {[]string{`"Acme"`, `"Headrace"`, `"Lint"`, `"Comands"`}, true, `= "Comands"`, `(did you mean "Commands"?)`},
				"kind of Headrace": {[]string{`"Acme"`, `"Headrace"`}, true, `= "Lint"`, "action type Build/Headrace/Lint/1 is not supported by this version of Headrace"},
				"CodeBuild":        {[]string{`"Acme"`, `"AWS"`, `"Lint"`, `"CodeBuild"`}, false, `owner = "AWS"`, "action type Build/AWS/CodeBuild/1 is not supported by this version of Headrace"},
				"rule of Headrace": {[]string{`"Acme"`, `"Headrace"`, `"Lint"`, `"Commands"`, `provider = "Commands"`, `provider = "CloudWatchAlarm"`}, true, `provider = "CloudWatchAlarm"`, "rule type CloudWatchAlarm"},
				"rule of AWS":      {[]string{`owner    = "Headrace"`, `owner    = "AWS"`, `provider = "Commands"`, `provider = "CloudWatchAlarm"`}, false, `provider = "CloudWatchAlarm"`, "rule type CloudWatchAlarm"},
				"owner of a rule":  {[]string{`"Acme"`, `"Headrace"`, `"Lint"`, `"Commands"`, `owner    = "Headrace"`, `owner    = "Acme"`}, true, `owner = "Acme"`, `rule type Commands has no owner "Acme"`},
				"typo of a rule":   {[]string{`owner    = "Headrace"`, `owner    = "AWS"`, `provider = "Commands"`, `provider = "Comands"`}, true, `provider = "Comands"`, `(did you mean "Commands"?)`},
			} {
				t.Run(what, func(t *testing.T) {
					t.Parallel()
					tf := kind(t, configuration, name, backend, test.replace...)
					said := tf.offline().says
					if test.offline {
						said = tf.offline().refuses
					}
					words := said("validate")
					require.Contains(t, words, test.says)
					require.Contains(t, words, test.underlined)
					refused := []string{tf.refuses("plan")}
					if !test.offline {
						// The server lists its kinds if it is not sent the object, or may not check it.
						late := tf
						late.variables = map[string]string{"late": "true"}
						refused = append(refused, late.refuses("plan"), tf.viewing().refuses("plan"), late.viewing().refuses("plan"))
					}
					for _, words := range refused {
						require.Contains(t, words, test.says)
						require.Contains(t, words, test.underlined)
					}
				})
			}
		})
	}
}

// TestKindsCloseToThoseOfTheServer shows that a plan suggests a kind of the server's own, also
// if the server cannot check the object.
func TestKindsCloseToThoseOfTheServer(t *testing.T) {
	t.Parallel()
	configuration := providerProgram(t)
	for _, name := range []string{"inline", "composed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := acctest.Start(t, acme()...)
			action := kind(t, configuration, name, backend, `"Lint"`, `"Limt"`)
			action.variables["late"] = "true"
			said := action.refuses("plan")
			require.Contains(t, said, `(did you mean "Lint"?)`)
			require.Contains(t, said, `= "Limt"`, "the argument is underlined")
			rule := kind(t, configuration, name, backend,
				`owner    = "Headrace"`, `owner    = "Acme"`, `provider = "Commands"`, `provider = "Prob"`)
			said = rule.viewing().refuses("plan")
			require.Contains(t, said, `(did you mean "Probe"?)`)
			require.Contains(t, said, `provider = "Prob"`, "the argument is underlined")
		})
	}
}

// TestKindsWithAnOlderServer shows that a server that cannot list its kinds refuses none by a
// plan that cannot be sent.
func TestKindsWithAnOlderServer(t *testing.T) {
	t.Parallel()
	endpoint, token := acctest.StartOlder(t)
	older := &acctest.Backend{Backend: &backendtest.Backend{Endpoint: endpoint, AdminToken: token}}
	tf := kind(t, providerProgram(t), "inline", older)
	tf.variables["late"] = "true"
	require.Contains(t, tf.says("plan"), unchecked)
}

// TestImportedOwnerOfARule shows that an owner, which the server does not store, is no change
// after an import.
func TestImportedOwnerOfARule(t *testing.T) {
	t.Parallel()
	tf := kind(t, providerProgram(t), "inline", acctest.Start(t, acme()...),
		`owner    = "Headrace"`, `owner    = "Acme"`, `provider = "Commands"`, `provider = "Probe"`)
	tf.applies()
	require.NoError(t, os.Remove(filepath.Join(tf.directory, "terraform.tfstate")))
	tf.says("import", "headrace_pipeline.web", "web")
	require.Contains(t, tf.says("plan"), "1 to add, 0 to change", "only what was not imported is planned")
	tf.applies()
	tf.says("plan", "-detailed-exitcode")
}
