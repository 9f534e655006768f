package fieldpath

import "maps"

// Definition is the shape of a pipeline definition in headrace_pipeline.
func Definition() Shape {
	return Shape{
		"description":    attribute("description"),
		"execution_mode": attribute("execution_mode"),
		"on_update":      attribute("on_update"),
		"pipeline_type":  attribute("pipeline_type"),
		"role_arn":       attribute("role_arn"),
		"artifact_stores": block("artifact_store", "location", Shape{
			"location":            attribute("location"),
			"type":                attribute("type"),
			"region":              attribute("region"),
			"encryption_key_id":   {Names: []string{"encryption_key", "id"}},
			"encryption_key_type": {Names: []string{"encryption_key", "type"}},
		}),
		"variables": block("variable", "name", Shape{
			"name":          attribute("name"),
			"default_value": attribute("default_value"),
			"description":   attribute("description"),
		}),
		"triggers": block("trigger", "provider_type", Shape{
			"provider_type": attribute("provider_type"),
			"git_configuration": single("git_configuration", "source_action_name", Shape{
				"source_action_name": attribute("source_action_name"),
				"push":               push(),
				"pull_request":       pullRequest(),
			}),
		}),
		"stages": block("stage", "name", inlineStage()),
	}
}

func globs(name string) Field {
	return single(name, "includes", Shape{"includes": attribute("includes"), "excludes": attribute("excludes")})
}

func push() Field {
	return block("push", "", Shape{"branches": globs("branches"), "file_paths": globs("file_paths"), "tags": globs("tags")})
}

func pullRequest() Field {
	return block("pull_request", "", Shape{
		"events": attribute("events"), "branches": globs("branches"), "file_paths": globs("file_paths"),
	})
}

// Trigger is the shape of a trigger in headrace_trigger.
func Trigger() Shape {
	return Shape{
		"name":        attribute("name"),
		"pipeline":    attribute("pipeline"),
		"description": attribute("description"),
		"git": single("git", "source_action", Shape{
			"connection":      attribute("connection"),
			"repository":      attribute("repository"),
			"source_action":   attribute("source_action"),
			"push":            push(),
			"pull_request":    pullRequest(),
			"new_branch":      attribute("new_branch"),
			"moved_tag":       attribute("moved_tag"),
			"skip_markers":    attribute("skip_markers"),
			"on_unknown_diff": attribute("on_unknown_diff"),
			"coalesce":        attribute("coalesce"),
		}),
		"webhook": single("webhook", "webhook", Shape{
			"webhook": attribute("webhook"),
			"filters": block("filter", "json_path", Shape{
				"json_path": attribute("json_path"), "match_equals": attribute("match_equals"),
			}),
			"when":             attribute("when"),
			"source_revisions": attribute("source_revisions"),
			"idempotency_key":  attribute("idempotency_key"),
		}),
		"variables": attribute("variables"),
		"etag":      attribute("etag"),
	}
}

// Pipeline is the shape of a pipeline object in headrace_pipeline.
func Pipeline() Shape {
	return Shape{
		"name":        attribute("name"),
		"definition":  {Within: Definition()},
		"publish":     attribute("publish"),
		"composition": attribute("stage"),
		"version":     attribute("version"),
		"uid":         attribute("uid"),
		"etag":        attribute("etag"),
	}
}

// Stage is the shape of a stage, and of a stage object, in headrace_stage.
func Stage() Shape {
	return Shape{
		"name":         attribute("name"),
		"order":        attribute("order"),
		"before_entry": single("before_entry", "condition", condition()),
		"on_success":   single("on_success", "condition", condition()),
		"on_failure": single("on_failure", "result", Shape{
			"result":     attribute("result"),
			"retry_mode": {Names: []string{"retry_configuration", "retry_mode"}},
			"condition":  single("condition", "result", outcome()),
		}),
		"on_rollback": single("on_rollback", "", Shape{
			"skip_conditions": attribute("skip_conditions"),
			"skip_approvals":  attribute("skip_approvals"),
		}),
		"etag": attribute("etag"),
	}
}

// Action is the shape of an action in headrace_action, where the action provider
// has another name since provider is Terraform's own word.
func Action() Shape {
	shape := inlineAction()
	shape["provider"] = attribute("provider_name")
	return shape
}

// ActionObject is the shape of an action object in headrace_action.
func ActionObject() Shape {
	return Shape{"name": attribute("name"), "action": {Within: Action()}, "etag": attribute("etag")}
}

// ApprovalRule is the shape of an approval rule in headrace_approval_rule.
func ApprovalRule() Shape {
	return Shape{
		"name":        attribute("name"),
		"description": attribute("description"),
		"selector": {Within: Shape{
			"pipelines": set("pipelines"),
			"stages":    set("stages"),
			"actions":   set("actions"),
		}},
		"minimum_count":        attribute("minimum_count"),
		"users":                set("users"),
		"groups":               set("groups"),
		"require_comment":      attribute("require_comment"),
		"expire_after_minutes": attribute("expire_after_minutes"),
		"allow_starter":        attribute("allow_starter"),
		"newer_execution":      attribute("newer_execution"),
		"etag":                 attribute("etag"),
	}
}

