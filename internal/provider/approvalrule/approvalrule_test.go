package approvalrule_test

import (
	"context"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

const (
	address = "headrace_approval_rule.release"
	name    = "accounts/default/approvalRules/release"
)

func TestMain(m *testing.M) {
	acctest.Main(m)
}

func file(name string) func(config.TestStepConfigRequest) string {
	return config.StaticFile("testdata/" + name + ".tf")
}

func planned(action plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{
		PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, action)},
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	value := func(attribute string, check knownvalue.Check) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, tfjsonpath.New(attribute), check)
	}
	minimal := []statecheck.StateCheck{
		value("id", knownvalue.StringExact(name)), value("minimum_count", knownvalue.Int64Exact(1)),
		value("require_comment", knownvalue.Bool(false)), value("allow_starter", knownvalue.Bool(false)),
		value("newer_execution", knownvalue.StringExact("wait")),
		value("expire_after_minutes", knownvalue.Null()), value("description", knownvalue.Null()),
		value("stages", knownvalue.Null()), value("actions", knownvalue.Null()),
		value("users", knownvalue.Null()), value("groups", knownvalue.Null()),
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("minimal"), ConfigStateChecks: minimal},
			{
				ConfigFile: file("full"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{
					value("minimum_count", knownvalue.Int64Exact(2)), value("pipelines", knownvalue.SetSizeExact(3)),
					value("newer_execution", knownvalue.StringExact("supersede")),
				},
			},
			{ResourceName: address, ImportState: true, ImportStateId: "release", ImportStateVerify: true},
			{ResourceName: address, ImportState: true, ImportStateId: "default/release", ImportStateVerify: true},
			{ResourceName: address, ImportState: true, ImportStateId: name, ImportStateVerify: true},
			{ResourceName: address, ImportState: true, ImportStateId: "a/b/c", ExpectError: acctest.Says("write RULE, ACCOUNT/RULE")},
			{ConfigFile: file("minimal"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate), ConfigStateChecks: minimal},
			{
				ConfigFile: file("empty"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{value("users", knownvalue.SetSizeExact(0))},
			},
			{ConfigFile: file("renamed"), ConfigPlanChecks: planned(plancheck.ResourceActionDestroyBeforeCreate)},
		},
	})
}

func TestInvalidConfigurations(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ line, says string }{
		"invalid_count":   {`minimum_count = 0`, "minimum_count is 0; use 1 to 100"},
		"invalid_expiry":  {`expire_after_minutes = 0`, "Attribute expire_after_minutes value must be between 1 and 86400, got: 0"},
		"invalid_name":    {`name = "release it"`, `Approval rule "release it" has ' ' in it`},
		"no_pipelines":    {`pipelines = []`, "No pipeline is named; name at least one, or * for all."},
		"invalid_pattern": {`pipelines = ["web[", "shop"]`, `"web[" is not a valid pattern`},
		"never_met":       {`minimum_count = 3`, "3 people have to agree but only 2 may, so the rule could never be met"},
		"null_user":       {`users = ["ann", null]`, "This attribute contains a null value."},
		"invalid_newer":   {`newer_execution = "overtake"`, `Attribute newer_execution value must be one of: ["wait" "supersede"]`},
		"invalid_group":   {`groups = ["release-managers "]`, `"release-managers " is not a valid name: use 1 to 200 of A-Z a-z 0-9`},
		"empty_stage":     {`stages = [""]`, "The pattern is empty"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Offline(),
				Steps: []resource.TestStep{{
					ConfigFile: file(name), PlanOnly: true,
					ExpectError: acctest.Underlined(address, test.line, test.says),
				}},
			})
		})
	}
}

// stricter is a server of a later version, which refuses what this provider accepts.
type stricter struct {
	headracev1.ApprovalRuleServiceClient
}

func (stricter) CreateApprovalRule(
	context.Context, *headracev1.CreateApprovalRuleRequest, ...grpc.CallOption,
) (*headracev1.CreateApprovalRuleResponse, error) {
	refusal, err := status.New(codes.InvalidArgument, "the request is not valid").WithDetails(&errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "approval_rule.selector.pipelines[0]", Description: `"web" is reserved`}},
	})
	if err != nil {
		return nil, err
	}
	return nil, refusal.Err()
}

func TestRefusalOfTheServerShowsInThePlan(t *testing.T) {
	t.Parallel()
	api := *acctest.Start(t).API
	api.ApprovalRules = stricter{api.ApprovalRules}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderOf(&api),
		Steps: []resource.TestStep{{
			ConfigFile: file("minimal"), PlanOnly: true,
			ExpectError: acctest.Underlined(address, `pipelines = ["web"]`, `"web" is reserved`),
		}},
	})
}

// TestLongDescription counts characters, as the server does, and not bytes.
func TestLongDescription(t *testing.T) {
	t.Parallel()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Start(t).Provider(),
		Steps:                    []resource.TestStep{{ConfigFile: file("long_description")}},
	})
}

func TestUnknownValues(t *testing.T) {
	t.Parallel()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Start(t).Provider(),
		Steps:                    []resource.TestStep{{ConfigFile: file("unknown")}},
	})
}

func TestDisappears(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	remove := func(ctx context.Context) error {
		_, err := backend.API.ApprovalRules.DeleteApprovalRule(ctx, &headracev1.DeleteApprovalRuleRequest{Name: name})
		return err
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{
				ConfigFile: file("minimal"), ExpectNonEmptyPlan: true,
				ConfigStateChecks: []statecheck.StateCheck{acctest.Afterwards(remove)},
			},
			{ConfigFile: file("minimal"), ConfigPlanChecks: planned(plancheck.ResourceActionCreate)},
			{
				ConfigFile: file("minimal"), Destroy: true,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(remove)}},
			},
		},
	})
}

// TestDriftAndConflict also shows that a protection that somebody took away is
// noticed.
func TestDriftAndConflict(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	weaken := func(count int32) func(context.Context) error {
		return func(ctx context.Context) error {
			found, err := backend.API.ApprovalRules.GetApprovalRule(ctx, &headracev1.GetApprovalRuleRequest{Name: name})
			if err != nil {
				return err
			}
			rule := found.GetApprovalRule()
			rule.MinimumCount, rule.Groups, rule.RequireComment = count, nil, false
			rule.NewerExecution = headracev1.NewerExecution_NEWER_EXECUTION_WAIT
			_, err = backend.API.ApprovalRules.UpdateApprovalRule(ctx, &headracev1.UpdateApprovalRuleRequest{ApprovalRule: rule})
			return err
		}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("full")},
			{
				PreConfig:  func() { require.NoError(t, weaken(1)(t.Context())) },
				ConfigFile: file("full"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue(address, tfjsonpath.New("groups"), knownvalue.SetSizeExact(2)),
					statecheck.ExpectKnownValue(address, tfjsonpath.New("newer_execution"), knownvalue.StringExact("supersede")),
				},
			},
			{
				ConfigFile:       file("minimal"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(weaken(1))}},
				ExpectError:      acctest.Says("It was changed by somebody else since this plan was made."),
			},
			{ConfigFile: file("minimal")},
			{
				ConfigFile: file("minimal"), Destroy: true,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(weaken(3))}},
				ExpectError:      acctest.Says("It was changed by somebody else since this plan was made."),
			},
			{ConfigFile: file("minimal")},
		},
	})
}
