package rpc_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// git is a source action of a repository that nobody has.
func git(name string) *v1.Action {
	return &v1.Action{
		Name: name, Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
		Configuration:   map[string]string{"RepositoryUrl": "file:///nowhere", "Branch": "main"},
		OutputArtifacts: []*v1.OutputArtifact{{Name: "source"}},
	}
}

func commands(name string, lines ...string) *v1.Action {
	return &v1.Action{
		Name: name, Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1",
		Commands: lines, InputArtifacts: []string{"source"},
	}
}

func manual(name string) *v1.Action {
	return &v1.Action{Name: name, Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1"}
}

func stage(name string, actions ...*v1.Action) *v1.Stage {
	return &v1.Stage{Name: name, Actions: actions}
}

// inline is a valid inline pipeline.
func inline(account, name string) *v1.Pipeline {
	return &v1.Pipeline{
		Name: client.PipelineName(account, name), Composition: v1.Composition_COMPOSITION_INLINE,
		Definition: &v1.PipelineDefinition{Stages: []*v1.Stage{stage("Source", git("Fetch")), stage("Build", commands("Compile", "true"))}},
	}
}

// composed is a pipeline without stages yet.
func composed(name string, publish v1.PublishPolicy) *v1.Pipeline {
	return &v1.Pipeline{
		Name: client.PipelineName("default", name), Composition: v1.Composition_COMPOSITION_COMPOSED,
		Publish: publish, Definition: &v1.PipelineDefinition{},
	}
}

// refused checks that a call was refused as it should be.
func refused(t *testing.T, err error, code codes.Code, reason pipeline.Reason, words ...string) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, status.Code(err), "%v", err)
	require.Equal(t, reason, client.Reason(err), "%v", err)
	for _, word := range words {
		require.ErrorContains(t, err, word)
	}
}

// fields returns the fields that an error is about.
func fields(err error) []string {
	var names []string
	for _, v := range client.Violations(err) {
		names = append(names, v.Field)
	}
	return names
}
