package accountguard_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

func TestMain(m *testing.M) { acctest.Main(m) }

type factories map[string]func() (tfprotov6.ProviderServer, error)

// start starts a backend with the accounts default and prod.
func start(t *testing.T) *acctest.Backend {
	t.Helper()
	backend := acctest.Start(t)
	backend.Account("prod")
	return backend
}

// in returns the provider with HEADRACE_ACCOUNT set, unless the account is empty.
func in(backend *acctest.Backend, account string) factories {
	return acctest.Factories(map[string]string{
		client.EnvEndpoint: backend.Endpoint, client.EnvToken: backend.AdminToken, client.EnvAccount: account,
	})
}

func own(account string) config.Variables {
	return config.Variables{"own": config.StringVariable(account)}
}

var everything = config.StaticFile("testdata/everything.tf")

// ids are those of testdata/everything.tf in an account, one of each kind.
func ids(account string) []string {
	pipeline := "accounts/" + account + "/pipelines/web"
	return []string{
		pipeline + " is in", pipeline + "/stages/Source is in", pipeline + "/stages/Build is in",
		pipeline + "/stages/Source/actions/Fetch is in", pipeline + "/stages/Build/actions/Compile is in",
		"accounts/" + account + "/approvalRules/release is in",
	}
}

// namesAll passes an error that is about every object of testdata/everything.tf.
func namesAll(account string) resource.ErrorCheckFunc {
	return func(err error) error {
		said := strings.Join(strings.Fields(err.Error()), " ")
		for _, id := range ids(account) {
			if !strings.Contains(said, id) {
				return fmt.Errorf("nothing is said of %q: %w", id, errors.New("unexpected: "+said))
			}
		}
		return err
	}
}

// TestProvidersAccountMoves plans, applies and destroys without the HEADRACE_ACCOUNT that
// everything was created with. All of it is refused, and all stays where it is.
func TestProvidersAccountMoves(t *testing.T) {
	t.Parallel()
	backend := start(t)
	refused := `The provider's account is "default" now, from the default, since neither account in the provider block nor ` +
		`HEADRACE_ACCOUNT is set.`
	resource.Test(t, resource.TestCase{
		ErrorCheck: namesAll("prod"),
		Steps: []resource.TestStep{
			{ProtoV6ProviderFactories: in(backend, "prod"), ConfigFile: everything},
			{ProtoV6ProviderFactories: in(backend, ""), ConfigFile: everything, PlanOnly: true, ExpectError: acctest.Says(refused)},
			{ProtoV6ProviderFactories: in(backend, ""), ConfigFile: everything, ExpectError: acctest.Says(`set account = "prod" on the resource`)},
			{ProtoV6ProviderFactories: in(backend, ""), ConfigFile: everything, Destroy: true, ExpectError: acctest.Says(refused)},
			{ProtoV6ProviderFactories: in(backend, "prod"), ConfigFile: everything, PlanOnly: true},
			// The way out that the refusal names, and a destroy after it.
			{ProtoV6ProviderFactories: in(backend, ""), ConfigFile: everything, ConfigVariables: own("prod")},
			{ProtoV6ProviderFactories: in(backend, ""), ConfigFile: everything, ConfigVariables: own("prod"), Destroy: true},
		},
		CheckDestroy: exists(backend, "accounts/prod/pipelines/web", false),
	})
}

// TestRemovedWhileTheProvidersAccountMoves removes everything from the configuration
// while the provider's account is another one.
func TestRemovedWhileTheProvidersAccountMoves(t *testing.T) {
	t.Parallel()
	backend := start(t)
	empty := config.StaticFile("testdata/empty.tf")
	resource.Test(t, resource.TestCase{
		ErrorCheck: namesAll("prod"),
		Steps: []resource.TestStep{
			{ProtoV6ProviderFactories: in(backend, "prod"), ConfigFile: everything},
			{
				ProtoV6ProviderFactories: in(backend, "default"), ConfigFile: empty,
				ExpectError: acctest.Says(`set the provider's account to "prod" again (account in the provider block, or HEADRACE_ACCOUNT)`),
			},
			{
				ProtoV6ProviderFactories: in(backend, "prod"), ConfigFile: empty,
				Check: exists(backend, "accounts/prod/pipelines/web", false),
			},
		},
	})
}

