package pipeline_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// TestNotRunYet holds that what is right but does not run is refused by name,
// and for that reason only.
func TestNotRunYet(t *testing.T) {
	t.Parallel()
	type D = pipeline.Definition
	const arn = "arn:aws:iam::123456789012:role/deploy"
	for _, r := range []rule{
		{"role_arn", func(d *D) { d.RoleARN = arn }, "role_arn", "remove role_arn"},
		{"pipeline type", func(d *D) { d.PipelineType = "V1" }, "pipeline_type", "set it to V2"},
		{"artifact stores", func(d *D) { d.ArtifactStores = []pipeline.ArtifactStore{{Location: "bucket", Type: "S3"}} }, "artifact_stores[0]", "remove the artifact store"},
		{"alarm", func(d *D) { d.Stages[2].BeforeEntry = condition("FAIL", "CloudWatchAlarm") }, "stages[2].before_entry.rules[0].provider", "rule type CloudWatchAlarm is not supported by this version of Headrace"},
		{"CodeBuild rule", func(d *D) { d.Stages[2].OnSuccess = condition("FAIL", "CodeBuild") }, "stages[2].on_success.rules[0].provider", "rule type CodeBuild is not supported by this version of Headrace; use one of Commands"},
		{"LambdaInvoke rule", func(d *D) {
			d.Stages[2].OnFailure = &pipeline.OnFailure{Condition: condition("ROLLBACK", "LambdaInvoke")}
		}, "stages[2].on_failure.condition.rules[0].provider", "rule type LambdaInvoke is not supported"},
		{"skip by a Lambda", func(d *D) { d.Stages[2].BeforeEntry = condition("SKIP", "LambdaInvoke") }, "stages[2].before_entry.rules[0].provider", "rule type LambdaInvoke is not supported"},
		{"rule role_arn", func(d *D) {
			d.Stages[2].BeforeEntry = condition("FAIL", "Commands")
			d.Stages[2].BeforeEntry.Rules[0].RoleARN = arn
		}, "stages[2].before_entry.rules[0].role_arn", "remove role_arn"},
		{"rule region", func(d *D) {
			d.Stages[2].BeforeEntry = condition("FAIL", "Commands")
			d.Stages[2].BeforeEntry.Rules[0].Region = "eu-central-1"
		}, "stages[2].before_entry.rules[0].region", "remove region"},
		{"rule secrets manager", func(d *D) {
			d.Stages[2].BeforeEntry = condition("FAIL", "Commands")
			d.Stages[2].BeforeEntry.Rules[0].EnvironmentVariables[0].Type = "SECRETS_MANAGER"
		}, "stages[2].before_entry.rules[0].environment_variables[0].type", "not supported"},
		{"action role_arn", func(d *D) { compile(d).RoleARN = arn }, "stages[1].actions[0].role_arn", "remove role_arn"},
		{"action region", func(d *D) { compile(d).Region = "eu-central-1" }, "stages[1].actions[0].region", "remove region"},
		{"secrets manager", func(d *D) { compile(d).EnvironmentVariables[0].Type = "SECRETS_MANAGER" }, "stages[1].actions[0].environment_variables[0].type", "not supported"},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			def := base()
			r.change(def)
			err := pipeline.Validate(def, catalog.Builtin())
			requireViolation(t, err, r.path, r.want)
			require.Len(t, violations(t, err), 1, "%v", err)
		})
	}
}

