package server_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/server"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// held is an action that runs until it is let go.
type held struct {
	began chan struct{}
	letGo chan struct{}
}

func (h held) Execute(ctx context.Context, _ action.Attempt, w action.Workspace) action.Result {
	if _, err := io.WriteString(w.Log, "held\n"); err != nil {
		return action.Failed(action.SystemUnavailable, "%s", err)
	}
	h.began <- struct{}{}
	select {
	case <-h.letGo:
		return action.Result{Summary: "let go"}
	case <-ctx.Done():
		return action.Failed(action.SystemUnavailable, "killed")
	}
}

// start runs a pipeline of two held actions on a backend and waits for the first.
func (h held) start(t *testing.T, b *backendtest.Backend) string {
	t.Helper()
	step := func(name, category string) *v1.Stage {
		return &v1.Stage{Name: name, Actions: []*v1.Action{{Name: name, Category: category, Owner: "Test", Provider: "Held", Version: "1"}}}
	}
	c := b.Admin()
	_, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{
		Name: client.PipelineName("default", "web"), Definition: &v1.PipelineDefinition{Stages: []*v1.Stage{step("First", "Source"), step("Second", "Invoke")}},
	}})
	require.NoError(t, err)
	resp, err := c.Executions.StartExecution(t.Context(), &v1.StartExecutionRequest{Pipeline: client.PipelineName("default", "web")})
	require.NoError(t, err)
	<-h.began
	return resp.GetExecution().GetName()
}

func (h held) kinds() (kinds []server.Kind) {
	for _, category := range []pipeline.Category{pipeline.CategorySource, pipeline.CategoryInvoke} {
		kinds = append(kinds, server.Kind{
			Type: pipeline.Type{
				ID:   pipeline.TypeID{Category: category, Owner: "Test", Provider: "Held", Version: "1"},
				Work: pipeline.WorkAttempt, DefaultTimeout: time.Hour, OnLost: pipeline.OnLostFail,
			},
			Attempt: h,
		})
	}
	return kinds
}

func read(t *testing.T, b *backendtest.Backend, name string) *v1.Execution {
	t.Helper()
	resp, err := b.Admin().Executions.GetExecution(t.Context(), &v1.GetExecutionRequest{Name: name})
	require.NoError(t, err)
	return resp.GetExecution()
}

func TestRunningActionsFinishWithinTheGrace(t *testing.T) {
	t.Parallel()
	h := held{began: make(chan struct{}, 2), letGo: make(chan struct{})}
	b := backendtest.Start(t, backendtest.WithKinds(h.kinds()...), backendtest.WithConfig(func(cfg *config.Config) {
		cfg.ShutdownGrace = time.Minute
	}))
	name := h.start(t, b)
	stopped := make(chan struct{})
	go func() {
		b.Stop()
		close(stopped)
	}()
	require.Eventually(t, func() bool {
		code, _ := fetch(t, http.DefaultClient, "http://"+b.HTTPAddr+"/readyz")
		return code == http.StatusServiceUnavailable
	}, 10*time.Second, time.Millisecond, "it says that it takes no more work")
	close(h.letGo)
	<-stopped
	b.Restart()
	require.Eventually(t, func() bool {
		return read(t, b, name).GetStatus() == v1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED
	}, 10*time.Second, time.Millisecond)
}

func TestActionsThatOutliveTheGraceAreLostByTheirPolicy(t *testing.T) {
	t.Parallel()
	h := held{began: make(chan struct{}, 2), letGo: make(chan struct{})}
	b := backendtest.Start(t, backendtest.WithKinds(h.kinds()...))
	name := h.start(t, b)
	b.Restart()
	require.Eventually(t, func() bool {
		return read(t, b, name).GetStatus() == v1.ExecutionStatus_EXECUTION_STATUS_FAILED
	}, 10*time.Second, time.Millisecond)
	failed := read(t, b, name).GetStages()[0].GetActions()[0]
	require.Equal(t, "RunnerLost", failed.GetError().GetCode())
	_, body := fetch(t, http.DefaultClient, "http://"+b.HTTPAddr+"/metrics")
	require.Contains(t, body, "headrace_executions_live 0")
	require.Contains(t, body, `headrace_executions_finished_total{status="Failed"} 1`)
}
