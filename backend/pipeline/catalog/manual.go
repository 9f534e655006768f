package catalog

import "github.com/headrace/terraform-provider-headrace/backend/pipeline"

// Manual returns the action that waits for people to approve.
func Manual() pipeline.Type {
	return pipeline.Type{
		ID:      id(pipeline.CategoryApproval, "Manual"),
		Summary: "Waits until someone approves or rejects. The approval rules that match the action decide who may do so.",
		Work:    pipeline.WorkApproval,
		Properties: []pipeline.Property{
			{Name: "CustomData", Example: "Release #{git.CommitId}: #{git.CommitMessage}", Description: "Text that approvers see."},
			{Name: "ExternalEntityLink", Example: "https://staging.example.com", Description: "Link that approvers see, for example to what they should review."},
		},
		DefaultTimeout: pipeline.DefaultApprovalTimeout,
	}
}
