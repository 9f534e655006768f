package catalog

import (
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// ownerThirdParty owns CodePipeline's types of services outside of AWS.
const ownerThirdParty = "ThirdParty"

// GitHub returns CodePipeline's first source for GitHub, which has a token of its own.
func GitHub() pipeline.Type {
	return pipeline.Type{
		ID:      pipeline.TypeID{Category: pipeline.CategorySource, Owner: ownerThirdParty, Provider: "GitHub", Version: "1"},
		Summary: "Fetches a commit of a repository on github.com with a token of the action, as version 1 of CodePipeline's GitHub source.",
		Work:    pipeline.WorkAttempt,
		Properties: []pipeline.Property{
			{Name: "Owner", Required: true, Check: checkGitHubName, Example: "acme", Description: "Organization or user that owns the repository."},
			{Name: "Repo", Required: true, Check: checkGitHubName, Example: "web", Description: "Name of the repository."},
			{Name: "Branch", Required: true, Example: "main", Description: "Branch to fetch, if no trigger asks for another revision."},
			{
				Name: "OAuthToken", Required: true, Secret: true, Check: checkToken, Example: "ghp_0000000000000000000000000000example",
				Description: "Token that may read the repository. The server seals it and never returns it, but Terraform keeps it in its state. Prefer a " +
					"`headrace_connection` with the type `CodeStarSourceConnection`.",
				Instead: "declare a headrace_connection and use an action with owner AWS and provider CodeStarSourceConnection",
			},
			{
				Name: "PollForSourceChanges", Type: pipeline.PropertyBoolean, Default: "true", Example: "false",
				Description: "Whether pushes to the branch start executions. The server finds them by polling the repository with `OAuthToken`. " +
					"It has no effect in a pipeline with a trigger block.",
			},
			overriddenCommit(),
		},
		Watch:      &pipeline.Watch{Token: "OAuthToken", Repository: []string{"Owner", "Repo"}, Branch: "Branch", Detect: "PollForSourceChanges"},
		Overrides:  map[string]string{"COMMIT_ID": "Commit"},
		MinOutputs: 1, MaxOutputs: 1,
		Variables: []pipeline.OutputVariable{
			{Name: "AuthorDate", Description: "Author date of the commit, in RFC 3339 format."},
			{Name: "BranchName", Description: "Branch that was fetched or pushed to."},
			{Name: "CommitId", Description: "Id of the commit."},
			{Name: "CommitMessage", Description: "Message of the commit, truncated if it is long."},
			{Name: "CommitUrl", Description: "Address of the commit at GitHub."},
			{Name: "CommitterDate", Description: "Committer date of the commit, in RFC 3339 format."},
			{Name: "RepositoryName", Description: "Name of the repository, without its owner."},
		},
		OnLost:         pipeline.OnLostRetry,
		DefaultTimeout: time.Hour,
	}
}

// gitHubName is a name of an owner or a repository.
var gitHubName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)

func checkGitHubName(name string) error {
	if gitHubName.MatchString(name) && strings.Trim(name, ".") != "" {
		return nil
	}
	return errors.New("not a name at GitHub; it has letters, digits, dots, dashes and underscores, without a slash")
}

// checkToken refuses what cannot be a token. Masks come from an export of CodePipeline.
func checkToken(token string) error {
	switch {
	case strings.Trim(token, "*") == "":
		return errors.New("a mask, as CodePipeline shows it, and not a token; write the token")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return errors.New("not a token, because it has spaces or characters other than ASCII; remove them")
	}
	return nil
}
