package pipeline_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// mask replaces, wherever draw says so, parts of a definition by Unknown.
func mask(v reflect.Value, draw func() bool) {
	switch v.Kind() {
	case reflect.String:
		if draw() {
			v.SetString(pipeline.Unknown)
		}
	case reflect.Int:
		if draw() {
			v.SetInt(pipeline.UnknownInt)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			mask(v.Elem(), draw)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			mask(v.Field(i), draw)
		}
	case reflect.Map:
		if v.IsNil() {
			return
		}
		if draw() {
			v.Clear()
			v.SetMapIndex(reflect.ValueOf(pipeline.Unknown), reflect.ValueOf(""))
			return
		}
		for _, key := range v.MapKeys() {
			if draw() {
				v.SetMapIndex(key, reflect.ValueOf(pipeline.Unknown))
			}
		}
	case reflect.Slice:
		if draw() {
			v.Set(unknownList(v.Type()))
			return
		}
		for i := range v.Len() {
			if element := v.Index(i); element.Kind() == reflect.Struct && element.Field(0).Kind() == reflect.String && draw() {
				element.Set(unknownList(v.Type()).Index(0))
				continue
			}
			mask(v.Index(i), draw)
		}
	default:
		// A definition holds nothing else.
	}
}

// unknownList returns a list that is unknown as a whole.
func unknownList(list reflect.Type) reflect.Value {
	element := reflect.New(list.Elem()).Elem()
	switch {
	case element.Kind() == reflect.String:
		element.SetString(pipeline.Unknown)
	case element.Field(0).Kind() == reflect.String:
		// The first field of a block is the one that Unknown documents.
		element.Field(0).SetString(pipeline.Unknown)
	default:
		return reflect.Zero(list)
	}
	return reflect.Append(reflect.Zero(list), element)
}

// TestUnknownNeverMakesAViolation masks parts of a valid definition: since there
// are values that make it valid, none of its rules may be called broken.
func TestUnknownNeverMakesAViolation(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		def := rapid.SampledFrom([]func() *pipeline.Definition{base, conditioned}).Draw(t, "definition")()
		percent := rapid.IntRange(1, 60).Draw(t, "percent")
		mask(reflect.ValueOf(def).Elem(), func() bool {
			return rapid.IntRange(0, 99).Draw(t, "mask") < percent
		})
		require.NoError(t, pipeline.Validate(def, catalog.Builtin()))
	})
}

// TestUnknownOfWhatIsNotRun does the same with conditions and triggers, which
// may be refused as not run, but for nothing else.
func TestUnknownOfWhatIsNotRun(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		def := base()
		def.ArtifactStores = []pipeline.ArtifactStore{
			{Location: "bucket", Type: "S3", Region: "eu-west-1", EncryptionKeyID: "k", EncryptionKeyType: "KMS"},
			{Location: "bucket", Type: "S3", Region: "eu-west-2"},
		}
		def.Triggers = []pipeline.Trigger{trigger()}
		def.Stages[1].BeforeEntry = condition("SKIP", "VariableCheck")
		def.Stages[1].OnSuccess = condition("FAIL", "CodeBuild")
		def.Stages[1].OnSuccess.Rules[0].Region = "eu-central-1"
		def.Stages[1].OnFailure = &pipeline.OnFailure{
			Result: "RETRY", RetryMode: "ALL_ACTIONS", Condition: condition("ROLLBACK", "CloudWatchAlarm"),
		}
		mask(reflect.ValueOf(def).Elem(), func() bool {
			return rapid.IntRange(0, 99).Draw(t, "mask") < 20
		})
		for _, v := range violations(t, pipeline.Validate(def, catalog.Builtin())) {
			require.Contains(t, v.Message, "by this version of Headrace", "%s", v.Path)
			require.NotContains(t, v.Message, "action type", "%s", v.Path)
		}
	})
}

