package provider_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	tfstate "github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

func unreferenced(name string) config.TestStepConfigFunc {
	return config.StaticFile("testdata/unreferenced/" + name + "/main.tf")
}

// TestDestroyWithoutReferences destroys a composed pipeline whose configuration has no
// references, as an import generates it: Terraform deletes all of it at the same time.
func TestDestroyWithoutReferences(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	for range 4 {
		compose(t, backend)
		resource.Test(t, resource.TestCase{
			ProtoV6ProviderFactories: backend.Provider(),
			Steps:                    []resource.TestStep{{ConfigFile: unreferenced("all")}},
			CheckDestroy: func(*tfstate.State) error {
				_, err := backend.API.Pipelines.GetPipeline(context.Background(), &headracev1.GetPipelineRequest{
					Name: "accounts/default/pipelines/web",
				})
				if !client.IsNotFound(err) {
					return fmt.Errorf("the pipeline is left: %w", err)
				}
				_, err = backend.API.ApprovalRules.DeleteApprovalRule(context.Background(), &headracev1.DeleteApprovalRuleRequest{
					Name: "accounts/default/approvalRules/release",
				})
				return err
			},
		})
	}
}

// TestDestroyOfDeliveriesWithoutReferences destroys a connection, webhooks and a trigger that use each
// other, without a reference that would give an order.
func TestDestroyOfDeliveriesWithoutReferences(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	compose(t, backend)
	listen(t, backend)
	token := "a token of the forge"
	_, err := backend.API.Connections.CreateConnection(t.Context(), &headracev1.CreateConnectionRequest{
		Connection: &headracev1.Connection{
			Name: "accounts/default/connections/forge", Type: &headracev1.Connection_Gitea{Gitea: &headracev1.GiteaConnection{Endpoint: "https://127.0.0.1:1"}},
		},
		Credentials: &headracev1.ConnectionCredentials{Token: &token},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = backend.API.Webhooks.CreateWebhook(t.Context(), &headracev1.CreateWebhookRequest{Webhook: &headracev1.Webhook{
		Name: "accounts/default/webhooks/forge", Kind: headracev1.WebhookKind_WEBHOOK_KIND_GITEA, Connection: "accounts/default/connections/forge", Secret: "hunter22-of-the-forge",
	}})
	if err != nil {
		t.Fatal(err)
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps:                    []resource.TestStep{{ConfigFile: unreferenced("delivered")}},
		CheckDestroy: func(*tfstate.State) error {
			webhooks, err := backend.API.Webhooks.ListWebhooks(context.Background(), &headracev1.ListWebhooksRequest{Parent: "accounts/default"})
			if err == nil && len(webhooks.GetWebhooks()) > 0 {
				err = errors.New("webhooks are left")
			}
			_, gone := backend.API.Connections.GetConnection(context.Background(), &headracev1.GetConnectionRequest{Name: "accounts/default/connections/forge"})
			if err == nil && !client.IsNotFound(gone) {
				err = errors.New("the connection is left")
			}
			if err != nil {
				return err
			}
			_, err = backend.API.ApprovalRules.DeleteApprovalRule(context.Background(), &headracev1.DeleteApprovalRuleRequest{
				Name: "accounts/default/approvalRules/release",
			})
			return err
		},
	})
}

// TestDestroyOfTwoConfigurations destroys the stages while another configuration destroys
// their actions.
func TestDestroyOfTwoConfigurations(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	compose(t, backend)
	t.Run("at once", func(t *testing.T) {
		for _, name := range []string{"stages", "actions"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				resource.Test(t, resource.TestCase{
					ProtoV6ProviderFactories: backend.Provider(),
					Steps:                    []resource.TestStep{{ConfigFile: unreferenced(name)}},
				})
			})
		}
	})
	found, err := backend.API.Pipelines.GetPipeline(t.Context(), &headracev1.GetPipelineRequest{Name: "accounts/default/pipelines/web"})
	if err == nil && len(found.GetPipeline().GetDefinition().GetStages()) > 0 {
		err = errors.New("stages are left")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRemovedStage removes a stage whose action is still declared.
func TestRemovedStage(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	compose(t, backend)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: unreferenced("all")},
			{
				ConfigFile:  unreferenced("without_stages"),
				ExpectError: acctest.Says(`stage "Build" of pipeline "web" still has the actions "Compile"; delete them first`),
			},
			{ConfigFile: unreferenced("all")},
		},
	})
}
