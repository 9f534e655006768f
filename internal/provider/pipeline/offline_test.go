package pipeline_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

func TestMain(m *testing.M) {
	acctest.Main(m)
}

// TestPlanNeedsNoServer also plans what is not known yet: single values, whole
// lists, and blocks of which nobody knows how many there will be.
func TestPlanNeedsNoServer(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"inline", "unknown_values", "unknown_blocks", "unknown_gates"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Offline(),
				Steps: []resource.TestStep{{
					ConfigFile:         config.StaticFile("testdata/" + name + ".tf"),
					PlanOnly:           true,
					ExpectNonEmptyPlan: true,
				}},
			})
		})
	}
}

// TestInvalidConfigurations shows that what is wrong fails at plan time, without
// a server, at the line that is wrong.
func TestInvalidConfigurations(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ line, says string }{
		"account_name":               {`account = "a/b"`, `Account "a/b" has '/' in it`},
		"artifact_not_produced":      {`input_artifacts = ["sources"]`, `No earlier action produces artifact "sources" (did you mean "source"?)`},
		"beside_unknown_blocks":      {`execution_mode = "SERIAL"`, `Execution mode "SERIAL" is not known`},
		"condition_rule":             {`provider = "Weather"`, `Rule provider "Weather" is not known; use one of`},
		"duplicate_stage":            {`name = "Source"`, `Stage "Source" occurs more than once`},
		"empty_description":          {`description = ""`, "Attribute description string length must be at least 1"},
		"empty_environment_value":    {`value = ""`, `The value of environment variable "TARGET" of action "Compile" is empty; give it a value or remove its entry.`},
		"exclusive_configuration":    {`Tag`, `Branch and Tag exclude each other; keep one of Branch, Tag, Commit.`},
		"execution_mode":             {`execution_mode = "SERIAL"`, `Execution mode "SERIAL" is not known; use one of SUPERSEDED, QUEUED, PARALLEL.`},
		"on_update":                  {`on_update = "abort"`, `on_update "abort" is not known; use one of finish, cancel.`},
		"window_seconds":             {`Cron = "0 * 9-16 ? * MON-FRI"`, `Second "0": a window consists of whole minutes`},
		"window_zone":                {`TimeZone = "Mars/Olympus"`, `There is no time zone "Mars/Olympus"`},
		"expression":                 {`Expression = "trigger.user == \"ann\""`, `Line 1, column 1: trigger has type, detail and principal`},
		"expression_variable":        {`Expression = "variables.hosts == \"\""`, `variables.hosts has no value`},
		"environment_of_rule":        {`environment_variable {`, `Only a Commands rule takes environment variables`},
		"rule_needs_aws":             {`provider = "CloudWatchAlarm"`, `Rules of CloudWatchAlarm need AWS and are not run by this version`},
		"rollback_beside_condition":  {`result = "ROLLBACK"`, `ROLLBACK as the result rolls back whatever the condition says`},
		"skip_after_failure":         {`result = "SKIP"`, `A stage that has failed cannot be skipped any more`},
		"skip_with_commands":         {`provider = "Commands"`, `The result SKIP goes with rules of`},
		"retry_mode":                 {`retry_mode = "SOME_ACTIONS"`, `Retry mode "SOME_ACTIONS" is not known`},
		"rule_variable":              {`Variable = "#{build.VERSION}"`, `#{build.VERSION} has no value`},
		"one_stage":                  {`resource "headrace_pipeline" "web" {`, `1 stage given; at least 2 needed.`},
		"output_file":                {`binary = ["bin/*", "../secret"]`, `File pattern "../secret" leaves the work directory`},
		"output_file_of_no_artifact": {`binery`, `The action has no output artifact "binery" (did you mean "binary"?)`},
		"pipeline_name":              {`name = "my web"`, `Pipeline "my web" has ' ' in it; use 1 to 100 of A-Z a-z 0-9 . @ _ -.`},
		"publish_inline":             {`publish = "explicit"`, "Every apply that changes an inline pipeline publishes it."},
		"reference_in_command":       {`commands`, `A command may not hold #{variables.who}, since the value would become shell code`},
		"required_configuration":     {`configuration = {`, `Source/Headrace/Git/1 needs the configuration key "RepositoryUrl"; give it a value.`},
		"role_arn":                   {`role_arn = `, `IAM roles are not used by this version of Headrace; remove role_arn.`},
		"run_order":                  {`run_order = 1000`, `run_order is 1000; use 1 to 999, or leave it out for 1.`},
		"run_order_zero":             {`run_order = 0`, `Attribute stage[1].action[0].run_order value must be at least 1, got: 0`},
		"source_in_second_stage":     {`category = "Source"`, `Source actions belong in the first stage; move action "Compile" there.`},
		"triggers_are_not_run":       {`provider_type`, `Triggers are not run by this version of Headrace; remove the trigger and`},
		"trigger":                    {`source_action_name = "Fetching"`, `There is no source action "Fetching" (did you mean "Fetch"?)`},
		"two_before_entry":           {`stage {`, `Attribute stage[1].before_entry list must contain at most 1 elements, got: 2`},
		"unknown_configuration":      {`Branches`, `Source/Headrace/Git/1 has no configuration key "Branches" (did you mean "Branch"?)`},
		"unknown_provider":           {`provider = "Command"`, `Action type Build/Headrace/Command/1 is not run by this version of Headrace`},
		"variable_without_producer":  {`value = "#{source.CommitId}"`, `#{source.CommitId} has no value: no earlier action has the namespace "source".`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Offline(),
				Steps: []resource.TestStep{{
					ConfigFile:  config.StaticFile("testdata/invalid/" + name + ".tf"),
					PlanOnly:    true,
					ExpectError: acctest.Underlined("headrace_pipeline.web", test.line, test.says),
				}},
			})
		})
	}
}
