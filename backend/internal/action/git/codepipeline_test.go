package git_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/action/git"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner/runnertest"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

const arn = "forge"

// codeStar returns an attempt of CodeStarSourceConnection, as an execution gives it that a
// change started.
func codeStar(id, commit string, change *action.Change) action.Attempt {
	a := runnertest.Attempt(id)
	a.Action.Configuration = map[string]string{"ConnectionArn": arn, "FullRepositoryId": "acme/web", "BranchName": "main", "OutputArtifactFormat": "CODE_ZIP"}
	if commit != "" {
		a.Action.Configuration["Commit"] = commit
	}
	a.Action.OutputArtifacts = []pipeline.OutputArtifact{{Name: "Source"}}
	a.Change = change
	return a
}

// TestCodeStarSourceConnection holds that the source fetches the commit of what started the
// execution, whatever the branch is at by then, and publishes CodePipeline's variables.
func TestCodeStarSourceConnection(t *testing.T) {
	t.Parallel()
	_, server, repository := private(t)
	pushed := repository.Make(gittest.Commit{Branch: "main", Message: "Pushed\n\nBody.", Files: map[string]string{"at": "pushed\n"}})
	repository.Git("tag", "v1", pushed)
	feature := repository.Make(gittest.Commit{Branch: "feature", Message: "Asked", Files: map[string]string{"at": "feature\n"}})
	repository.Git("update-ref", "refs/pull/7/head", feature)
	repository.Git("update-ref", "-d", "refs/heads/feature")
	forced := repository.Make(gittest.Commit{Branch: "main", Files: map[string]string{"at": "newest\n"}})
	bench := runnertest.Start(t, git.NewCodeStar(), with(connections{"acme/web": remoteOf(server, repository)}))
	for name, test := range map[string]struct {
		commit string
		change *action.Change
		at     string
		want   map[string]string
	}{
		"manual":   {"", nil, forced, map[string]string{"BranchName": "main"}},
		"override": {pushed, nil, pushed, map[string]string{"BranchName": "main"}},
		"push":     {pushed, &action.Change{Ref: "refs/heads/main"}, pushed, map[string]string{"BranchName": "main"}},
		"other":    {pushed, &action.Change{Ref: "refs/heads/release/1"}, pushed, map[string]string{"BranchName": "release/1"}},
		"tag":      {pushed, &action.Change{Ref: "refs/tags/v1"}, pushed, map[string]string{"TagName": "v1"}},
		"pull-request": {
			feature, &action.Change{PullRequest: &action.PullRequest{Number: 7, Title: "Ask", SourceBranch: "feature", DestinationBranch: "main"}}, feature,
			map[string]string{"PullRequestId": "7", "PullRequestTitle": "Ask", "SourceBranchName": "feature", "DestinationBranchName": "main"},
		},
	} {
		result, log := bench.Run(t, codeStar(name, test.commit, test.change))
		require.Nil(t, result.Failure, "%s: %s", name, log)
		require.Equal(t, test.at, result.Revision.ID, name)
		require.Equal(t, test.at, result.Variables["CommitId"], name)
		_, texts := files(t, bench, result)
		require.Equal(t, repository.Git("show", test.at+":at"), texts["at"][:len(texts["at"])-1], name)
		kind := catalog.CodeStarSourceConnection()
		require.ElementsMatch(t, kind.VariableNames(), slices.Collect(maps.Keys(result.Variables)), name)
		for _, variable := range []string{"BranchName", "TagName", "PullRequestId", "PullRequestTitle", "SourceBranchName", "DestinationBranchName"} {
			require.Equal(t, test.want[variable], result.Variables[variable], "%s: %s", name, variable)
		}
		require.Equal(t, arn, result.Variables["ConnectionArn"])
		require.Equal(t, "acme/web", result.Variables["FullRepositoryName"])
		require.Equal(t, "Gitea", result.Variables["ProviderType"])
		require.NotContains(t, log, token)
	}
}

// TestCommitIsGone holds that an execution whose commit was removed before the source ran fails
// with CodePipeline's word for that.
func TestCommitIsGone(t *testing.T) {
	t.Parallel()
	_, server, repository := private(t)
	gone := repository.Make(gittest.Commit{Branch: "gone", Files: map[string]string{"at": "gone\n"}})
	repository.Git("update-ref", "-d", "refs/heads/gone")
	repository.Git("gc", "--quiet", "--prune=now")
	bench := runnertest.Start(t, git.NewCodeStar(), with(connections{"acme/web": remoteOf(server, repository)}))
	for _, format := range []string{"CODE_ZIP", "CODEBUILD_CLONE_REF"} {
		a := codeStar(format, gone, &action.Change{Ref: "refs/heads/gone"})
		a.Action.Configuration["OutputArtifactFormat"] = format
		result, _ := bench.Run(t, a)
		require.NotNil(t, result.Failure)
		require.Equal(t, action.RevisionUnavailable, result.Failure.Code, result.Failure.Message)
		require.Contains(t, result.Failure.Message, gone)
	}
}

// TestGitHubVersion1 holds that the source opens its sealed token, and publishes CodePipeline's
// variables.
func TestGitHubVersion1(t *testing.T) {
	t.Parallel()
	_, server, repository := private(t)
	bench := runnertest.Start(t, git.NewGitHub(server.Base()), with(nil))
	a := runnertest.Attempt("github")
	a.Action.Configuration = map[string]string{"Owner": "acme", "Repo": "web", "Branch": "main", "OAuthToken": "sealed-" + token}
	a.Action.OutputArtifacts = []pipeline.OutputArtifact{{Name: "Source"}}
	result, log := bench.Run(t, a)
	require.Nil(t, result.Failure, log)
	kind := catalog.GitHub()
	require.ElementsMatch(t, kind.VariableNames(), slices.Collect(maps.Keys(result.Variables)))
	require.Equal(t, "web", result.Variables["RepositoryName"])
	require.Equal(t, server.Base()+"/acme/web/commit/"+repository.Head("refs/heads/main"), result.Variables["CommitUrl"])
	require.NotContains(t, log, token)

	wrong := a
	wrong.ActionExecutionID = "wrong"
	wrong.Action.Configuration = maps.Clone(a.Action.Configuration)
	wrong.Action.Configuration["OAuthToken"] = "sealed-sentinel-wrong"
	result, log = bench.Run(t, wrong)
	require.NotNil(t, result.Failure)
	require.Equal(t, action.PermissionError, result.Failure.Code)
	require.Contains(t, result.Failure.Message, "check that OAuthToken is valid")
	require.NotContains(t, log+result.Failure.Message, "sentinel")
}