// TestImportedWhileTheProvidersAccountMoves removes an imported object, which was never
// written, while the provider's account is another one.
func TestImportedWhileTheProvidersAccountMoves(t *testing.T) {
	t.Parallel()
	backend := start(t)
	_, err := backend.API.ApprovalRules.CreateApprovalRule(t.Context(), &headracev1.CreateApprovalRuleRequest{
		ApprovalRule: &headracev1.ApprovalRule{
			Name: "accounts/prod/approvalRules/release", MinimumCount: 1,
			Selector:       &headracev1.ApprovalSelector{Pipelines: []string{"web"}},
			NewerExecution: headracev1.NewerExecution_NEWER_EXECUTION_WAIT,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	empty := config.StaticFile("testdata/empty.tf")
	resource.Test(t, resource.TestCase{
		Steps: []resource.TestStep{
			{ProtoV6ProviderFactories: in(backend, "prod"), ConfigFile: config.StaticFile("testdata/imported.tf")},
			{ProtoV6ProviderFactories: in(backend, ""), ConfigFile: empty, ExpectError: acctest.Says("Whether its configuration set account is not recorded")},
			{ProtoV6ProviderFactories: in(backend, "prod"), ConfigFile: empty},
		},
	})
}

// TestOwnAccount destroys what names its account itself, whatever the provider's is.
func TestOwnAccount(t *testing.T) {
	t.Parallel()
	backend := start(t)
	resource.Test(t, resource.TestCase{
		Steps: []resource.TestStep{
			{ProtoV6ProviderFactories: in(backend, "default"), ConfigFile: everything, ConfigVariables: own("prod")},
			{
				ProtoV6ProviderFactories: in(backend, ""), ConfigFile: config.StaticFile("testdata/empty.tf"),
				Check: exists(backend, "accounts/prod/pipelines/web", false),
			},
		},
	})
}

// TestIntendedMove names another account on the resources, which replaces them.
func TestIntendedMove(t *testing.T) {
	t.Parallel()
	backend := start(t)
	moves := []plancheck.PlanCheck{
		plancheck.ExpectResourceAction("headrace_pipeline.web", plancheck.ResourceActionDestroyBeforeCreate),
		plancheck.ExpectResourceAction("headrace_approval_rule.release", plancheck.ResourceActionDestroyBeforeCreate),
	}
	resource.Test(t, resource.TestCase{
		Steps: []resource.TestStep{
			{ProtoV6ProviderFactories: in(backend, "prod"), ConfigFile: everything},
			{
				ProtoV6ProviderFactories: in(backend, ""), ConfigFile: everything, ConfigVariables: own("default"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: moves},
				Check: resource.ComposeTestCheckFunc(
					exists(backend, "accounts/prod/pipelines/web", false), exists(backend, "accounts/default/pipelines/web", true)),
			},
		},
	})
}

// TestAccountMovesAfterThePlan applies a plan where the provider's account is another one
// than when it was made.
func TestAccountMovesAfterThePlan(t *testing.T) {
	t.Parallel()
	backend := start(t)
	var account atomic.Value
	account.Store("prod")
	moving := factories{"headrace": providerserver.NewProtocol6WithError(provider.New("test", func(name string) string {
		if name == client.EnvAccount {
			named, _ := account.Load().(string)
			return named
		}
		return map[string]string{client.EnvEndpoint: backend.Endpoint, client.EnvToken: backend.AdminToken}[name]
	})())}
	move := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(func(context.Context) error {
		account.Store("default")
		return nil
	})}}
	back := func() { account.Store("prod") }
	empty := config.StaticFile("testdata/empty.tf")
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: moving,
		Steps: []resource.TestStep{
			// Terraform compares what it plans for a create once more, and blames the provider.
			{ConfigFile: everything, ConfigPlanChecks: move, ExpectError: acctest.Says("inconsistent final plan")},
			{PreConfig: back, ConfigFile: everything, Check: exists(backend, "accounts/default/pipelines/web", false)},
			{ConfigFile: empty, ConfigPlanChecks: move, ExpectError: acctest.Says("which it took from the provider")},
			{PreConfig: back, ConfigFile: everything, PlanOnly: true},
		},
	})
}

// TestUnknownAccount does not refuse what only the apply will know.
func TestUnknownAccount(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"unknown", "own_unknown"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			backend := start(t)
			step := func(generation int) resource.TestStep {
				return resource.TestStep{
					ProtoV6ProviderFactories: in(backend, ""),

					ConfigFile: config.StaticFile("testdata/" + file + ".tf"), ConfigVariables: config.Variables{"generation": config.IntegerVariable(generation)},
				}
			}
			// The account is known after the first apply, and unknown again while the second
			// one is planned. Nothing is replaced.
			stays := step(2)
			stays.ConfigPlanChecks.PreApply = []plancheck.PlanCheck{notReplaced("headrace_approval_rule.release")}
			resource.Test(t, resource.TestCase{Steps: []resource.TestStep{step(1), stays}})
		})
	}
}

// notReplaced fails where a plan replaces or deletes the resource.
type notReplaced string

// CheckPlan looks at the actions of the plan.
func (n notReplaced) CheckPlan(_ context.Context, request plancheck.CheckPlanRequest, response *plancheck.CheckPlanResponse) {
	for _, change := range request.Plan.ResourceChanges {
		if change.Address == string(n) && (change.Change.Actions.Replace() || change.Change.Actions.Delete()) {
			response.Error = fmt.Errorf("%s is planned to %v", n, change.Change.Actions)
		}
	}
}

// exists checks whether the backend has the pipeline.
func exists(backend *acctest.Backend, name string, want bool) resource.TestCheckFunc {
	return func(*terraform.State) error {
		_, err := backend.API.Pipelines.GetPipeline(context.Background(), &headracev1.GetPipelineRequest{Name: name})
		if err != nil && !client.IsNotFound(err) {
			return err
		}
		if found := err == nil; found != want {
			return fmt.Errorf("%s exists: %v, want %v", name, found, want)
		}
		return nil
	}
}