// Secret is the shape of a secret in headrace_secret. The value has no argument here: an
// error that points at it would show its line.
func Secret() Shape {
	return Shape{
		"name": attribute("name"), "description": attribute("description"), "version": attribute("version"), "etag": attribute("etag"),
	}
}

// Connection is the shape of a connection in headrace_connection. Credentials have no argument
// here: an error that points at one would show its line.
func Connection() Shape {
	forge := func(name string) Field {
		return single(name, "token_wo_version", Shape{
			"endpoint": attribute("endpoint"),
			"ssh":      single("ssh", "known_hosts", Shape{"endpoint": attribute("endpoint"), "known_hosts": attribute("known_hosts")}),
		})
	}
	return Shape{
		"name":        attribute("name"),
		"description": attribute("description"),
		"github_app": single("github_app", "app_id", Shape{
			"endpoint": attribute("endpoint"), "app_id": attribute("app_id"), "installation_id": attribute("installation_id"),
		}),
		"github_token": forge("github_token"),
		"gitlab":       forge("gitlab"),
		"gitea":        forge("gitea"),
		"git": single("git", "endpoint", Shape{
			"endpoint": attribute("endpoint"), "username": attribute("username"), "known_hosts": attribute("known_hosts"),
		}),
		"ca_certificate": attribute("ca_certificate"),
		"allowed_hosts":  set("allowed_hosts"),
		"arn":            attribute("arn"),
		"etag":           attribute("etag"),
	}
}

// Webhook is the shape of a webhook in headrace_webhook. What is wrong with the secret is shown
// at its version: an error that points at the secret would show its line.
func Webhook() Shape {
	return Shape{
		"name":        attribute("name"),
		"description": attribute("description"),
		"kind":        attribute("kind"),
		"connection":  attribute("connection_name"),
		"authentication": single("authentication", "", Shape{
			"hmac": single("hmac", "header", Shape{
				"header": attribute("header"), "algorithm": attribute("algorithm"), "prefix": attribute("prefix"), "encoding": attribute("encoding"),
			}),
			"standard_webhooks": attribute("standard_webhooks"),
			"bearer":            attribute("bearer"),
		}),
		"manage": attribute("manage"),
		"secret": attribute("secret_wo_version"),
		"url":    attribute("url"),
		"tags":   attribute("tags"),
		"etag":   attribute("etag"),
	}
}

// StageTransition is the shape of the request that sets a transition in
// headrace_stage_transition, and of the stage that it leads into.
func StageTransition() Shape {
	return Shape{
		"pipeline": attribute("pipeline"),
		"stage":    attribute("stage"),
		"enabled":  attribute("enabled"),
		"reason":   attribute("disabled_reason"),
		"name":     attribute("stage"),
	}
}

func inlineStage() Shape {
	shape := maps.Clone(Stage())
	delete(shape, "order")
	delete(shape, "etag")
	shape["actions"] = block("action", "name", inlineAction())
	return shape
}

func inlineAction() Shape {
	return Shape{
		"name":                  attribute("name"),
		"category":              attribute("category"),
		"owner":                 attribute("owner"),
		"provider":              attribute("provider"),
		"version":               attribute("version"),
		"run_order":             attribute("run_order"),
		"configuration":         attribute("configuration"),
		"commands":              attribute("commands"),
		"environment_variables": environment(),
		"input_artifacts":       attribute("input_artifacts"),
		// An output artifact is a name in one attribute and, under that name, its
		// globs in another, which only Terraform has: see definition.ActionFields.TerraformPath.
		"output_artifacts":      {Names: []string{"output_artifacts"}, Within: Shape{"name": {}, "files": {}}},
		"output_artifact_files": attribute("output_artifact_files"),
		"output_variables":      attribute("output_variables"),
		"namespace":             attribute("namespace"),
		"role_arn":              attribute("role_arn"),
		"region":                attribute("region"),
		"timeout_in_minutes":    attribute("timeout_in_minutes"),
		"on_lost":               attribute("on_lost"),
	}
}

func environment() Field {
	return block("environment_variable", "name", Shape{
		"name":  attribute("name"),
		"value": attribute("value"),
		"type":  attribute("type"),
	})
}

// condition is a condition within before_entry or on_success: CodePipeline has a
// list of exactly one there.
func condition() Shape {
	shape := Shape{}
	for name, field := range outcome() {
		field.Names = append([]string{"condition"}, field.Names...)
		shape[name] = field
	}
	return shape
}

func outcome() Shape {
	return Shape{
		"result": attribute("result"),
		"rules": block("rule", "name", Shape{
			"name":                  attribute("name"),
			"provider":              {Names: []string{"rule_type_id", "provider"}},
			"version":               {Names: []string{"rule_type_id", "version"}},
			"configuration":         attribute("configuration"),
			"commands":              attribute("commands"),
			"environment_variables": environment(),
			"input_artifacts":       attribute("input_artifacts"),
			"role_arn":              attribute("role_arn"),
			"region":                attribute("region"),
			"timeout_in_minutes":    attribute("timeout_in_minutes"),
		}),
	}
}

// Version is the shape of a pipeline in headrace_pipeline_version. The parts are
// written elsewhere: what they break is about the resource as a whole.
func Version() Shape {
	return Shape{"name": attribute("pipeline")}
}