func condition(result pipeline.Result, provider string) *pipeline.Condition {
	configuration := map[string]map[string]string{
		"VariableCheck":    {"Variable": "#{Src.CommitId}", "Value": "x", "Operator": "NE"},
		"CloudWatchAlarm":  {"AlarmName": "errors", "WaitTime": "5"},
		"DeploymentWindow": {"Cron": "* * 9-17 ? * MON-FRI"},
		"LambdaInvoke":     {"FunctionName": "f"},
		"CodeBuild":        {"ProjectName": "p"},
		"Expression":       {"Expression": `outputs.Src.CommitId != "" && variables.region == "eu"`},
	}
	rule := pipeline.Rule{Name: "Check", Provider: provider, Version: "1", Configuration: configuration[provider]}
	if provider == "Commands" {
		rule.Commands, rule.InputArtifacts = []string{"true"}, []string{"Code"}
		rule.EnvironmentVariables = []pipeline.EnvironmentVariable{{Name: "COMMIT", Value: "#{Src.CommitId}"}}
	}
	return &pipeline.Condition{Result: result, Rules: []pipeline.Rule{rule}}
}

// conditioned is base with every kind of condition that runs.
func conditioned() *pipeline.Definition {
	def := base()
	def.OnUpdate = pipeline.OnUpdateCancel
	stage := &def.Stages[1]
	stage.BeforeEntry = &pipeline.Condition{Result: "FAIL"}
	for _, provider := range []string{"DeploymentWindow", "Expression", "VariableCheck", "Commands"} {
		rule := condition("FAIL", provider).Rules[0]
		rule.Name = provider
		stage.BeforeEntry.Rules = append(stage.BeforeEntry.Rules, rule)
	}
	stage.BeforeEntry.Rules[0].Configuration["TimeZone"] = "Europe/Berlin"
	stage.OnSuccess = condition("ROLLBACK", "Commands")
	stage.OnSuccess.Rules[0].TimeoutInMinutes = 5
	stage.OnFailure = &pipeline.OnFailure{Result: "RETRY", RetryMode: "ALL_ACTIONS", Condition: condition("ROLLBACK", "VariableCheck")}
	stage.OnFailure.Condition.Rules[0].Configuration["Operator"] = "MATCHES"
	def.Stages[2].BeforeEntry = condition("SKIP", "Expression")
	def.Stages[2].OnFailure = &pipeline.OnFailure{Result: "ROLLBACK"}
	for i := range def.Stages[1:] {
		def.Stages[1+i].OnRollback = pipeline.OnRollback{SkipConditions: true, SkipApprovals: true}
	}
	return def
}

func TestConditionsThatRun(t *testing.T) {
	t.Parallel()
	type D = pipeline.Definition
	require.NoError(t, pipeline.Validate(conditioned(), catalog.Builtin()))
	for name, change := range map[string]func(d *D){
		"window": func(d *D) { d.Stages[2].BeforeEntry = condition("FAIL", "DeploymentWindow") },
		"window from variables": func(d *D) {
			d.Stages[2].BeforeEntry = condition("FAIL", "DeploymentWindow")
			d.Stages[2].BeforeEntry.Rules[0].Configuration = map[string]string{"Cron": "* * #{variables.region} ? * *", "TimeZone": "#{variables.region}"}
		},
		"variable check":            func(d *D) { d.Stages[2].BeforeEntry = condition("SKIP", "VariableCheck") },
		"variable without variable": func(d *D) { onlyRule(d, "VariableCheck").Configuration["Variable"] = "constant" },
		"operator from a variable":  func(d *D) { onlyRule(d, "VariableCheck").Configuration["Operator"] = "#{variables.region}" },
		"pattern from a variable": func(d *D) {
			c := onlyRule(d, "VariableCheck").Configuration
			c["Operator"], c["Value"] = "MATCHES", "(#{variables.region}"
		},
		"expression with what CEL alone would refuse as text": func(d *D) {
			onlyRule(d, "Expression").Configuration["Expression"] = `"##".matches("^#{2}$")`
		},
		"fail after failure":                func(d *D) { d.Stages[2].OnFailure = &pipeline.OnFailure{Result: "FAIL"} },
		"condition with fail after failure": func(d *D) { d.Stages[2].OnFailure = &pipeline.OnFailure{Condition: condition("FAIL", "Commands")} },
		"retry of the sources":              func(d *D) { d.Stages[0].OnFailure = &pipeline.OnFailure{Result: "RETRY"} },
		"conditions of the sources": func(d *D) {
			d.Stages[0].BeforeEntry = condition("SKIP", "Expression")
			d.Stages[0].BeforeEntry.Rules[0].Configuration["Expression"] = "execution.number > 1"
		},
		"conditions in parallel": func(d *D) {
			d.ExecutionMode = pipeline.Parallel
			d.Stages[2].OnSuccess = condition("FAIL", "Expression")
		},
		"on_update finish": func(d *D) { d.OnUpdate = pipeline.OnUpdateFinish },
		"expression of what the stage leaves": func(d *D) {
			d.Stages[1].OnSuccess = condition("FAIL", "Expression")
			d.Stages[1].OnSuccess.Rules[0].Configuration["Expression"] = `outputs.Build.VERSION.startsWith("1.")`
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			def := base()
			change(def)
			require.NoError(t, pipeline.Validate(def, catalog.Builtin()))
		})
	}
}

