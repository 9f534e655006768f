package stagetransition_test

import (
	"context"
	"fmt"
	"net"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/stretchr/testify/require"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

// TestFreezeOutlivesItsResource takes the resource away while an execution waits in
// front of the stage: with its pipeline, which Terraform destroys last, and by a
// new name of the stage. Only where on_destroy says so the execution is let in.
func TestFreezeOutlivesItsResource(t *testing.T) {
	t.Parallel()
	repository := silent(t)
	for onDestroy, enters := range map[string]bool{"": false, "keep": false, "enable": true} {
		variables := config.Variables{"repository": config.StringVariable(repository)}
		if onDestroy != "" {
			variables["on_destroy"] = config.StringVariable(onDestroy)
		}
		renamed := config.Variables{"stage": config.StringVariable("Checkout")}
		for name, value := range variables {
			renamed[name] = value
		}
		t.Run("destroy "+onDestroy, func(t *testing.T) {
			t.Parallel()
			backend := acctest.Start(t)
			var execution string
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: backend.Provider(),
				Steps: []resource.TestStep{
					{ConfigFile: file("frozen"), ConfigVariables: variables},
					{
						PreConfig:  func() { execution = arrives(t, backend) },
						ConfigFile: file("frozen"), ConfigVariables: variables, Destroy: true,
						ExpectError: acctest.Says(`Cannot delete pipeline "web"`),
					},
					{
						PreConfig: func() {
							require.NoError(t, entered(t.Context(), backend, execution, enters))
							abandon(t, backend, execution)
						},
						ConfigFile: file("frozen"), ConfigVariables: variables,
					},
				},
			})
		})
		t.Run("rename "+onDestroy, func(t *testing.T) {
			t.Parallel()
			backend := acctest.Start(t)
			var execution string
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: backend.Provider(),
				Steps: []resource.TestStep{
					{ConfigFile: file("frozen"), ConfigVariables: variables},
					{
						PreConfig:  func() { execution = arrives(t, backend) },
						ConfigFile: file("frozen"), ConfigVariables: renamed,
						ConfigPlanChecks: planned(plancheck.ResourceActionDestroyBeforeCreate),
					},
					{
						PreConfig: func() {
							require.NoError(t, entered(t.Context(), backend, execution, enters))
							abandon(t, backend, execution)
						},
						ConfigFile: file("frozen"), ConfigVariables: renamed,
					},
				},
			})
		})
	}
}

// arrives starts an execution, which waits in front of the first stage.
func arrives(t *testing.T, backend *acctest.Backend) string {
	t.Helper()
	started, err := backend.API.Executions.StartExecution(t.Context(), &headracev1.StartExecutionRequest{Pipeline: web})
	require.NoError(t, err)
	name := started.GetExecution().GetName()
	require.NoError(t, entered(t.Context(), backend, name, false))
	return name
}

// entered checks whether an execution is, or was, in its first stage.
func entered(ctx context.Context, backend *acctest.Backend, name string, want bool) error {
	found, err := backend.API.Executions.GetExecution(ctx, &headracev1.GetExecutionRequest{Name: name})
	if err != nil {
		return err
	}
	stage := found.GetExecution().GetStages()[0]
	if (stage.GetStartTime() != nil) != want {
		return fmt.Errorf("stage %s is %s since %v", stage.GetStage(), stage.GetStatus(), stage.GetStartTime())
	}
	return nil
}

// abandon ends an execution.
func abandon(t *testing.T, backend *acctest.Backend, name string) {
	t.Helper()
	_, err := backend.API.Executions.StopExecution(t.Context(), &headracev1.StopExecutionRequest{Name: name, Abandon: true})
	require.NoError(t, err)
}

// silent is the address of a repository whose server never answers, so that what
// fetches it stays in its stage until it is abandoned.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return "http://" + listener.Addr().String() + "/web.git"
}
