package triggermatches_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

func TestMain(m *testing.M) {
	acctest.Main(m)
}

// TestTriggerMatches decides offline, on an object and on a block of a pipeline.
func TestTriggerMatches(t *testing.T) {
	t.Parallel()
	result := func(matched bool, reason, message string) knownvalue.Check {
		return knownvalue.ObjectExact(map[string]knownvalue.Check{
			"matched": knownvalue.Bool(matched), "reason": knownvalue.StringExact(reason), "message": knownvalue.StringExact(message),
		})
	}
	checks := map[string]knownvalue.Check{
		"included":     result(true, "MATCHED", `push[0]: branch "main" matches "main"; file "web/a.js" matches "web/**"`),
		"excluded":     result(false, "FILES_EXCLUDED", `push[0]: branch "main" matches "main", and the only changed file "web/README.md" is excluded by "**/*.md"`),
		"tag":          result(true, "MATCHED", `push[1]: tag "v1.0" matches "v*"`),
		"moved_tag":    result(false, "TAG_MOVED", `tag "v1.0" moved from an unknown commit to an unknown commit, and moved_tag is refuse`),
		"deleted":      result(false, "REF_DELETED", `branch "main" was deleted`),
		"skipped":      result(false, "SKIP_MARKER", `the head commit says "[skip ci]"`),
		"pull_request": result(true, "MATCHED", `pull_request[0]: destination branch "main" matches "main"`),
		"fork":         result(false, "FORK", "pull request 7 comes from a fork, and pull requests from forks start no executions"),
		"closed":       result(false, "EVENT_NOT_INCLUDED", "pull_request[0]: the event is CLOSED, and the entry has OPEN, UPDATED"),
		"unfiltered":   result(true, "MATCHED", `branch "any" was pushed`),
		"marker_off":   result(true, "MATCHED", `push[0]: branch "main" is not excluded`),
		"of_a_block":   result(true, "MATCHED", `push[0]: branch "main" matches "main"`),
	}
	var states []statecheck.StateCheck
	for name, check := range checks {
		states = append(states, statecheck.ExpectKnownOutputValue(name, check))
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Offline(),
		Steps:                    []resource.TestStep{{ConfigFile: config.StaticFile("testdata/matches.tf"), ConfigStateChecks: states}},
	})
}

func TestInvalidArguments(t *testing.T) {
	t.Parallel()
	const main = `{ branch = "main" }`
	const required = "terraform {\n  required_providers {\n    headrace = { source = \"hashicorp/headrace\" }\n  }\n}\n"
	for name, c := range map[string]struct{ trigger, event, says string }{
		"pattern":       {`{ push = [{ branches = { includes = ["["] } }] }`, main, `git.push[0].branches.includes[0]: "[" is not a valid pattern`},
		"typo":          {`{ push = [{ branch = { includes = ["a"] } }] }`, main, `trigger.push[0] has no "branch" (did you mean "branches"?)`},
		"list":          {`{ push = [{ branches = { includes = "a" } }] }`, main, `trigger.push[0].branches.includes is not a list of texts`},
		"word":          {`{ new_branch = "x" }`, main, `git.new_branch: new_branch "x" is not known`},
		"no object":     {`"x"`, main, `trigger is not an object`},
		"no files":      {`{ push = [{ file_paths = { includes = ["a"] } }] }`, main, `the event has none; add files`},
		"no event":      {`{}`, `{}`, `event needs exactly one of branch, tag and pull_request`},
		"two events":    {`{}`, `{ branch = "a", tag = "b" }`, `event needs exactly one of branch, tag and pull_request`},
		"event of what": {`{ pull_request = [{}] }`, `{ pull_request = { event = "MERGED" } }`, `event.pull_request.event is not one of OPEN, UPDATED, CLOSED`},
		"truth":         {`{}`, `{ branch = "a", created = "perhaps" }`, `event.created is not true or false`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Offline(),
				Steps: []resource.TestStep{{
					Config:      required + "output \"x\" {\n  value = provider::headrace::trigger_matches(" + c.trigger + ", " + c.event + ")\n}\n",
					ExpectError: acctest.Says(c.says),
				}},
			})
		})
	}
}
