package scenario_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// boss may do everything in every account.
var boss = auth.Identity{Principal: "boss", Bindings: []auth.Binding{{Account: "*", Role: auth.Admin}}}

// busy is a world with pipelines of several accounts, each of one stage with commands
// that follow each other, and a runner with one slot.
type busy struct {
	*world
	has *runner.Assignment
}

func newBusy(t *testing.T, open opener) *busy {
	t.Helper()
	b := &busy{world: newWorld(t, open)}
	require.NoError(t, b.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreateAccount(ctx, auth.Account{Name: "other", CreatedAt: b.now()})
	}))
	return b
}

func (b *busy) define(account, name string, mode pipeline.ExecutionMode, commands int) {
	b.t.Helper()
	build := pipeline.Stage{Name: "Build"}
	for i := range commands {
		build.Actions = append(build.Actions, pipeline.Action{
			Name: fmt.Sprintf("Run%d", i), Category: pipeline.CategoryBuild, Owner: pipeline.Owner, Provider: "Commands", Version: "1",
			RunOrder: i + 1, Commands: []string{"true"},
		})
	}
	def := pipeline.Definition{ExecutionMode: mode, Stages: []pipeline.Stage{build}}
	id := b.newID()
	require.NoError(b.t, b.store.Update(b.t.Context(), func(ctx context.Context, tx store.Tx) error {
		if err := tx.CreatePipeline(ctx, definition.Pipeline{ID: id, Account: account, Name: name, Version: 1, Revision: 1}); err != nil {
			return err
		}
		return tx.CreatePipelineVersion(ctx, definition.Version{PipelineID: id, Version: 1, Definition: def})
	}))
}

func (b *busy) start(account, name string, executions int) {
	b.t.Helper()
	for range executions {
		b.clock.Add(1000)
		_, err := b.executions.Start(b.t.Context(), boss, account, name, service.StartInput{})
		require.NoError(b.t, err)
	}
}

// step lets the runner finish what it has, and take the next. It tells of which
// pipeline and execution that is.
func (b *busy) step() (name, executionID string) {
	b.t.Helper()
	if b.has != nil {
		answer, err := b.loop.Report(b.t.Context(), runnerID, b.has.Attempt, action.Result{})
		require.NoError(b.t, err)
		b.has = answer.Next
	}
	if b.has == nil {
		ctx, cancel := context.WithTimeout(b.t.Context(), patience)
		defer cancel()
		a, err := b.loop.Acquire(ctx, runnerID)
		require.NoError(b.t, err)
		b.has = &a
	}
	return b.has.Attempt.Account + "/" + b.has.Attempt.Pipeline, b.has.Attempt.ExecutionID
}

func onEveryEngine(t *testing.T, test func(t *testing.T, b *busy)) {
	t.Helper()
	for name, engine := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newBusy(t, engine(t)(t)))
		})
	}
}

// An account with 200 commands that wait, and another with one: the one is next, and
// what follows from it does not wait for the 200 either.
func TestAFloodOfOneAccountDoesNotHoldOthersUp(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, b *busy) {
		t.Helper()
		for n := range 4 {
			name := fmt.Sprintf("flood%d", n)
			b.define("default", name, pipeline.Parallel, 2)
			b.start("default", name, service.MaxLive)
		}
		b.step()
		b.define("other", "web", pipeline.Queued, 2)
		b.start("other", "web", 1)
		var order []string
		for range 5 {
			name, _ := b.step()
			account, _, _ := strings.Cut(name, "/")
			order = append(order, account)
		}
		require.Equal(t, []string{"other", "default", "other", "default", "default"}, order)
		found, err := b.executions.List(t.Context(), boss, "other", service.ExecutionQuery{Pipeline: "web", Size: 1})
		require.NoError(t, err)
		require.Equal(t, pipeline.Succeeded, found[0].Status)
	})
}

// A pipeline that always has another execution ready does not keep the runner to
// itself, also not within its account.
func TestAChainOfOnePipelineLetsOthersIn(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, b *busy) {
		t.Helper()
		b.define("default", "endless", pipeline.Queued, 1)
		b.define("default", "web", pipeline.Queued, 1)
		b.start("default", "endless", 30)
		for range 5 {
			name, _ := b.step()
			require.Equal(t, "default/endless", name, "nobody else waits")
		}
		b.start("default", "web", 2)
		var order []string
		for range 4 {
			name, _ := b.step()
			order = append(order, name)
		}
		require.Equal(t, []string{"default/web", "default/endless", "default/web", "default/endless"}, order)
		name, _ := b.step()
		require.Equal(t, "default/endless", name, "and has it again when they are done")
	})
}

// Where it is a pipeline's turn a runner carries on with the execution that it has:
// some that are done are worth more than many that are half done.
func TestARunnerFinishesWhatItBegan(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, b *busy) {
		t.Helper()
		b.define("default", "web", pipeline.Parallel, 3)
		b.start("default", "web", 5)
		var order, seen []string
		for range 15 {
			_, id := b.step()
			order = append(order, id)
			if len(seen) == 0 || seen[len(seen)-1] != id {
				seen = append(seen, id)
			}
		}
		require.Len(t, seen, 5, "%v", order)
	})
}
