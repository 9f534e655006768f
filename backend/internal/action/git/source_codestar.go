package git

import (
	"context"
	"regexp"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitwatch"
)

// NewCodeStar returns the executor of Source/AWS/CodeStarSourceConnection.
func NewCodeStar() *Executor {
	return &Executor{Silence: gitwatch.Silence, read: readCodeStar, publish: publishCodeStar}
}

// readCodeStar returns the source of a CodeStarSourceConnection action.
func readCodeStar(ctx context.Context, attempt *action.Attempt, credentials action.Credentials) (source, *action.Failure) {
	configuration := attempt.Action.Configuration
	wanted, err := parseBranch(attempt, "BranchName")
	if err != nil {
		return source{}, misconfigured(err)
	}
	s := source{wanted: wanted}
	if err := s.format(configuration); err != nil {
		return source{}, misconfigured(err)
	}
	s.remote, err = credentials.Git(ctx, configuration["ConnectionArn"], configuration["FullRepositoryId"])
	if err != nil {
		return source{}, action.CredentialsFailure(err).Failure
	}
	return s, nil
}

// parseBranch reads the branch, and the commit of an override or a trigger.
func parseBranch(attempt *action.Attempt, key string) (target, error) {
	configuration := attempt.Action.Configuration
	wanted, err := parseTarget(map[string]string{"Branch": configuration[key]})
	if err != nil {
		return target{}, err
	}
	if configuration["Commit"] == "" {
		return wanted, nil
	}
	commit, err := parseTarget(map[string]string{"Commit": configuration["Commit"]})
	if err != nil {
		return target{}, err
	}
	wanted.commit = commit.commit
	wanted.changed(attempt.Change)
	return wanted, nil
}

// privateAddress is an address that a forge gives to authors who hide theirs. It begins with
// the author's number.
var privateAddress = regexp.MustCompile(`^([0-9]+)[+-][^@]*@users\.noreply\.`)

// publishCodeStar returns CodePipeline's output variables of connections.
func publishCodeStar(attempt *action.Attempt, s *source, commit map[string]string) map[string]string {
	variables := pick(commit, "AuthorDate", "AuthorDisplayName", "AuthorEmail", "CommitId", "CommitMessage")
	variables["AuthorId"] = ""
	if id := privateAddress.FindStringSubmatch(commit["AuthorEmail"]); id != nil {
		variables["AuthorId"] = id[1]
	}
	variables["ConnectionArn"] = attempt.Action.Configuration["ConnectionArn"]
	variables["FullRepositoryName"] = attempt.Action.Configuration["FullRepositoryId"]
	variables["ProviderType"] = s.remote.Provider
	variables["BranchName"], variables["TagName"] = s.wanted.branch, s.wanted.tag
	publishPullRequest(attempt.Change, variables)
	return variables
}
