package client

import (
	"fmt"
	"strings"
)

// AccountName returns accounts/{account}.
func AccountName(account string) string {
	return "accounts/" + account
}

// PipelineName returns accounts/{account}/pipelines/{pipeline}.
func PipelineName(account, pipeline string) string {
	return AccountName(account) + "/pipelines/" + pipeline
}

// StageName returns the name of a stage of a composed pipeline.
func StageName(account, pipeline, stage string) string {
	return PipelineName(account, pipeline) + "/stages/" + stage
}

// ActionName returns the name of an action of a composed pipeline.
func ActionName(account, pipeline, stage, action string) string {
	return StageName(account, pipeline, stage) + "/actions/" + action
}

// VersionName returns the name of a version of a pipeline.
func VersionName(account, pipeline string, version int64) string {
	return fmt.Sprintf("%s/versions/%d", PipelineName(account, pipeline), version)
}

// ExecutionName returns the name of an execution. The pipeline may be - where
// only the id is known.
func ExecutionName(account, pipeline, id string) string {
	return PipelineName(account, pipeline) + "/executions/" + id
}

// ApprovalRuleName returns accounts/{account}/approvalRules/{rule}.
func ApprovalRuleName(account, rule string) string {
	return AccountName(account) + "/approvalRules/" + rule
}

// Segment returns the id that follows a collection in a resource name:
// Segment("accounts/a/pipelines/p", "pipelines") is "p". It is empty where the
// name has no such collection.
func Segment(name, collection string) string {
	parts := strings.Split(name, "/")
	for i := 0; i+1 < len(parts); i += 2 {
		if parts[i] == collection {
			return parts[i+1]
		}
	}
	return ""
}
