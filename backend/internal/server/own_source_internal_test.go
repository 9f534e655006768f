package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// A token of a source action reads the repository of that action, and no other.
func TestOwnTokenIsForTheRepositoryOfItsAction(t *testing.T) {
	t.Parallel()
	action := func(name, owner, provider string) pipeline.Action {
		return pipeline.Action{
			Name: name, Category: pipeline.CategorySource, Owner: owner, Provider: provider, Version: "1",
			Configuration: map[string]string{"Owner": "Acme", "Repo": "web", "RepositoryUrl": "https://example.com/acme/web.git"},
		}
	}
	def := &pipeline.Definition{Stages: []pipeline.Stage{{Name: "Source", Actions: []pipeline.Action{
		action("Fetch", "ThirdParty", "GitHub"), action("Clone", pipeline.Owner, "Git"),
	}}}}
	for _, test := range []struct {
		action, repository string
		want               bool
	}{
		{"Fetch", "acme/Web", true},
		{"Fetch", "acme/payroll", false},
		{"Fetch", "other/web", false},
		{"Clone", "acme/web", false},
		{"Gone", "acme/web", false},
	} {
		_, found := ownSource(def, test.action, test.repository)
		require.Equal(t, test.want, found, "%s reads %s", test.action, test.repository)
	}
}