// TestUnknownHidesNothingElse holds that what is wrong whatever the unknown
// value turns out to be is still refused.
func TestUnknownHidesNothingElse(t *testing.T) {
	t.Parallel()
	type D = pipeline.Definition
	runRules(t, []rule{
		{"artifact of a later stage with an unknown output", func(d *D) {
			install(d).OutputArtifacts = []pipeline.OutputArtifact{{Name: pipeline.Unknown}}
			compile(d).InputArtifacts = []string{"Sausage"}
		}, "stages[1].actions[0].input_artifacts[0]", "no earlier action"},
		{"namespace of a later stage that is unknown", func(d *D) {
			install(d).Namespace = pipeline.Unknown
			compile(d).EnvironmentVariables[0].Value = "#{Nobody.X}"
		}, "stages[1].actions[0].environment_variables[0].value", "no earlier action"},
		{"owner of no type, provider unknown", func(d *D) {
			compile(d).Owner, compile(d).Provider = "AWS", pipeline.Unknown
		}, "stages[1].actions[0].owner", "Build/AWS/(not known yet)/1"},
		{"unknown key beside an unknown value", func(d *D) {
			source(d).Configuration = map[string]string{"RepositoryUrl": pipeline.Unknown, "Brunch": pipeline.Unknown}
		}, `stages[0].actions[0].configuration["Brunch"]`, `did you mean "Branch"?`},
		{"too many known commands", func(d *D) {
			compile(d).Commands = append(repeat(51, numbered("c")), pipeline.Unknown)
		}, "stages[1].actions[0].commands", "at most 50"},
		{"commands where they do not belong", func(d *D) {
			agree(d).Commands = []string{pipeline.Unknown, "true"}
		}, "stages[2].actions[0].commands", "takes no commands"},
		{"source after unknown stages and a known one", func(d *D) {
			d.Stages = append([]pipeline.Stage{{Name: pipeline.Unknown}}, d.Stages[1], d.Stages[0])
		}, "stages[2].actions[0].category", "first stage"},
		{
			"action of unknown name", func(d *D) { compile(d).Name, compile(d).RunOrder = pipeline.Unknown, -1 },
			"stages[1].actions[0].run_order", "use 1 to 999",
		},
		{"reference to a later action of known order", func(d *D) {
			check(d).RunOrder, compile(d).RunOrder = 1, 2
			agree(d).RunOrder = pipeline.UnknownInt
		}, "stages[1].actions[1].input_artifacts[1]", "comes only later"},
		{"one variable that is nowhere, values unknown", func(d *D) {
			d.Variables[0].DefaultValue = text(pipeline.Unknown)
			agree(d).Configuration["CustomData"] = "#{variables.nope}"
		}, `stages[2].actions[0].configuration["CustomData"]`, "declares no variable"},
	})
}

// TestUnknownClasses names each class of unknown value with the rule that waits
// for it; without the mask the definition is refused.
func TestUnknownClasses(t *testing.T) {
	t.Parallel()
	const u = pipeline.Unknown
	for _, c := range []struct {
		name        string
		broken      func(d *pipeline.Definition)
		andUnknown  func(d *pipeline.Definition)
		withoutMask string
	}{
		{
			"output artifact name", func(d *pipeline.Definition) { install(d).InputArtifacts = []string{"X"} },
			func(d *pipeline.Definition) { compile(d).OutputArtifacts[0].Name, check(d).InputArtifacts = u, nil }, "no earlier action",
		},
		{
			"stages as a whole", func(d *pipeline.Definition) { d.Stages = nil },
			func(d *pipeline.Definition) { d.Stages = []pipeline.Stage{{Name: u}} }, "at least 2",
		},
		{
			"actions as a whole", func(d *pipeline.Definition) { d.Stages[2].Actions = nil },
			func(d *pipeline.Definition) { d.Stages[2].Actions = []pipeline.Action{{Name: u}} }, "at least 1",
		},
		{
			"leading stages", func(d *pipeline.Definition) { d.Stages = d.Stages[1:] },
			func(d *pipeline.Definition) { d.Stages = append([]pipeline.Stage{{Name: u}}, d.Stages...) }, "needs a source action",
		},
		{
			"commands as a whole", func(d *pipeline.Definition) { install(d).Commands = nil },
			func(d *pipeline.Definition) { install(d).Commands = []string{u} }, "needs commands",
		},
		{
			"configuration as a whole", func(d *pipeline.Definition) { source(d).Configuration = nil },
			func(d *pipeline.Definition) { source(d).Configuration = map[string]string{u: ""} }, "needs the configuration key",
		},
		{
			"configuration value", func(d *pipeline.Definition) { source(d).Configuration["Tag"] = "v1" },
			func(d *pipeline.Definition) { source(d).Configuration["Tag"] = u }, "cannot both be set",
		},
		{
			"variables as a whole", func(d *pipeline.Definition) { d.Variables = nil },
			func(d *pipeline.Definition) { d.Variables = []pipeline.Variable{{Name: u}} }, "declares no variable",
		},
		{
			"output variables as a whole", func(d *pipeline.Definition) { compile(d).OutputVariables = nil },
			func(d *pipeline.Definition) { compile(d).OutputVariables = []string{u} }, "publishes no variable",
		},
		{
			"run order", func(d *pipeline.Definition) { check(d).RunOrder = 0 },
			func(d *pipeline.Definition) { check(d).RunOrder = pipeline.UnknownInt }, "same run_order",
		},
		{
			"namespace", func(d *pipeline.Definition) { compile(d).Namespace = "" },
			func(d *pipeline.Definition) { compile(d).Namespace = u }, "no earlier action has the namespace",
		},
		{
			"provider", func(d *pipeline.Definition) { install(d).Provider = "Other" },
			func(d *pipeline.Definition) { install(d).Provider = u }, "is not supported",
		},
		{
			"category", func(d *pipeline.Definition) { source(d).Category = pipeline.CategoryBuild },
			func(d *pipeline.Definition) { source(d).Category = u }, "only source actions",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			def := base()
			c.broken(def)
			require.ErrorContains(t, pipeline.Validate(def, catalog.Builtin()), c.withoutMask)
			c.andUnknown(def)
			require.NoError(t, pipeline.Validate(def, catalog.Builtin()))
		})
	}
}

func TestUnknownIsNoLegalValue(t *testing.T) {
	t.Parallel()
	require.True(t, strings.HasPrefix(pipeline.Unknown, "\x00"))
	_, err := pipeline.ParsePipelineName("accounts/a/pipelines/" + pipeline.Unknown)
	require.Error(t, err)
}
