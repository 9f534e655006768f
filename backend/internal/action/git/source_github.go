package git

import (
	"context"
	"net/url"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitwatch"
)

// GitHub is where Source/ThirdParty/GitHub fetches from.
const GitHub = "https://github.com"

// NewGitHub returns the executor of Source/ThirdParty/GitHub for a server that answers as
// GitHub does.
func NewGitHub(base string) *Executor {
	return &Executor{
		Silence: gitwatch.Silence,
		read: func(ctx context.Context, attempt *action.Attempt, credentials action.Credentials) (source, *action.Failure) {
			return readGitHub(ctx, base, attempt, credentials)
		},
		publish: func(attempt *action.Attempt, s *source, commit map[string]string) map[string]string {
			return publishGitHub(base, attempt, s, commit)
		},
	}
}

// readGitHub returns the source of a GitHub action.
func readGitHub(ctx context.Context, base string, attempt *action.Attempt, credentials action.Credentials) (source, *action.Failure) {
	configuration := attempt.Action.Configuration
	wanted, err := parseBranch(attempt, "Branch")
	if err != nil {
		return source{}, misconfigured(err)
	}
	token, err := credentials.Open(ctx, configuration["OAuthToken"])
	if err != nil {
		return source{}, action.CredentialsFailure(err).Failure
	}
	remote, err := TokenRemote(base, configuration["Owner"], configuration["Repo"], token)
	if err != nil {
		return source{}, misconfigured(err)
	}
	return source{wanted: wanted, depth: 1, authentication: "check that OAuthToken is valid and may read the repository", remote: remote}, nil
}

// TokenRemote returns a repository of a server that answers as GitHub does, which is read with
// a token.
func TokenRemote(base, owner, repository, token string) (gitauth.Remote, error) {
	address, err := url.JoinPath(base, owner, repository+".git")
	// GitHub takes every type of token with this name.
	return gitauth.Remote{URL: address, Username: "x-access-token", Password: token, Provider: "GitHub"}, err
}

// publishGitHub returns CodePipeline's output variables of version 1 of the source.
func publishGitHub(base string, attempt *action.Attempt, s *source, commit map[string]string) map[string]string {
	configuration := attempt.Action.Configuration
	variables := pick(commit, "AuthorDate", "CommitId", "CommitMessage", "CommitterDate")
	variables["BranchName"], variables["RepositoryName"] = s.wanted.branch, configuration["Repo"]
	variables["CommitUrl"] = base + "/" + configuration["Owner"] + "/" + configuration["Repo"] + "/commit/" + commit["CommitId"]
	return variables
}
