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

// TestDynamicBlocks shows that the words name the stage and the action at fault, since
// Terraform shows the line of the dynamic block, or of another block.
func TestDynamicBlocks(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{
		"dynamic_blocks":        `Stage "Deploy", action "Fleet", environment variable "HOST_1": the value is empty; give it a value or remove its entry.`,
		"dynamic_run_order":     `Stage "Deploy", action "Fleet": Attribute stage[2].action[1].run_order value must be at least 1, got: 0`,
		"dynamic_before_static": `Stage "Deploy", action "Approve": action type Approval/AWS/Manual/1 is not supported by this version of Headrace`,
		"null_command":          `Stage "Build", action "Compile", command 2: the command is empty; give it a value or remove its entry.`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Offline(),
				Steps: []resource.TestStep{{
					ConfigFile: config.StaticFile("testdata/invalid/" + name + ".tf"), PlanOnly: true, ExpectError: acctest.Says(says),
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
		"artifact_not_produced":      {`input_artifacts = ["sources"]`, `Stage "Build", action "Compile", input artifact 1: no earlier action produces artifact "sources" (did you mean "source"?)`},
		"beside_unknown_blocks":      {`execution_mode = "SERIAL"`, `Execution mode "SERIAL" is not known`},
		"condition_rule":             {`provider = "Weather"`, `Stage "Build", before_entry, rule "window": rule type Weather is not supported by this version of Headrace; use one of`},
		"duplicate_stage":            {`name = "Source"`, `Stage "Source" occurs more than once`},
		"empty_description":          {`description = ""`, "Attribute description string length must be at least 1"},
		"empty_environment_value":    {`value = ""`, `Stage "Build", action "Compile", environment variable "TARGET": the value is empty; give it a value or remove its entry.`},
		"exclusive_configuration":    {`Tag`, `Stage "Source", action "Fetch", configuration "Tag": Branch and Tag cannot both be set; keep one of Branch, Tag, Commit.`},
		"execution_mode":             {`execution_mode = "SERIAL"`, `Execution mode "SERIAL" is not known; use one of SUPERSEDED, QUEUED, PARALLEL.`},
		"on_update":                  {`on_update = "abort"`, `on_update "abort" is not known; use one of finish, cancel.`},
		"window_seconds":             {`Cron = "0 * 9-16 ? * MON-FRI"`, `Stage "Build", before_entry, rule "check", configuration "Cron": second "0": a window consists of whole minutes`},
		"window_zone":                {`TimeZone = "Mars/Olympus"`, `Stage "Build", before_entry, rule "check", configuration "TimeZone": there is no time zone "Mars/Olympus"`},
		"expression":                 {`Expression = "trigger.user == \"ann\""`, `Stage "Build", before_entry, rule "check", configuration "Expression": line 1, column 1: trigger has type, detail and principal`},
		"expression_variable":        {`Expression = "variables.hosts == \"\""`, `Stage "Build", on_success, rule "check", configuration "Expression": variables.hosts has no value`},
		"environment_of_rule":        {`environment_variable {`, `Stage "Build", before_entry, rule "check": an Expression rule takes no environment variables; only a Commands rule does`},
		"rule_needs_aws":             {`provider = "CloudWatchAlarm"`, `Stage "Build", on_failure, rule "check": rule type CloudWatchAlarm is not supported by this version of Headrace`},
		"rollback_beside_condition":  {`result = "ROLLBACK"`, `Stage "Build", on_failure: ROLLBACK as the result rolls back whatever the condition says`},
		"skip_after_failure":         {`result = "SKIP"`, `Stage "Build", on_failure: a stage that has failed cannot be skipped any more`},
		"skip_with_commands":         {`provider = "Commands"`, `Stage "Build", before_entry, rule "smoke": the result SKIP works only with`},
		"rollback_that_never_is":     {`on_rollback {`, `Stage "Build": on_rollback has no effect, because the stage never rolls back automatically`},
		"retry_mode":                 {`retry_mode = "SOME_ACTIONS"`, `Stage "Build", on_failure: retry mode "SOME_ACTIONS" is not known`},
		"rule_variable":              {`Variable = "#{build.VERSION}"`, `Stage "Build", on_failure, rule "version", configuration "Variable": #{build.VERSION} has no value`},
		"one_stage":                  {`resource "headrace_pipeline" "web" {`, `1 stage given; at least 2 needed.`},
		"output_file":                {`binary = ["bin/*", "../secret"]`, `Stage "Build", action "Compile", output artifact 1, file 2: file pattern "../secret" leaves the work directory`},
		"output_file_of_no_artifact": {`binery`, `Stage "Build", action "Compile", output_artifact_files "binery": the action has no output artifact "binery" (did you mean "binary"?)`},
		"pipeline_name":              {`name = "my web"`, `Pipeline "my web" has ' ' in it; use 1 to 100 of A-Z a-z 0-9 . @ _ -.`},
		"publish_inline":             {`publish = "explicit"`, "Every apply that changes an inline pipeline publishes it."},
		"reference_in_command":       {`commands`, `Stage "Build", action "Compile", command 1: a command may not hold #{variables.who}, since the value would become shell code`},
		"required_configuration":     {`configuration = {`, `Stage "Source", action "Fetch", configuration "RepositoryUrl": Source/Headrace/Git/1 needs the configuration key "RepositoryUrl"; give it a value.`},
		"role_arn":                   {`role_arn = `, `role_arn is not supported by this version of Headrace; remove role_arn.`},
		"run_order":                  {`run_order = 1000`, `Stage "Build", action "Compile": run_order is 1000; use 1 to 999, or leave it out for 1.`},
		"run_order_zero":             {`run_order = 0`, `Stage "Build", action "Compile": Attribute stage[1].action[0].run_order value must be at least 1, got: 0`},
		"source_in_second_stage":     {`category = "Source"`, `Stage "Build", action "Compile": source actions belong in the first stage; move action "Compile" there.`},
		"trigger_source":             {`source_action_name = "Fetch"`, `Trigger 1: source action "Fetch" has no configuration key "Connection"; a trigger watches a repository through a connection`},
		"trigger_pattern":            {`includes = ["feature/{a,{b,c}}"]`, `Trigger 1, push 1, include 1: "feature/{a,{b,c}}" is not a valid pattern: groups in braces cannot be nested`},
		"detect_without_connection":  {`DetectChanges`, `Stage "Source", action "Fetch", configuration "DetectChanges": DetectChanges needs a connection`},
		"trigger":                    {`source_action_name = "Fetching"`, `Trigger 1: there is no source action "Fetching" (did you mean "Fetch"?)`},
		"two_before_entry":           {`stage {`, `Stage "Build": Attribute stage[1].before_entry list must contain at most 1 elements, got: 2`},
		"unknown_configuration":      {`Branches`, `Stage "Source", action "Fetch", configuration "Branches": Source/Headrace/Git/1 has no configuration key "Branches" (did you mean "Branch"?)`},
		"unknown_provider":           {`provider = "Command"`, `Stage "Build", action "Compile": action type Build/Headrace/Command/1 is not supported by this version of Headrace`},
		"variable_without_producer":  {`value = "#{source.CommitId}"`, `Stage "Build", action "Compile", environment variable "COMMIT": #{source.CommitId} has no value: no earlier action has the namespace "source".`},
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
