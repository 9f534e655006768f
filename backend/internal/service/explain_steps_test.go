package service_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// publish makes another version the newest.
func (l *lab) publish(name string, def pipeline.Definition) {
	l.t.Helper()
	require.NoError(l.t, l.store.Update(l.t.Context(), func(ctx context.Context, tx store.Tx) error {
		p, err := tx.Pipeline(ctx, "default", name)
		if err != nil {
			return err
		}
		p.Version++
		if err := tx.UpdatePipeline(ctx, p); err != nil {
			return err
		}
		return tx.CreatePipelineVersion(ctx, definition.Version{PipelineID: p.ID, Version: p.Version, Definition: def})
	}))
}

func (l *lab) explain(id string) service.Explanation {
	l.t.Helper()
	explained, err := l.Explain(l.t.Context(), admin, "default", id)
	require.NoError(l.t, err)
	return explained
}

// requireRefusal checks that a retry is not offered, for the reason and in the words of
// the refusal of the call.
func (l *lab) requireRefusal(id string, reason pipeline.Reason) {
	l.t.Helper()
	_, err := l.Retry(l.t.Context(), admin, "default", id, service.RetryInput{})
	var refused *service.Error
	require.ErrorAs(l.t, err, &refused)
	require.Equal(l.t, reason, refused.Reason)
	explained := l.explain(id)
	require.NotContains(l.t, kinds(explained), engine.StepRetry)
	require.Len(l.t, explained.Refusals, 1)
	require.Equal(l.t, service.StepRefusal{
		Kind: engine.StepRetry, Stage: "S0", Reason: reason, Message: refused.Message,
	}, explained.Refusals[0])
}

func kinds(explained service.Explanation) []engine.StepKind {
	all := make([]engine.StepKind, 0, len(explained.Steps))
	for _, step := range explained.Steps {
		all = append(all, step.Kind)
	}
	return all
}

// fail starts an execution whose first action fails.
func (l *lab) fail(name string, variables map[string]string) *execution.Execution {
	l.t.Helper()
	e, err := l.Start(l.t.Context(), admin, "default", name, service.StartInput{Variables: variables})
	require.NoError(l.t, err)
	l.report("r1", l.acquire("r1"), action.Failed(action.JobFailed, "exit code 1"))
	return l.get(e.ID)
}

// TestNextStepsOfAnEndedExecution goes the way of a person whose release failed: a retry,
// a new version, and a start with the same variables.
func TestNextStepsOfAnEndedExecution(t *testing.T) {
	t.Parallel()
	for _, mode := range []pipeline.ExecutionMode{pipeline.Superseded, pipeline.Parallel} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			small := "small"
			def := stages(mode, []string{"a"})
			def.Variables = []pipeline.Variable{{Name: "region"}, {Name: "size", DefaultValue: &small}, {Name: "old", DefaultValue: &small}}
			l.pipeline("web", def)
			e := l.fail("web", map[string]string{"region": "eu", "size": "small", "old": "yes"})
			explained := l.explain(e.ID)
			require.Equal(t, []engine.StepKind{engine.StepRetry, engine.StepRetry, engine.StepStart}, kinds(explained))
			require.Equal(t, map[string]string{"region": "eu", "old": "yes"}, explained.Steps[2].Variables)
			require.Empty(t, explained.Refusals)

			def.Variables = def.Variables[:2]
			l.publish("web", def)
			l.requireRefusal(e.ID, pipeline.ReasonStageNotRetryable)
			explained = l.explain(e.ID)
			require.Equal(t, []engine.StepKind{engine.StepStart}, kinds(explained))
			require.Equal(t, map[string]string{"region": "eu"}, explained.Steps[0].Variables, "the newest version has no variable old")
			_, err := l.Start(t.Context(), admin, "default", "web", service.StartInput{Variables: explained.Steps[0].Variables})
			require.NoError(t, err, "what is offered is accepted")

			def.Variables = append(def.Variables, pipeline.Variable{Name: "new"})
			l.publish("web", def)
			require.Empty(t, kinds(l.explain(e.ID)), "it needs a value that nobody has given")
		})
	}
}

// TestNextStepsNeedRoom offers nothing that would be refused since too many executions
// are in progress.
func TestNextStepsNeedRoom(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages(pipeline.Parallel, []string{"a"}))
	e := l.fail("web", nil)
	require.Contains(t, kinds(l.explain(e.ID)), engine.StepRetry)
	for range service.MaxLive {
		l.start("web")
	}
	require.Empty(t, kinds(l.explain(e.ID)))
	l.requireRefusal(e.ID, pipeline.ReasonLimitExceeded)
}

// TestNextStepsAfterRetention refuses a retry whose artifacts are gone.
func TestNextStepsAfterRetention(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"a"}))
	e := l.fail("web", nil)
	require.NoError(t, l.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.RemoveOutputs(ctx, []string{e.ID}, l.now(), l.now())
		return err
	}))
	l.requireRefusal(e.ID, pipeline.ReasonOutputsRemoved)
	require.Equal(t, []engine.StepKind{engine.StepStart}, kinds(l.explain(e.ID)))
}

// TestStaleDecisionIsRefused lets a retry come between what an approver saw and the
// approver's decision.
func TestStaleDecisionIsRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"?sign"}))
	e := l.start("web")
	shown := l.explain(e.ID).Reasons[0].Wait.ID()
	decide := func(id string, approve bool) error {
		who := identity(auth.Approver, "default")
		who.Principal = "bob"
		_, err := l.Decide(t.Context(), who, "default", e.ID, service.Decision{ApprovalID: id, Approve: approve})
		return err
	}
	l.restart()
	require.Equal(t, shown, l.explain(e.ID).Reasons[0].Wait.ID(), "a restart changes nothing")
	require.NoError(t, decide(shown, false))
	_, err := l.Retry(t.Context(), admin, "default", e.ID, service.RetryInput{})
	require.NoError(t, err)
	err = decide(shown, true)
	requireRefused(t, err, service.KindPrecondition, pipeline.ReasonApprovalStale)
	require.ErrorContains(t, err, "the approval you were shown is no longer open: bob rejected action sign of stage S0, and execution 1 now waits for")
	require.NoError(t, decide(l.explain(e.ID).Reasons[0].Wait.ID(), true))
	l.becomes(e.ID, pipeline.Succeeded)

	_, err = l.Stop(t.Context(), admin, "default", e.ID, false, "")
	require.ErrorContains(t, err, "execution 1 has ended with status Succeeded")
}
