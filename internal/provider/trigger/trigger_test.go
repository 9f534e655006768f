package trigger_test

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

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

const (
	address = "headrace_trigger.web"
	name    = "accounts/default/triggers/web"
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

func value(check knownvalue.Check, attribute string, below ...any) statecheck.StateCheck {
	at := tfjsonpath.New(attribute)
	for _, step := range below {
		switch step := step.(type) {
		case int:
			at = at.AtSliceIndex(step)
		case string:
			at = at.AtMapKey(step)
		}
	}
	return statecheck.ExpectKnownValue(address, at, check)
}

func stored(ctx context.Context, t *testing.T, backend *acctest.Backend) *headracev1.DeclaredTrigger {
	t.Helper()
	found, err := backend.API.Triggers.GetTrigger(ctx, &headracev1.GetTriggerRequest{Name: name})
	require.NoError(t, err)
	return found.GetTrigger()
}

func TestLife(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	imports := func(id string) resource.TestStep {
		return resource.TestStep{ResourceName: address, ImportState: true, ImportStateId: id, ImportStateVerify: true}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("first"), ConfigStateChecks: []statecheck.StateCheck{
				value(knownvalue.StringExact(name), "id"), value(knownvalue.StringExact("default"), "account"),
				value(knownvalue.Null(), "description"), value(knownvalue.Null(), "variables"), value(knownvalue.Null(), "git", 0, "connection"),
				value(knownvalue.StringExact("compare_default"), "git", 0, "new_branch"), value(knownvalue.StringExact("refuse"), "git", 0, "moved_tag"),
				value(knownvalue.Bool(true), "git", 0, "skip_markers"), value(knownvalue.StringExact("start"), "git", 0, "on_unknown_diff"),
				value(knownvalue.StringExact("latest"), "git", 0, "coalesce"),
			}},
			imports("web"),
			{ConfigFile: file("filtered"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate), ConfigStateChecks: []statecheck.StateCheck{
				acctest.Afterwards(func(ctx context.Context) error {
					git := stored(ctx, t, backend).GetGit()
					require.Equal(t, headracev1.NewBranch_NEW_BRANCH_START, git.GetNewBranch())
					require.Equal(t, headracev1.MovedTag_MOVED_TAG_ALLOW, git.GetMovedTag())
					require.Equal(t, headracev1.UnknownDiff_UNKNOWN_DIFF_IGNORE, git.GetOnUnknownDiff())
					require.Equal(t, headracev1.Coalesce_COALESCE_EACH, git.GetCoalesce())
					require.False(t, git.GetSkipMarkers())
					require.Equal(t, "accounts/default/connections/forge", git.GetConnection())
					require.Equal(t, []string{"main", "release/**"}, git.GetPush()[0].GetBranches().GetIncludes())
					require.Equal(t, []string{"v*"}, git.GetPush()[1].GetTags().GetIncludes())
					require.Equal(t, []string{"OPEN", "UPDATED"}, git.GetPullRequest()[0].GetEvents())
					return nil
				}),
			}},
			imports(name),
			{ConfigFile: file("event"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate), ConfigStateChecks: []statecheck.StateCheck{
				value(knownvalue.ListSizeExact(0), "git"), value(knownvalue.StringExact("$.ref"), "webhook", 0, "filter", 0, "json_path"),
			}},
			imports("default/web"),
			// The trigger still uses the webhook.
			{ConfigFile: file("without_webhook"), ExpectError: acctest.Says(`webhook "releases" is used by accounts/default/triggers/web`)},
			{ResourceName: address, ImportState: true, ImportStateId: "a/b/c", ExpectError: acctest.Says("write TRIGGER, ACCOUNT/TRIGGER")},
			{ConfigFile: file("event"), ConfigPlanChecks: planned(plancheck.ResourceActionNoop)},
		},
	})
}

// TestInvalidConfigurations holds that a plan needs no server to find what is wrong with a
// trigger by itself.
func TestInvalidConfigurations(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ line, says string }{
		"no_block":       {"", "The trigger says nothing of what starts the pipeline"},
		"two_blocks":     {"", "The trigger has a git and a webhook block"},
		"bad_glob":       {`includes = ["main", "rel[ease"]`, `"rel[ease" is not a valid pattern`},
		"bad_word":       {`coalesce = "last"`, `Coalesce "last" is not known; use one of latest, each`},
		"bad_expression": {`when = "body.action =="`, ""},
		"connection_arn": {`connection    = "arn:headrace:connections::default:connection/forge"`, `Connection "arn:headrace:connections::default:connection/forge" has ':' in it`},
		"address":        {`repository    = "https://github.com/acme/web.git"`, `Repository "https://github.com/acme/web.git" is an address; write only its path`},
		"bad_path":       {`json_path = "$.ref["`, ""},
		"bad_variable":   {`variables = { Tag = "=event.ref +" }`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			says := acctest.Says(test.says)
			if test.line != "" {
				says = acctest.Underlined(address, test.line, test.says)
			}
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Offline(),
				Steps:                    []resource.TestStep{{ConfigFile: file(name), PlanOnly: true, ExpectError: says}},
			})
		})
	}
}

// TestPlanAsksTheServer holds that what only the server can find is in the plan, unless the
// same run changes the pipeline.
func TestPlanAsksTheServer(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("first")},
			{
				ConfigFile: file("wrong_action"), PlanOnly: true,
				ExpectError: acctest.Underlined(address, `source_action = "Chekout"`, `There is no source action "Chekout" in the pipeline`),
			},
			{
				ConfigFile: file("wrong_variable"), PlanOnly: true,
				ExpectError: acctest.Underlined(address, `variables = { Tga = "1" }`, `The pipeline has no variable "Tga"`),
			},
		},
	})
}

func TestUnknownBlocks(t *testing.T) {
	t.Parallel()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Start(t).Provider(),
		Steps:                    []resource.TestStep{{ConfigFile: file("unknown")}},
	})
}

func TestDriftAndConflict(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	describe := func(ctx context.Context) error {
		trigger := stored(ctx, t, backend)
		trigger.Description += "x"
		_, err := backend.API.Triggers.UpdateTrigger(ctx, &headracev1.UpdateTriggerRequest{Trigger: trigger})
		return err
	}
	remove := func(ctx context.Context) error {
		_, err := backend.API.Triggers.DeleteTrigger(ctx, &headracev1.DeleteTriggerRequest{Name: name})
		return err
	}
	// A pause is runtime state.
	pause := func() {
		_, err := backend.API.Triggers.PauseTrigger(t.Context(), &headracev1.PauseTriggerRequest{Name: name, Reason: "freeze"})
		require.NoError(t, err)
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file("filtered")},
			{PreConfig: pause, ConfigFile: file("filtered"), ConfigPlanChecks: planned(plancheck.ResourceActionNoop)},
			{
				PreConfig:  func() { require.NoError(t, describe(t.Context())) },
				ConfigFile: file("filtered"), ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
			},
			{
				ConfigFile:       file("first"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{acctest.Between(describe)}},
				ExpectError:      acctest.Says("It was changed by somebody else since this plan was made."),
			},
			{ConfigFile: file("first"), ConfigStateChecks: []statecheck.StateCheck{
				acctest.Afterwards(func(ctx context.Context) error {
					require.Equal(t, "freeze", stored(ctx, t, backend).GetPause().GetReason(), "an update keeps the pause")
					return nil
				}),
			}},
			{
				PreConfig:  func() { require.NoError(t, remove(t.Context())) },
				ConfigFile: file("first"), ConfigPlanChecks: planned(plancheck.ResourceActionCreate),
			},
		},
	})
}
