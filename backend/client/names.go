package client

import (
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// AccountName returns accounts/{account}.
func AccountName(account string) string {
	return pipeline.AccountName{Account: account}.String()
}

// PipelineName returns accounts/{account}/pipelines/{pipeline}.
func PipelineName(account, name string) string {
	return pipeline.PipelineName{Account: account, Pipeline: name}.String()
}

// StageName returns the name of a stage of a composed pipeline.
func StageName(account, name, stage string) string {
	return stageOf(account, name, stage).String()
}

// ActionName returns the name of an action of a composed pipeline.
func ActionName(account, name, stage, action string) string {
	return pipeline.ActionName{StageName: stageOf(account, name, stage), Action: action}.String()
}

// VersionName returns the name of a version of a pipeline.
func VersionName(account, name string, version int64) string {
	of := pipeline.PipelineName{Account: account, Pipeline: name}
	return pipeline.VersionName{PipelineName: of, Version: version}.String()
}

// ExecutionName returns the name of an execution. The pipeline may be
// pipeline.AnyPipeline where only the id is known.
func ExecutionName(account, name, id string) string {
	of := pipeline.PipelineName{Account: account, Pipeline: name}
	return pipeline.ExecutionName{PipelineName: of, ID: id}.String()
}

// ApprovalRuleName returns accounts/{account}/approvalRules/{rule}.
func ApprovalRuleName(account, rule string) string {
	return pipeline.ApprovalRuleName{Account: account, Rule: rule}.String()
}

// SecretName returns accounts/{account}/secrets/{secret}.
func SecretName(account, secret string) string {
	return pipeline.SecretName{Account: account, Secret: secret}.String()
}

// ConnectionName returns accounts/{account}/connections/{connection}.
func ConnectionName(account, connection string) string {
	return pipeline.ConnectionName{Account: account, Connection: connection}.String()
}

// TriggerName returns the name of a trigger that is declared on its own.
func TriggerName(account, trigger string) string {
	return pipeline.TriggerName{Account: account, Trigger: trigger}.String()
}

// InlineTriggerName returns the name of a trigger that belongs to a pipeline.
func InlineTriggerName(account, name, sourceAction string) string {
	return pipeline.TriggerName{Account: account, Pipeline: name, Trigger: sourceAction}.String()
}

// WebhookName returns accounts/{account}/webhooks/{webhook}.
func WebhookName(account, webhook string) string {
	return pipeline.WebhookName{Account: account, Webhook: webhook}.String()
}

func stageOf(account, name, stage string) pipeline.StageName {
	return pipeline.StageName{PipelineName: pipeline.PipelineName{Account: account, Pipeline: name}, Stage: stage}
}

// Segment returns the id that follows a collection in a resource name:
// Segment("accounts/a/pipelines/p", "pipelines") is "p". It is empty where the
// name has no such collection. To check a name, parse it with package pipeline.
func Segment(name, collection string) string {
	parts := strings.Split(name, "/")
	for i := 0; i+1 < len(parts); i += 2 {
		if parts[i] == collection {
			return parts[i+1]
		}
	}
	return ""
}
