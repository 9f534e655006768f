package pipeline_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

func lookupIn(values map[string]string) pipeline.LookupFunc {
	return func(namespace, key string) (string, bool) {
		value, ok := values[namespace+"."+key]
		return value, ok
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	lookup := lookupIn(map[string]string{"A.x": "1", "A-b@.y_z": "2", "A.loop": "#{A.x}", "A.empty": ""})
	for in, want := range map[string]string{
		"":                       "",
		"plain":                  "plain",
		"#{A.x}":                 "1",
		"v#{A.x}-#{A-b@.y_z}!":   "v1-2!",
		"#{A.x}#{A.x}":           "11",
		"#{A.empty}":             "",
		"#{A.loop}":              "#{A.x}",
		"##{A.x}":                "#1",
		"#{#{A.x}}":              "#{1}",
		"#{A} #{A.} #{.x} #{A.x": "#{A} #{A.} #{.x} #{A.x",
		"#{A.x.y} $x ${A.x}":     "#{A.x.y} $x ${A.x}",
		"größer #{A.x}":          "größer 1",
	} {
		got, err := pipeline.Resolve(in, lookup)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	_, err := pipeline.Resolve("ok #{A.x} and #{a.x} and #{b.x}", lookup)
	require.ErrorContains(t, err, "#{a.x}")
}

func TestReferences(t *testing.T) {
	t.Parallel()
	require.Equal(t,
		[]pipeline.Reference{{Namespace: "B", Key: "y"}, {Namespace: "A", Key: "x"}, {Namespace: "B", Key: "y"}},
		pipeline.References("#{B.y}#{A.x} #{B.y} #{no} #{"))
	require.Empty(t, pipeline.References("none"))
}

func FuzzResolve(f *testing.F) {
	for _, seed := range []string{"", "#{A.x}", "#{A.x", "##{{A.x}}", "#{A.x}#{B.y}", "a#{.}b", "#{A.x.y}", "\x00#{A.\xff}", "#{variables.a-b@c}"} {
		f.Add(seed, "value")
		f.Add(seed, "#{A.x}")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		references := pipeline.References(text)
		asked := 0
		got, err := pipeline.Resolve(text, func(namespace, key string) (string, bool) {
			got := pipeline.Reference{Namespace: namespace, Key: key}
			require.Equal(t, references[asked], got)
			asked++
			return value, true
		})
		require.NoError(t, err)
		require.Equal(t, len(references), asked, "each reference is looked up once, values never are")

		// What is not a reference stays, byte by byte.
		size := len(text)
		for _, reference := range references {
			require.Contains(t, text, reference.String())
			size += len(value) - len(reference.String())
		}
		require.Len(t, got, size)

		same, err := pipeline.Resolve(text, func(namespace, key string) (string, bool) {
			return pipeline.Reference{Namespace: namespace, Key: key}.String(), true
		})
		require.NoError(t, err)
		require.Equal(t, text, same)

		// A whole reference in the result was brought by a value: without braces in
		// any value only what surrounds the references can look like one.
		plain, err := pipeline.Resolve(text, func(string, string) (string, bool) { return "\x01", true })
		require.NoError(t, err)
		require.Empty(t, pipeline.References(plain))

		// What validation calls malformed is what is left when the references are
		// taken away.
		def := base()
		agree(def).Configuration["CustomData"] = text
		left := strings.Contains(plain, "#{")
		malformed := false
		for _, v := range violations(t, pipeline.Validate(def, catalog.Builtin())) {
			malformed = malformed || strings.Contains(v.Message, "starts like a reference")
		}
		require.Equal(t, left && text != pipeline.Unknown, malformed)

		rule, err := pipeline.ResolveRule(pipeline.Rule{
			Provider: "Expression", Configuration: map[string]string{"Expression": text},
		}, kindOf(t, pipeline.CategoryRule, "Expression"), func(string, string) (string, bool) { return value, true })
		require.Equal(t, len(references) > 0, err != nil)
		if err == nil {
			require.Equal(t, text, rule.Configuration["Expression"])
		}

		if len(references) > 0 {
			_, err := pipeline.Resolve(text, func(string, string) (string, bool) { return "", false })
			require.ErrorContains(t, err, references[0].String())
		}
	})
}

func TestResolveAction(t *testing.T) {
	t.Parallel()
	action := pipeline.Action{
		Name:                 "A",
		Configuration:        map[string]string{"k": "v #{A.x}"},
		Commands:             []string{"echo $V"},
		EnvironmentVariables: []pipeline.EnvironmentVariable{{Name: "V", Value: "#{A.x}"}},
		InputArtifacts:       []string{"In"},
		OutputArtifacts:      []pipeline.OutputArtifact{{Name: "Out", Files: []string{"f"}}},
		OutputVariables:      []string{"O"},
	}
	got, err := pipeline.ResolveAction(action, &pipeline.Type{}, lookupIn(map[string]string{"A.x": "1"}))
	require.NoError(t, err)
	require.Equal(t, "v 1", got.Configuration["k"])
	require.Equal(t, "1", got.EnvironmentVariables[0].Value)
	require.Equal(t, action.Commands, got.Commands)

	// A deep copy: nothing that is done to it reaches the definition.
	got.Configuration["k"], got.Commands[0], got.EnvironmentVariables[0].Value = "", "", ""
	got.InputArtifacts[0], got.OutputArtifacts[0].Files[0], got.OutputVariables[0] = "", "", ""
	require.Equal(t, "v #{A.x}", action.Configuration["k"])
	require.Equal(t, "echo $V", action.Commands[0])
	require.Equal(t, "#{A.x}", action.EnvironmentVariables[0].Value)
	require.Equal(t, "In", action.InputArtifacts[0])
	require.Equal(t, "f", action.OutputArtifacts[0].Files[0])
	require.Equal(t, "O", action.OutputVariables[0])

	_, err = pipeline.ResolveAction(action, &pipeline.Type{}, lookupIn(nil))
	require.ErrorContains(t, err, `configuration["k"]: #{A.x} has no value`)

	action.Configuration = nil
	_, err = pipeline.ResolveAction(action, &pipeline.Type{}, lookupIn(nil))
	require.ErrorContains(t, err, `environment_variables[0].value: #{A.x} has no value`)

	action.Commands = []string{"true", "echo #{A.x}"}
	_, err = pipeline.ResolveAction(action, &pipeline.Type{}, lookupIn(map[string]string{"A.x": "; rm -rf /"}))
	require.ErrorContains(t, err, "commands[1]: a command may not hold #{A.x}")
	require.NotContains(t, err.Error(), "rm -rf")
}

func TestResolveActionLimit(t *testing.T) {
	t.Parallel()
	half := strings.Repeat("x", pipeline.MaxResolvedBytes/2)
	lookup := lookupIn(map[string]string{"A.half": half})
	action := pipeline.Action{Configuration: map[string]string{"a": "#{A.half}", "b": "#{A.half}"}}
	_, err := pipeline.ResolveAction(action, &pipeline.Type{}, lookup)
	require.NoError(t, err, "exactly the limit")

	action.EnvironmentVariables = []pipeline.EnvironmentVariable{{Name: "V", Value: "y"}}
	_, err = pipeline.ResolveAction(action, &pipeline.Type{}, lookup)
	require.ErrorContains(t, err, "environment_variables[0].value: configuration and environment exceed 102400 bytes")

	// Many references to a large value end early instead of filling the memory.
	action = pipeline.Action{Configuration: map[string]string{"a": strings.Repeat("#{A.half}", 5000)}}
	_, err = pipeline.ResolveAction(action, &pipeline.Type{}, lookup)
	require.ErrorContains(t, err, `configuration["a"]`)
}

func TestValidateVariables(t *testing.T) {
	t.Parallel()
	def := base()
	got, err := pipeline.ValidateVariables(def, map[string]string{"ticket": "T-1"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"region": "eu", "ticket": "T-1"}, got)

	got, err = pipeline.ValidateVariables(def, map[string]string{"ticket": strings.Repeat("ä", 1000), "region": "us"})
	require.NoError(t, err)
	require.Equal(t, "us", got["region"])

	for name, c := range map[string]struct {
		given      map[string]string
		path, want string
	}{
		"missing":    {nil, `variables["ticket"]`, "no default"},
		"undeclared": {map[string]string{"ticket": "x", "regoin": "x"}, `variables["regoin"]`, `did you mean "region"?`},
		"empty":      {map[string]string{"ticket": ""}, `variables["ticket"]`, "empty"},
		"too long":   {map[string]string{"ticket": strings.Repeat("x", 1001)}, `variables["ticket"]`, "at most 1000"},
		"NUL":        {map[string]string{"ticket": "a\x00b"}, `variables["ticket"]`, "NUL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := pipeline.ValidateVariables(def, c.given)
			requireViolation(t, err, c.path, c.want)
			require.Len(t, violations(t, err), 1)
		})
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	digest := pipeline.Digest(base())
	require.Regexp(t, "^[0-9a-f]{64}$", digest)
	require.Equal(t, digest, pipeline.Digest(base()))
	// As servers have stored it before on_rollback existed.
	require.Equal(t, "867537d173d83f869b9cfe2cd444958ad04e80d8bbcd4edeff9aa40fd9f682ce", digest)
	skips := base()
	skips.Stages[2].OnRollback.SkipApprovals = true
	require.NotEqual(t, digest, pipeline.Digest(skips))

	empty, none := base(), base()
	empty.Triggers, empty.Stages[0].Actions, none.Stages[0].Actions = []pipeline.Trigger{}, []pipeline.Action{}, nil
	require.Equal(t, pipeline.Digest(empty), pipeline.Digest(none), "an empty list is none")
	require.Nil(t, none.Stages[0].Actions, "the definition is left alone")

	changed := base()
	source(changed).Configuration["Branch"] = "next"
	require.NotEqual(t, digest, pipeline.Digest(changed))
	swapped := base()
	swapped.Stages[1], swapped.Stages[2] = swapped.Stages[2], swapped.Stages[1]
	require.NotEqual(t, digest, pipeline.Digest(swapped))
	noDefault := base()
	noDefault.Variables[0].DefaultValue = nil
	require.NotEqual(t, digest, pipeline.Digest(noDefault))
}

func TestPathRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var path pipeline.Path
		for range rapid.IntRange(1, 5).Draw(t, "steps") {
			field := rapid.StringMatching(`[a-z_]{1,12}`).Draw(t, "field")
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				path = path.Field(field)
			case 1:
				path = path.At(field, rapid.IntRange(0, 1000).Draw(t, "index"))
			case 2:
				path = path.Entry(field, rapid.String().Draw(t, "key"))
			}
		}
		parsed, err := pipeline.ParsePath(path.String())
		require.NoError(t, err)
		require.Equal(t, path, parsed)
	})
}

func TestParsePathRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{".", "a.", "a..b", "[0]", "a[", "a[x]", "a[-1]", "a[0", "a[0]b", `a["k]`, `a["k"`, `a["k"x]`} {
		_, err := pipeline.ParsePath(text)
		require.Error(t, err, text)
	}
}