// onlyRule gives the last stage a condition with one rule, and returns it.
func onlyRule(d *pipeline.Definition, provider string) *pipeline.Rule {
	d.Stages[2].BeforeEntry = condition("FAIL", provider)
	return &d.Stages[2].BeforeEntry.Rules[0]
}

func TestStoreRules(t *testing.T) {
	t.Parallel()
	type D = pipeline.Definition
	stores := func(s ...pipeline.ArtifactStore) func(d *D) {
		return func(d *D) { d.ArtifactStores = s }
	}
	runRules(t, []rule{
		{"type", stores(pipeline.ArtifactStore{Location: "bucket"}), "artifact_stores[0].type", "use one of S3"},
		{"location", stores(pipeline.ArtifactStore{Location: "a_b", Type: "S3"}), "artifact_stores[0].location", "not the name of a bucket"},
		{"location too short", stores(pipeline.ArtifactStore{Location: "ab", Type: "S3"}), "artifact_stores[0].location", "use 3 to 63"},
		{"region", stores(pipeline.ArtifactStore{Location: "abc", Type: "S3", Region: "x"}), "artifact_stores[0].region", "not the name of an AWS region"},
		{"rule 12: several without region", stores(
			pipeline.ArtifactStore{Location: "abc", Type: "S3"}, pipeline.ArtifactStore{Location: "abd", Type: "S3", Region: "eu-west-1"},
		), "artifact_stores[0].region", "needs a region"},
		{"rule 12: region twice", stores(
			pipeline.ArtifactStore{Location: "abc", Type: "S3", Region: "eu-west-1"}, pipeline.ArtifactStore{Location: "abd", Type: "S3", Region: "eu-west-1"},
		), "artifact_stores[1].region", "more than one artifact store"},
		{"key without id", stores(pipeline.ArtifactStore{Location: "abc", Type: "S3", EncryptionKeyType: "KMS"}), "artifact_stores[0].encryption_key_id", "name the key"},
		{"key too long", stores(pipeline.ArtifactStore{
			Location: "abc", Type: "S3", EncryptionKeyType: "KMS", EncryptionKeyID: strings.Repeat("k", 401),
		}), "artifact_stores[0].encryption_key_id", "at most 400"},
		{"key type", stores(pipeline.ArtifactStore{Location: "abc", Type: "S3", EncryptionKeyID: "k"}), "artifact_stores[0].encryption_key_type", "use one of KMS"},
	})
}

