package pipeline_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// TestUnknownKinds holds which kinds another catalog may hold, and that only the name of such
// a kind is refused: what it takes is not known.
func TestUnknownKinds(t *testing.T) {
	t.Parallel()
	action := func(owner, provider string) func(*pipeline.Definition) {
		return func(d *pipeline.Definition) {
			a := compile(d)
			a.Owner, a.Provider = owner, provider
			a.RoleARN, a.Region = "arn:aws:iam::123456789012:role/deploy", "eu-central-1"
			a.Configuration = map[string]string{"ProjectName": "web"}
			a.EnvironmentVariables[0].Type = "SECRETS_MANAGER"
		}
	}
	rule := func(provider string) func(*pipeline.Definition) {
		return func(d *pipeline.Definition) {
			d.Stages[1].BeforeEntry = condition("SKIP", "Commands")
			r := &d.Stages[1].BeforeEntry.Rules[0]
			r.Provider, r.Region = provider, "eu-central-1"
			r.Configuration = map[string]string{"AlarmName": "errors"}
		}
	}
	const at, of = "stages[1].actions[0].", "stages[1].before_entry.rules[0]."
	for name, test := range map[string]struct {
		change  func(*pipeline.Definition)
		path    string
		unknown bool
		says    string
	}{
		"another owner":        {action("Acme", "Lint"), at + "owner", true, "action type Build/Acme/Lint/1 is not supported by this version of Headrace; use one of"},
		"AWS":                  {action("AWS", "CodeBuild"), at + "owner", true, "Build/AWS/CodeBuild/1"},
		"owner of any name":    {action(pipeline.Unknown, "CodeBuild"), at + "provider", true, "Build/(not known yet)/CodeBuild/1"},
		"provider of any name": {action("Acme", pipeline.Unknown), at + "owner", true, "Build/Acme/(not known yet)/1"},
		"typo of the owner":    {action("Headrce", "Commands"), at + "owner", false, `(did you mean "Headrace"?)`},
		"typo of the provider": {action("Headrace", "Comands"), at + "provider", false, `(did you mean "Commands"?)`},
		"copied from AWS":      {action("AWS", "Commands"), at + "owner", false, "(did you mean Build/Headrace/Commands/1?)"},
		"rule":                 {rule("CloudWatchAlarm"), of + "provider", true, "a Commands rule can call any service"},
		"typo of a rule":       {rule("Comands"), of + "provider", false, `(did you mean "Commands"?)`},
		"another version of a rule": {func(d *pipeline.Definition) {
			d.Stages[1].BeforeEntry = condition("FAIL", "Commands")
			d.Stages[1].BeforeEntry.Rules[0].Version = "2"
		}, of + "version", true, "use 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			def := base()
			test.change(def)
			found := violations(t, pipeline.Validate(def, catalog.Builtin()))
			require.Len(t, found, 1, "%v", found)
			require.Equal(t, test.path, found[0].Path.String())
			require.Contains(t, found[0].Message, test.says)
			require.Equal(t, test.unknown, found[0].UnknownKind)
			require.Equal(t, found, pipeline.UnknownKinds(catalog.Builtin(), def))
		})
	}
}
