package pipeline_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

const commit = "0123456789abcdef0123456789ABCDEF01234567"

func TestValidateOverrides(t *testing.T) {
	t.Parallel()
	type O = pipeline.Override
	ticket := pipeline.TypeID{Category: pipeline.CategorySource, Owner: "Test", Provider: "Ticket", Version: "1"}
	kinds := catalog.Builtin().With(pipeline.Type{ID: ticket, Work: pipeline.WorkAttempt})
	def := base()
	def.Stages[0].Actions = append(def.Stages[0].Actions, pipeline.Action{
		Name: "Ticket", Category: ticket.Category, Owner: ticket.Owner, Provider: ticket.Provider, Version: ticket.Version,
	})
	require.NoError(t, pipeline.ValidateOverrides(def, kinds, nil))
	require.NoError(t, pipeline.ValidateOverrides(def, kinds, []O{{"Checkout", "COMMIT_ID", commit}}))
	require.NoError(t, pipeline.ValidateOverrides(def, kinds, []O{{"Checkout", "COMMIT_ID", strings.Repeat("ab", 32)}}))

	for name, c := range map[string]struct {
		overrides  []O
		path, want string
	}{
		"unknown action":   {[]O{{"Checkuot", "COMMIT_ID", commit}}, "source_revisions[0].action", `there is no source action "Checkuot" (did you mean "Checkout"?); source actions: Checkout, Ticket`},
		"no action":        {[]O{{"", "COMMIT_ID", commit}}, "source_revisions[0].action", "name a source action: Checkout"},
		"not a source":     {[]O{{"Compile", "COMMIT_ID", commit}}, "source_revisions[0].action", `action "Compile" is not a source action`},
		"unknown type":     {[]O{{"Checkout", "IMAGE_DIGEST", commit}}, "source_revisions[0].type", `revision type "IMAGE_DIGEST" is not known; use one of COMMIT_ID`},
		"type in lower":    {[]O{{"Checkout", "commit_id", commit}}, "source_revisions[0].type", `did you mean "COMMIT_ID"?`},
		"no type":          {[]O{{"Checkout", "", commit}}, "source_revisions[0].type", "revision type is missing; use one of COMMIT_ID"},
		"type without any": {[]O{{"Ticket", "COMMIT_ID", commit}}, "source_revisions[0].type", "Source/Test/Ticket/1 fetches no revision that could be asked for"},
		"twice":            {[]O{{"Checkout", "COMMIT_ID", commit}, {"Checkout", "COMMIT_ID", commit}}, "source_revisions[1].type", "more than one source revision"},
		"no value":         {[]O{{"Checkout", "COMMIT_ID", ""}}, "source_revisions[0].value", "empty"},
		"value too long":   {[]O{{"Checkout", "COMMIT_ID", strings.Repeat("a", 1501)}}, "source_revisions[0].value", "at most 1500"},
		"unprintable":      {[]O{{"Checkout", "COMMIT_ID", commit + "\n"}}, "source_revisions[0].value", "cannot be shown"},
		"short commit":     {[]O{{"Checkout", "COMMIT_ID", commit[:39]}}, "source_revisions[0].value", "not a full commit id of 40 or 64"},
		"branch":           {[]O{{"Checkout", "COMMIT_ID", "main"}}, "source_revisions[0].value", "not a full commit id"},
		"reference":        {[]O{{"Checkout", "COMMIT_ID", "#{Src.CommitId}"}}, "source_revisions[0].value", "give the value itself"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := pipeline.ValidateOverrides(def, kinds, c.overrides)
			requireViolation(t, err, c.path, c.want)
			require.Len(t, violations(t, err), 1, "%v", err)
		})
	}
	many := repeat(51, func(int) O { return O{"Checkout", "COMMIT_ID", commit} })
	requireViolation(t, pipeline.ValidateOverrides(def, kinds, many), "source_revisions", "at most 50")
}

func TestApplyOverride(t *testing.T) {
	t.Parallel()
	kind, ok := catalog.Builtin().Lookup(source(base()).TypeID())
	require.True(t, ok)
	action := *source(base())
	action.Configuration = map[string]string{"RepositoryUrl": "u", "Branch": "main", "Tag": "v1"}
	got := pipeline.ApplyOverride(action, kind, pipeline.Override{Action: "Checkout", Type: "COMMIT_ID", Value: commit})
	require.Equal(t, map[string]string{"RepositoryUrl": "u", "Commit": commit}, got.Configuration)
	require.Equal(t, map[string]string{"RepositoryUrl": "u", "Branch": "main", "Tag": "v1"}, action.Configuration, "a copy")

	action.Configuration = nil
	got = pipeline.ApplyOverride(action, kind, pipeline.Override{Type: "COMMIT_ID", Value: commit})
	require.Equal(t, map[string]string{"Commit": commit}, got.Configuration)
	require.Equal(t, action, pipeline.ApplyOverride(action, kind, pipeline.Override{Type: "OTHER", Value: commit}))

	// A key that excludes no other leaves the others alone.
	kind.Overrides = map[string]string{"URL": "RepositoryUrl"}
	action.Configuration = map[string]string{"RepositoryUrl": "u", "Branch": "main"}
	got = pipeline.ApplyOverride(action, kind, pipeline.Override{Type: "URL", Value: "v"})
	require.Equal(t, map[string]string{"RepositoryUrl": "v", "Branch": "main"}, got.Configuration)
}

func TestOverrideJSON(t *testing.T) {
	t.Parallel()
	encoded, err := json.Marshal(pipeline.Override{Action: "A", Type: "T", Value: "V"})
	require.NoError(t, err)
	require.JSONEq(t, `{"action":"A","type":"T","value":"V"}`, string(encoded))
}
