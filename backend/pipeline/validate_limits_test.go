package pipeline_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// TestNulIsRefusedEverywhere holds that no field lets a NUL through, which stands
// in for whatever a client sends that no rule allows.
func TestNulIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	leaves := 0
	count := func() bool { leaves++; return false }
	mask(reflect.ValueOf(conditioned()).Elem(), count)
	for leaf := range leaves {
		at := 0
		def := conditioned()
		mask(reflect.ValueOf(def).Elem(), func() bool { at++; return at == leaf+1 })
		text, err := json.Marshal(def)
		require.NoError(t, err)
		if !strings.Contains(string(text), unknownJSON) {
			continue
		}
		require.NoError(t, json.Unmarshal([]byte(strings.ReplaceAll(string(text), unknownJSON, `"\u0000"`)), def))
		require.Error(t, pipeline.Validate(def, catalog.Builtin()), "%s", text)
	}
}

const unknownJSON = `"\u0000unknown"`

// TestValidationOfALargeDefinitionIsBounded holds that a definition of a large request does
// not make the server answer with as much, nor compare every word with every other,
// which would take minutes here.
func TestValidationOfALargeDefinitionIsBounded(t *testing.T) {
	t.Parallel()
	def := base()
	name := func(i int) string { return fmt.Sprintf("%s%06d", strings.Repeat("n", 50), i) }
	def.Stages[0].Actions = repeat(5000, func(i int) pipeline.Action {
		a := *source(base())
		a.Name, a.Namespace = name(i), name(i)
		a.OutputArtifacts = []pipeline.OutputArtifact{{Name: name(i) + "-"}}
		return a
	})
	agree(def).Configuration["CustomData"] = strings.Join(repeat(5000, func(i int) string {
		return "#{" + name(900000+i) + ".x}"
	}), "")
	def.Stages[1].Name = strings.Repeat("x", 1<<20) + "/"
	err := pipeline.Validate(def, catalog.Builtin())
	require.Len(t, violations(t, err), 1000)
	require.Less(t, len(err.Error()), 2<<20)
}
