package git

import (
	"context"
	"errors"
	"strconv"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitwatch"
)

// New returns the executor of Source/Git.
func New() *Executor { return &Executor{Silence: gitwatch.Silence, read: readGit, publish: publishGit} }

// readGit returns the source of a Source/Git action.
func readGit(ctx context.Context, attempt *action.Attempt, credentials action.Credentials) (source, *action.Failure) {
	configuration := attempt.Action.Configuration
	wanted, err := parseTarget(configuration)
	if err != nil {
		return source{}, misconfigured(err)
	}
	wanted.changed(attempt.Change)
	s := source{
		wanted: wanted, submodules: configuration["Submodules"] == "true", lfs: configuration["LFS"] == "true",
		complete: true,
	}
	if err := s.format(configuration); err != nil {
		return source{}, misconfigured(err)
	}
	if connection := configuration["Connection"]; connection != "" {
		s.remote, err = credentials.Git(ctx, connection, configuration["RepositoryUrl"])
		if err != nil {
			return source{}, action.CredentialsFailure(err).Failure
		}
		return s, nil
	}
	repo, err := parseRepository(configuration["RepositoryUrl"])
	if err != nil {
		return source{}, action.Failed(action.ConfigurationError, "RepositoryUrl cannot be used: %v", err).Failure
	}
	// Definitions have no credentials in a URL any more; those of older ones are still used.
	s.remote = gitauth.Remote{URL: repo.address, Username: repo.username, Password: repo.password, OwnKeys: true}
	s.path, s.secrets = repo.path, repo.secrets()
	return s, nil
}

// format reads what the artifact holds.
func (s *source) format(configuration map[string]string) error {
	s.clone = configuration["OutputArtifactFormat"] == "CODEBUILD_CLONE_REF"
	if !s.clone {
		s.depth = 1
	}
	text := configuration["Depth"]
	if text == "" {
		return nil
	}
	depth, err := strconv.Atoi(text)
	if err != nil || depth < 1 {
		return errors.New("the Depth is not a number of commits, 1 or more")
	}
	s.depth = depth
	return nil
}

// publishGit returns the output variables of Source/Git.
func publishGit(attempt *action.Attempt, s *source, commit map[string]string) map[string]string {
	variables := pick(commit, "CommitId", "CommitMessage", "AuthorDisplayName", "AuthorEmail", "AuthorDate")
	variables["BranchName"], variables["TagName"], variables["RepositoryUrl"] = s.wanted.branch, s.wanted.tag, s.remote.URL
	publishPullRequest(attempt.Change, variables)
	return variables
}

// publishPullRequest adds the output variables of a pull request, empty if there is none.
func publishPullRequest(change *action.Change, variables map[string]string) {
	var request action.PullRequest
	id := ""
	if change != nil && change.PullRequest != nil {
		request = *change.PullRequest
		id = strconv.FormatInt(request.Number, 10)
	}
	variables["PullRequestId"], variables["PullRequestTitle"] = id, clean(request.Title)
	variables["SourceBranchName"], variables["DestinationBranchName"] = request.SourceBranch, request.DestinationBranch
}

func misconfigured(err error) *action.Failure {
	return action.Failed(action.ConfigurationError, "%v", err).Failure
}
