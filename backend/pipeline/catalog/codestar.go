package catalog

import (
	"errors"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// ownerAWS owns types of CodePipeline that Headrace carries out by their own names, so that
// definitions move over unchanged.
const ownerAWS = "AWS"

// CodeStarSourceConnection returns CodePipeline's source that fetches through a connection.
func CodeStarSourceConnection() pipeline.Type {
	return pipeline.Type{
		ID:      pipeline.TypeID{Category: pipeline.CategorySource, Owner: ownerAWS, Provider: "CodeStarSourceConnection", Version: "1"},
		Summary: "Fetches a commit through a connection, with the configuration of CodePipeline, and stores its files as an artifact.",
		Work:    pipeline.WorkAttempt,
		Properties: []pipeline.Property{
			{
				Name: "ConnectionArn", Required: true, Check: checkConnectionARN, CheckAlways: true, Example: "arn:headrace:connections::default:connection/github",
				Description: "ARN of a connection of the account: `arn` of a `headrace_connection`. An ARN of AWS does not work, because its credentials stay in AWS.",
			},
			{
				Name: "FullRepositoryId", Required: true, Check: checkFullRepository, Example: "acme/web",
				Description: "Repository as the forge names it: its owner or group, a slash and its name.",
			},
			{Name: "BranchName", Required: true, Example: "main", Description: "Branch to fetch, if no trigger asks for another revision."},
			outputArtifactFormat(),
			{
				Name: "DetectChanges", Type: pipeline.PropertyBoolean, Default: "true", Example: "false",
				Description: "Whether a push to `BranchName` starts an execution if the pipeline has no trigger.",
			},
			overriddenCommit(),
		},
		Watch: &pipeline.Watch{
			Connection: "ConnectionArn", Repository: []string{"FullRepositoryId"}, Branch: "BranchName", Detect: "DetectChanges", Triggers: true,
		},
		Overrides:  map[string]string{"COMMIT_ID": "Commit"},
		MinOutputs: 1, MaxOutputs: 1,
		Variables: append([]pipeline.OutputVariable{
			{Name: "AuthorDate", Description: "Author date of the commit, in RFC 3339 format."},
			{Name: "AuthorDisplayName", Description: "Name of the author."},
			{Name: "AuthorEmail", Description: "Email address of the author."},
			{Name: "AuthorId", Description: "Number of the author at the forge, if the author commits with the forge's private address. Otherwise empty."},
			{Name: "CommitId", Description: "Id of the commit."},
			{Name: "CommitMessage", Description: "Message of the commit, truncated if it is long."},
			{Name: "ConnectionArn", Description: "ARN of the connection."},
			{Name: "FullRepositoryName", Description: "Repository as the forge names it."},
			{Name: "ProviderType", Description: "Kind of the forge: `GitHub`, `GitHubEnterpriseServer`, `GitLab`, `GitLabSelfManaged`, `Gitea` or `Git`."},
			{Name: "BranchName", Description: "Branch that was fetched or pushed to. Empty if a tag or a pull request started the execution."},
			{Name: "TagName", Description: "Tag that started the execution. Otherwise empty."},
		}, pullRequestVariables()...),
		OnLost:         pipeline.OnLostRetry,
		DefaultTimeout: time.Hour,
	}
}

// overriddenCommit is the property that takes the commit of a COMMIT_ID override.
func overriddenCommit() pipeline.Property {
	return pipeline.Property{
		Name: "Commit", Check: checkCommit, OverrideOnly: true, Example: "5a70c12d1f0a4a1d6f3f8c4be2a7c0a9d8e7f6b5",
		Description: "Commit to fetch instead of the head of the branch.",
	}
}

// checkConnectionARN refuses what is not the ARN of a connection of Headrace.
func checkConnectionARN(arn string) error {
	const write = "declare a headrace_connection and write its arn, such as ConnectionArn = headrace_connection.github.arn"
	if strings.HasPrefix(arn, "arn:aws") {
		return errors.New("a connection of AWS, whose credentials cannot be used outside of AWS; " + write)
	}
	if _, err := pipeline.ParseConnectionARN(arn); err != nil {
		return errors.New("not the ARN of a connection; " + write)
	}
	return nil
}

// checkFullRepository refuses what is not a path of names.
func checkFullRepository(repository string) error {
	if repositoryPath.MatchString(repository) {
		return nil
	}
	return errors.New("not the name of a repository with its owner; write it as acme/web, without a scheme and a host")
}