func TestConditionRules(t *testing.T) {
	t.Parallel()
	type D = pipeline.Definition
	entry := func(change func(c *pipeline.Condition)) func(d *D) {
		return func(d *D) {
			c := condition("FAIL", "VariableCheck")
			change(c)
			d.Stages[1].BeforeEntry = c
		}
	}
	first := func(change func(r *pipeline.Rule)) func(d *D) {
		return entry(func(c *pipeline.Condition) { change(&c.Rules[0]) })
	}
	failure := func(f pipeline.OnFailure) func(d *D) {
		return func(d *D) { d.Stages[1].OnFailure = &f }
	}
	commands := func(change func(r *pipeline.Rule)) func(d *D) {
		return func(d *D) {
			d.Stages[1].BeforeEntry = condition("FAIL", "Commands")
			change(&d.Stages[1].BeforeEntry.Rules[0])
		}
	}
	expr := func(text string) func(d *D) {
		return func(d *D) {
			d.Stages[1].BeforeEntry = condition("FAIL", "Expression")
			d.Stages[1].BeforeEntry.Rules[0].Configuration["Expression"] = text
		}
	}
	const path = "stages[1].before_entry.rules[0]"
	runRules(t, []rule{
		{"result before entry", entry(func(c *pipeline.Condition) { c.Result = "ROLLBACK" }), "stages[1].before_entry.result", "use one of FAIL, SKIP"},
		{"result missing", entry(func(c *pipeline.Condition) { c.Result = "" }), "stages[1].before_entry.result", "missing"},
		{"rule 15: skip on success", func(d *D) { d.Stages[1].OnSuccess = condition("SKIP", "VariableCheck") }, "stages[1].on_success.result", "use one of ROLLBACK, FAIL"},
		{"rule 15: skip by commands", func(d *D) { d.Stages[1].BeforeEntry = condition("SKIP", "Commands") }, path + ".provider", "only with Expression and VariableCheck rules"},
		{"rule 14: condition", func(d *D) {
			d.ExecutionMode = pipeline.Parallel
			d.Stages[1].OnSuccess = condition("ROLLBACK", "VariableCheck")
		}, "stages[1].on_success.result", "cannot roll back"},
		{"rule 14: on failure", func(d *D) {
			d.ExecutionMode = pipeline.Parallel
			d.Stages[1].OnFailure = &pipeline.OnFailure{Result: "ROLLBACK"}
		}, "stages[1].on_failure.result", "cannot roll back"},
		{"no rules", entry(func(c *pipeline.Condition) { c.Rules = nil }), "stages[1].before_entry.rules", "at least 1"},
		{"too many rules", entry(func(c *pipeline.Condition) { c.Rules = make([]pipeline.Rule, 6) }), "stages[1].before_entry.rules", "at most 5"},
		{"rule twice", entry(func(c *pipeline.Condition) { c.Rules = append(c.Rules, c.Rules[0]) }), "stages[1].before_entry.rules[1].name", "more than once"},
		{"rule name", first(func(r *pipeline.Rule) { r.Name = "a b" }), path + ".name", `' ' in it`},
		{"rule provider", first(func(r *pipeline.Rule) { r.Provider = "VariablesCheck" }), path + ".provider", `did you mean "VariableCheck"?`},
		{"rule provider of none", first(func(r *pipeline.Rule) { r.Provider = "Jenkins" }), path + ".provider", "use one of Commands, "},
		{"rule version", first(func(r *pipeline.Rule) { r.Version = "2" }), path + ".version", "use 1"},
		{"rule key missing", first(func(r *pipeline.Rule) { delete(r.Configuration, "Value") }), path + `.configuration["Value"]`, "needs the configuration key"},
		{"rule key unknown", first(func(r *pipeline.Rule) { r.Configuration["Valeu"] = "x" }), path + `.configuration["Valeu"]`, `(did you mean "Value"?); it has Variable, Value, Operator`},
		{"rule key too long", first(func(r *pipeline.Rule) { r.Configuration[strings.Repeat("k", 51)] = "x" }), path + `.configuration["` + strings.Repeat("k", 51) + `"]`, "at most 50"},
		{"rule value too long", first(func(r *pipeline.Rule) { r.Configuration["Value"] = strings.Repeat("x", 10001) }), path + `.configuration["Value"]`, "at most 10000"},
		{"rule keys too many", first(func(r *pipeline.Rule) {
			for _, key := range repeat(201, numbered("k")) {
				r.Configuration[key] = "x"
			}
		}), path + ".configuration", "at most 200"},
		{"operator", first(func(r *pipeline.Rule) { r.Configuration["Operator"] = "==" }), path + `.configuration["Operator"]`, "use one of EQ"},
		{"commands elsewhere", first(func(r *pipeline.Rule) { r.Commands = []string{"true"} }), path + ".commands", "only a Commands rule"},
		{"commands missing", first(func(r *pipeline.Rule) { r.Provider, r.Configuration = "Commands", nil }), path + ".commands", "needs commands"},
		{"rule role arn", first(func(r *pipeline.Rule) { r.RoleARN = "x" }), path + ".role_arn", "not the ARN"},
		{"rule region", first(func(r *pipeline.Rule) { r.Region = "x" }), path + ".region", "not the name of an AWS region"},
		{"rule timeout", first(func(r *pipeline.Rule) { r.TimeoutInMinutes = 4 }), path + ".timeout_in_minutes", "use 5 to 86400"},
		{"rule input", first(func(r *pipeline.Rule) { r.InputArtifacts = []string{"Cod"} }), path + ".input_artifacts[0]", `did you mean "Code"?`},
		{"rule reference to its own stage", first(func(r *pipeline.Rule) { r.Configuration["Variable"] = "#{Build.VERSION}" }), path + `.configuration["Variable"]`, "use only what is there when the condition is checked"},
		{"on failure empty", failure(pipeline.OnFailure{}), "stages[1].on_failure", "says nothing"},
		{"on failure result", failure(pipeline.OnFailure{Result: "STOP"}), "stages[1].on_failure.result", "use one of ROLLBACK, RETRY, FAIL"},
		{"on failure skip", failure(pipeline.OnFailure{Result: "SKIP"}), "stages[1].on_failure.result", "cannot be skipped any more, since what comes after relies on it"},
		{
			"rollback beside a condition", failure(pipeline.OnFailure{Result: "ROLLBACK", Condition: condition("ROLLBACK", "VariableCheck")}),
			"stages[1].on_failure.result", "rolls back whatever the condition says",
		},
		{"retry mode", failure(pipeline.OnFailure{Result: "RETRY", RetryMode: "ALL"}), "stages[1].on_failure.retry_mode", "FAILED_ACTIONS"},
		{"retry mode without retry", failure(pipeline.OnFailure{Result: "ROLLBACK", RetryMode: "ALL_ACTIONS"}), "stages[1].on_failure.retry_mode", "RETRY only"},
		{"on failure condition", failure(pipeline.OnFailure{Condition: condition("RETRY", "VariableCheck")}), "stages[1].on_failure.condition.result", "use one of ROLLBACK, FAIL"},
		{"on failure condition without result", failure(pipeline.OnFailure{Condition: condition("", "VariableCheck")}), "stages[1].on_failure.condition.result", "is missing"},
		{"rule 14: condition of on failure", func(d *D) {
			d.ExecutionMode = pipeline.Parallel
			d.Stages[1].OnFailure = &pipeline.OnFailure{Condition: condition("ROLLBACK", "VariableCheck")}
		}, "stages[1].on_failure.condition.result", "cannot roll back"},
		{"first stage on failure", func(d *D) { d.Stages[0].OnFailure = &pipeline.OnFailure{Result: "ROLLBACK"} }, "stages[0].on_failure.result", "the first stage holds the sources and cannot roll back"},
		{"first stage on success", func(d *D) { d.Stages[0].OnSuccess = condition("ROLLBACK", "VariableCheck") }, "stages[0].on_success.result", "the first stage"},
		{"first stage condition of on failure", func(d *D) {
			d.Stages[0].OnFailure = &pipeline.OnFailure{Condition: condition("ROLLBACK", "Commands")}
		}, "stages[0].on_failure.condition.result", "the first stage"},
		{"rollback that never is", func(d *D) { d.Stages[1].OnRollback.SkipApprovals = true }, "stages[1].on_rollback", "the stage never rolls back automatically; give on_failure or on_success the result ROLLBACK"},
		{"rollback after a retry only", func(d *D) {
			d.Stages[1].OnFailure = &pipeline.OnFailure{Result: "RETRY", Condition: condition("FAIL", "VariableCheck")}
			d.Stages[1].OnRollback.SkipConditions = true
		}, "stages[1].on_rollback", "never rolls back automatically"},
		{"rollback of the first stage", func(d *D) { d.Stages[0].OnRollback.SkipApprovals = true }, "stages[0].on_rollback", "the first stage holds the sources"},
		{"rollback in PARALLEL mode", func(d *D) {
			d.ExecutionMode = pipeline.Parallel
			d.Stages[1].OnRollback.SkipConditions = true
		}, "stages[1].on_rollback", "a pipeline in mode PARALLEL cannot roll back"},
		{"on_update", func(d *D) { d.OnUpdate = "cancle" }, "on_update", `did you mean "cancel"?`},
		{"rule 15: skip by a window", func(d *D) { d.Stages[1].BeforeEntry = condition("SKIP", "DeploymentWindow") }, path + ".provider", "only with Expression and VariableCheck rules"},
		{"cron", func(d *D) {
			d.Stages[1].BeforeEntry = condition("FAIL", "DeploymentWindow")
			d.Stages[1].BeforeEntry.Rules[0].Configuration["Cron"] = "0 9 * * 1-5"
		}, path + `.configuration["Cron"]`, "write 6 and an optional year"},
		{"cron that never opens", func(d *D) {
			d.Stages[1].BeforeEntry = condition("FAIL", "DeploymentWindow")
			d.Stages[1].BeforeEntry.Rules[0].Configuration["Cron"] = "* * * 30 2 ?"
		}, path + `.configuration["Cron"]`, `the window "* * * 30 2 ?" never opens`},
		{"cron that never opens in its zone", func(d *D) {
			d.Stages[1].BeforeEntry = condition("FAIL", "DeploymentWindow")
			// The clocks there go from 2 to 3 that night.
			d.Stages[1].BeforeEntry.Rules[0].Configuration["Cron"] = "* 30 2 29 3 ? 2026"
			d.Stages[1].BeforeEntry.Rules[0].Configuration["TimeZone"] = "Europe/Berlin"
		}, path + `.configuration["Cron"]`, `the window "* 30 2 29 3 ? 2026" never opens`},
		{"time zone", func(d *D) {
			d.Stages[1].BeforeEntry = condition("FAIL", "DeploymentWindow")
			d.Stages[1].BeforeEntry.Rules[0].Configuration["TimeZone"] = "Berlin"
		}, path + `.configuration["TimeZone"]`, `there is no time zone "Berlin"`},
		{"pattern with a lookahead", first(func(r *pipeline.Rule) {
			r.Configuration["Operator"], r.Configuration["Value"] = "MATCHES", "(?!v1).*"
		}), path + `.configuration["Value"]`, "without lookarounds such as (?!"},
		{"expression missing", expr(""), path + `.configuration["Expression"]`, "is empty"},
		{"expression key", func(d *D) {
			d.Stages[1].BeforeEntry = condition("FAIL", "Expression")
			d.Stages[1].BeforeEntry.Rules[0].Configuration = map[string]string{"expression": "true"}
		}, path + `.configuration["expression"]`, `did you mean "Expression"?`},
		{"expression wrong", expr("true &&"), path + `.configuration["Expression"]`, "line 1, column 8: this is not an expression"},
		{"expression no bool", expr("variables.region"), path + `.configuration["Expression"]`, "must yield true or false"},
		{"expression with a reference", expr(`"#{Src.CommitId}" == ""`), path + `.configuration["Expression"]`, "may not hold #{Src.CommitId}; write outputs.Src.CommitId without quotes"},
		{"expression with the execution id", expr(`"#{codepipeline.PipelineExecutionId}" == ""`), path + `.configuration["Expression"]`, "write execution.id without quotes"},
		{"expression of an unknown variable", expr(`variables.regio == ""`), path + `.configuration["Expression"]`, `variables.regio has no value: the pipeline declares no variable "regio" (did you mean "region"?); it declares region`},
		{"expression of a far variable", expr(`variables.greet == ""`), path + `.configuration["Expression"]`, `declares no variable "greet"; it declares region`},
		{"expression of an unknown source", expr(`revisions.Chekout.id == ""`), path + `.configuration["Expression"]`, `revisions holds no "Chekout", since there is no source action of that name`},
		{"expression of the revision of a build", expr(`has(revisions.Build)`), path + `.configuration["Expression"]`, `source actions: `},
		{"expression that compares lists", expr(`[1] == [1]`), path + `.configuration["Expression"]`, "lists and maps cannot be compared as a whole"},
		{"expression of an unknown namespace", expr(`outputs["Srx"].CommitId == ""`), path + `.configuration["Expression"]`, `outputs.Srx.CommitId has no value: no earlier action has the namespace "Srx" (did you mean "Src"?)`},
		{"expression of an unknown key", expr(`outputs.Src.CommitID == ""`), path + `.configuration["Expression"]`, `publishes no variable "CommitID" (did you mean "CommitId"?)`},
		{"expression of its own stage", expr(`outputs.Build.VERSION == ""`), path + `.configuration["Expression"]`, "use only what is there when the condition is checked"},
		{"environment elsewhere", first(func(r *pipeline.Rule) {
			r.EnvironmentVariables = []pipeline.EnvironmentVariable{{Name: "A", Value: "b"}}
		}), path + ".environment_variables", "takes no environment variables; only a Commands rule does"},
		{"environment name", commands(func(r *pipeline.Rule) { r.EnvironmentVariables[0].Name = "HEADRACE_X" }), path + ".environment_variables[0].name", "reserved for Headrace"},
		{"environment value", commands(func(r *pipeline.Rule) { r.EnvironmentVariables[0].Value = "" }), path + ".environment_variables[0].value", "empty"},
		{"environment reference", commands(func(r *pipeline.Rule) { r.EnvironmentVariables[0].Value = "#{Build.VERSION}" }), path + ".environment_variables[0].value", "use only what is there"},
		{"command reference", commands(func(r *pipeline.Rule) { r.Commands[0] = "echo #{Src.CommitId}" }), path + ".commands[0]", "may not hold #{Src.CommitId}"},
		{"inputs of one variable", commands(func(r *pipeline.Rule) { r.InputArtifacts = []string{"web-app", "Web_App"} }), path + ".input_artifacts[1]", `"web-app" and "Web_App" share the environment variable HEADRACE_INPUT_WEB_APP`},
		{"too many inputs", commands(func(r *pipeline.Rule) { r.InputArtifacts = repeat(11, numbered("a")) }), path + ".input_artifacts", "at most 10"},
	})
}

// TestOnSuccessSeesItsStage holds that a rule after a stage may use what the
// stage left.
func TestOnSuccessSeesItsStage(t *testing.T) {
	t.Parallel()
	def := base()
	def.Stages[1].OnSuccess = condition("FAIL", "VariableCheck")
	def.Stages[1].OnSuccess.Rules[0].Configuration["Variable"] = "#{Build.VERSION}"
	def.Stages[1].OnSuccess.Rules[0].InputArtifacts = []string{"Binary"}
	require.NoError(t, pipeline.Validate(def, catalog.Builtin()))
}
