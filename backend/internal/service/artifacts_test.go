package service_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// withArtifact returns a lab whose pipeline has an action a that makes out and an action b that uses it,
// and the use cases of artifacts.
func withArtifact(t *testing.T) (*lab, *service.Artifacts) {
	t.Helper()
	l := newLab(t)
	def := stages("", []string{"a"}, []string{"b"})
	def.Stages[0].Actions[0].OutputArtifacts = []pipeline.OutputArtifact{{Name: "out"}}
	def.Stages[1].Actions[0].InputArtifacts = []string{"out"}
	l.pipeline("web", def)
	return l, service.NewArtifacts(service.ArtifactsConfig{Store: l.store, Artifacts: l.artifacts})
}

// makes runs an execution to its end, in which out holds a file with that content.
func (l *lab) makes(content string) (id string, out action.Artifact) {
	l.t.Helper()
	out = putTree(l.t, l.artifacts, l.dir, content, l.now())
	out.Name = "out"
	e := l.start("web")
	b := l.report("r1", l.acquire("r1"), action.Result{Artifacts: []action.Artifact{out}})
	l.report("r1", *b, action.Result{})
	require.Equal(l.t, pipeline.Succeeded, l.get(e.ID).Status)
	return e.ID, out
}

// fileOf returns the content of the file that makes wrote.
func fileOf(t *testing.T, x *service.Artifacts, who auth.Identity, of service.ArtifactName) (string, error) {
	t.Helper()
	var text strings.Builder
	err := x.Get(t.Context(), who, "default", service.ArtifactPart{ArtifactName: of, Path: "file"},
		func(content service.ArtifactContent) error {
			require.NotNil(t, content.File)
			return nil
		},
		func(offset int64, data []byte) error {
			require.EqualValues(t, text.Len(), offset)
			text.Write(data)
			return nil
		})
	return text.String(), err
}

func TestArtifactsOfAnExecution(t *testing.T) {
	t.Parallel()
	l, x := withArtifact(t)
	first, one := l.makes("one")
	second, _ := l.makes("two")
	back, err := l.Rollback(t.Context(), admin, "default", "web", service.RollbackInput{Stage: "S1", TargetID: first})
	require.NoError(t, err)
	l.report("r1", l.acquire("r1"), action.Result{})

	viewer := identity(auth.Viewer, "default")
	for id, want := range map[string]string{first: "one", second: "two", back.ID: "one"} {
		list, err := x.List(t.Context(), viewer, "default", id)
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, id == back.ID, list[0].Action == nil)
		got, err := fileOf(t, x, viewer, service.ArtifactName{ExecutionID: id, Name: "out"})
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, of := range []service.ArtifactName{
		{ExecutionID: first, Name: "other"}, {ExecutionID: second, Name: "out", Digest: one.Digest}, {ExecutionID: "unknown", Name: "out"},
	} {
		_, err := fileOf(t, x, viewer, of)
		requireRefused(t, err, service.KindNotFound, pipeline.ReasonNotFound)
	}
	// What is of another account does not exist, and a runner reads nothing.
	_, err = x.List(t.Context(), identity(auth.Admin, "other"), "other", first)
	requireRefused(t, err, service.KindNotFound, pipeline.ReasonNotFound)
	_, err = x.List(t.Context(), identity(auth.Admin, "other"), "default", first)
	requireRefused(t, err, service.KindDenied, pipeline.ReasonPermissionDenied)
	for _, who := range []auth.Identity{identity(auth.Admin, "other"), identity(auth.Runner, "default")} {
		_, err = fileOf(t, x, who, service.ArtifactName{ExecutionID: first, Name: "out"})
		requireRefused(t, err, service.KindDenied, pipeline.ReasonPermissionDenied)
		_, _, err = x.Open(t.Context(), who, "default", service.ArtifactName{ExecutionID: first, Name: "out"})
		requireRefused(t, err, service.KindDenied, pipeline.ReasonPermissionDenied)
	}

	require.NoError(t, l.artifacts.Remove(t.Context(), one.Digest))
	_, err = fileOf(t, x, viewer, service.ArtifactName{ExecutionID: first, Name: "out"})
	requireRefused(t, err, service.KindNotFound, pipeline.ReasonNotFound)
	require.NoError(t, l.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.RemoveOutputs(ctx, []string{first}, l.now(), l.now())
		return err
	}))
	_, err = fileOf(t, x, viewer, service.ArtifactName{ExecutionID: first, Name: "out"})
	requireRefused(t, err, service.KindPrecondition, pipeline.ReasonOutputsRemoved)
	_, err = x.List(t.Context(), viewer, "default", first)
	requireRefused(t, err, service.KindPrecondition, pipeline.ReasonOutputsRemoved)
}

// Of the artifacts of one name, the one counts that the actions after it get.
func TestArtifactOfARetriedAction(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	def := stages("", []string{"a", "b"})
	def.Stages[0].Actions[0].OutputArtifacts = []pipeline.OutputArtifact{{Name: "out"}}
	l.pipeline("web", def)
	x := service.NewArtifacts(service.ArtifactsConfig{Store: l.store, Artifacts: l.artifacts})
	e := l.start("web")
	var made []action.Artifact
	for i, content := range []string{"one", "two"} {
		out := putTree(t, l.artifacts, l.dir, content, l.now())
		out.Name = "out"
		made = append(made, out)
		b := l.report("r1", l.acquire("r1"), action.Result{Artifacts: []action.Artifact{out}})
		l.report("r1", *b, action.Failed(action.JobFailed, "no"))
		require.Equal(t, pipeline.Failed, l.get(e.ID).Status)
		if i == 0 {
			_, err := l.Retry(t.Context(), admin, "default", e.ID, service.RetryInput{Stage: "S0", Mode: pipeline.RetryAllActions})
			require.NoError(t, err)
		}
	}
	got, err := fileOf(t, x, admin, service.ArtifactName{ExecutionID: e.ID, Name: "out"})
	require.NoError(t, err)
	require.Equal(t, "two", got)
	for i, want := range []string{"one", "two"} {
		got, err := fileOf(t, x, admin, service.ArtifactName{ExecutionID: e.ID, Name: "out", Digest: made[i].Digest})
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// A caller that does not read its downloads has a bound, and keeps nobody else from theirs.
func TestDownloadsThatNobodyReads(t *testing.T) {
	t.Parallel()
	l, x := withArtifact(t)
	id, _ := l.makes("one")
	of := service.ArtifactPart{ArtifactName: service.ArtifactName{ExecutionID: id, Name: "out"}}
	stalled, another := identity(auth.Viewer, "default"), identity(auth.Viewer, "default")
	stalled.Token, another.Token = "stalled", "another"
	sending, read, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	begin := func(service.ArtifactContent) error { return nil }
	for range 16 {
		go func() {
			ended <- x.Get(t.Context(), stalled, "default", of, begin, func(int64, []byte) error {
				sending <- struct{}{}
				<-read
				return errDisk
			})
		}()
		<-sending
	}
	err := x.Get(t.Context(), stalled, "default", of, begin, nil)
	requireRefused(t, err, service.KindExhausted, pipeline.ReasonLimitExceeded)
	got, err := fileOf(t, x, another, of.ArtifactName)
	require.NoError(t, err)
	require.Equal(t, "one", got)
	close(read)
	for range 16 {
		require.ErrorIs(t, <-ended, errDisk)
	}
	_, err = fileOf(t, x, stalled, of.ArtifactName)
	require.NoError(t, err)
}
