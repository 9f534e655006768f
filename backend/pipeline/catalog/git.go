package catalog

import (
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Git returns the source that fetches a commit of a Git repository.
func Git() pipeline.Type {
	return pipeline.Type{
		ID:      id(pipeline.CategorySource, "Git"),
		Summary: "Fetches a commit of a Git repository and stores its files as an artifact.",
		Work:    pipeline.WorkAttempt,
		Properties: []pipeline.Property{
			{
				Name: "RepositoryUrl", Required: true, Check: checkRepository, CheckAlways: true, Example: "https://github.com/example/web.git",
				Description: "Address of the repository: an `https` or `ssh` URL, or a path on the server. It must not contain credentials. With `Connection`, " +
					"the path of the repository such as `acme/web`, or a URL on the host of the connection.",
			},
			{
				Name: "Connection", Check: checkConnection, Example: "github",
				Description: "Connection of the account whose credentials read the repository: its name or its ARN. Without one, `https` reads what is public, and " +
					"`ssh` uses the keys of the user that the runner runs as.",
			},
			{Name: "Branch", Example: "main", Description: "Branch to fetch. Defaults to the default branch of the repository."},
			{Name: "Tag", Example: "v1.4.0", Description: "Tag to fetch instead of a branch."},
			{
				Name: "Commit", Check: checkCommit, Example: "5a70c12d1f0a4a1d6f3f8c4be2a7c0a9d8e7f6b5",
				Description: "Commit to fetch instead of a branch: the full id of 40 or 64 hexadecimal digits.",
			},
			{
				Name: "Submodules", Type: pipeline.PropertyBoolean, Default: "false", Example: "true",
				Description: "Whether to fetch submodules recursively. They come from the host of the repository, with its credentials, or from `allowed_hosts` " +
					"of the connection, without credentials. Those that are not fetched are named in the log and the summary of the action.",
			},
			{
				Name: "LFS", Type: pipeline.PropertyBoolean, Default: "false", Example: "true",
				Description: "Whether to replace the pointers of Git LFS by their objects. The runner needs git-lfs. The LFS server is on the host of the " +
					"repository or one of `allowed_hosts` of the connection. Pointers that are not replaced are named in the log and the summary of the action.",
			},
			{
				Name: "Depth", Type: pipeline.PropertyNumber, Check: checkDepth, Example: "50",
				Description: "Number of commits of history to fetch. Defaults to 1 for `CODE_ZIP` and to the whole history for `CODEBUILD_CLONE_REF`.",
			},
			outputArtifactFormat(),
			{
				Name: "DetectChanges", Type: pipeline.PropertyBoolean, Default: "false", Example: "true",
				Description: "Whether a push to the branch starts an execution. Needs `Connection`. Has no effect if the pipeline has `trigger` blocks.",
			},
		},
		Checks: []pipeline.Check{
			{Properties: []string{"RepositoryUrl", "Connection"}, Check: checkConnected},
		},
		Watch: &pipeline.Watch{
			Connection: "Connection", Repository: []string{"RepositoryUrl"}, Branch: "Branch", Detect: "DetectChanges",
			Pins: []string{"Tag", "Commit"}, Triggers: true,
		},
		Exclusive:  [][]string{{"Branch", "Tag", "Commit"}},
		Overrides:  map[string]string{"COMMIT_ID": "Commit"},
		MinOutputs: 1, MaxOutputs: 1,
		Variables: append([]pipeline.OutputVariable{
			{Name: "CommitId", Description: "Id of the commit."},
			{Name: "CommitMessage", Description: "Message of the commit, truncated if it is long."},
			{Name: "AuthorDisplayName", Description: "Name of the author."},
			{Name: "AuthorEmail", Description: "Email address of the author."},
			{Name: "AuthorDate", Description: "Author date of the commit, in RFC 3339 format."},
			{Name: "BranchName", Description: "Branch that was fetched, or that was pushed to if a trigger started the execution. Otherwise empty."},
			{Name: "TagName", Description: "Tag that was fetched, or that was pushed if a trigger started the execution. Otherwise empty."},
			{Name: "RepositoryUrl", Description: "Address of the repository, without credentials."},
		}, pullRequestVariables()...),
		OnLost:         pipeline.OnLostRetry,
		DefaultTimeout: time.Hour,
	}
}

// pullRequestVariables are the output variables of a source whose trigger may be a pull request.
func pullRequestVariables() []pipeline.OutputVariable {
	const empty = " Empty if no pull request started the execution."
	return []pipeline.OutputVariable{
		{Name: "PullRequestId", Description: "Number of the pull request." + empty},
		{Name: "PullRequestTitle", Description: "Title of the pull request." + empty},
		{Name: "SourceBranchName", Description: "Branch that the pull request merges." + empty},
		{Name: "DestinationBranchName", Description: "Branch that the pull request merges into." + empty},
	}
}

// The values of OutputArtifactFormat.
const (
	formatZip   = "CODE_ZIP"
	formatClone = "CODEBUILD_CLONE_REF"
)

// outputArtifactFormat is the property that says what the artifact of a source holds.
func outputArtifactFormat() pipeline.Property {
	return pipeline.Property{
		Name: "OutputArtifactFormat", Default: formatZip, Allowed: []string{formatZip, formatClone}, Example: formatClone,
		Description: "Contents of the artifact: the files alone, or a clone with `.git`, whose history and tags commands can read. The clone holds no credentials.",
	}
}

// checkDepth refuses what is not a number of commits.
func checkDepth(depth string) error {
	if n, err := strconv.Atoi(depth); err == nil && n >= 1 {
		return nil
	}
	return errors.New("not a number of commits; write 1 or more, or leave Depth out")
}

// checkConnection refuses what cannot name a connection.
func checkConnection(connection string) error {
	var err error
	switch {
	case strings.HasPrefix(connection, "arn:"):
		return checkConnectionARN(connection)
	case strings.Contains(connection, "/"):
		_, err = pipeline.ParseConnectionName(connection)
	default:
		err = pipeline.CheckConnection(connection)
	}
	return err
}

// repositoryPath is a path of names, such as acme/web.
var repositoryPath = regexp.MustCompile(`^[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)+$`)

// checkConnected refuses an address that does not fit whether there is a connection.
func checkConnected(values map[string]string) error {
	address := values["RepositoryUrl"]
	if values["Connection"] == "" {
		if repositoryPath.MatchString(address) {
			return errors.New("a path such as acme/web needs a Connection; add Connection, or write the whole address of the repository")
		}
		return nil
	}
	if scheme, _, isURL := strings.Cut(address, "://"); isURL && scheme != "https" && scheme != "ssh" && scheme != "http" || strings.HasPrefix(address, "/") && strings.Count(address, "/") == 1 {
		return errors.New("not a repository of a connection; write its path, such as acme/web, or a URL on the host of the connection")
	}
	return nil
}

// commitPattern is a whole SHA-1 or SHA-256.
var commitPattern = regexp.MustCompile(`^(?:[0-9a-fA-F]{40}|[0-9a-fA-F]{64})$`)

// checkCommit refuses what cannot be fetched.
func checkCommit(commit string) error {
	if commitPattern.MatchString(commit) {
		return nil
	}
	return errors.New("not a full commit id of 40 or 64 hexadecimal digits; print it with git rev-parse")
}

// checkRepository refuses the address of a repository if it contains credentials, because
// anyone who can read the pipeline would see them. Over http a user name alone is refused
// too, since it may be a token. Over ssh it is allowed.
func checkRepository(address string) error {
	const advice = "would be visible to anyone who can read the pipeline, and stored in Terraform's state; use a Connection, or an address without credentials"
	scheme, rest, isURL := strings.Cut(address, "://")
	if !isURL {
		login, _, found := strings.Cut(address, "@")
		if found && strings.Contains(login, ":") && !strings.HasPrefix(address, "/") {
			return errors.New("a password in RepositoryUrl " + advice + " (a path with : before @ is written as ssh://host/path)")
		}
		return nil
	}
	// As in a browser, everything up to the last @ before the path.
	authority := rest
	if end := strings.IndexAny(rest, "/?#\\"); end >= 0 {
		authority = rest[:end]
	}
	end := strings.LastIndex(authority, "@")
	web := strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")
	// If the address is not a valid URL, its password may contain a slash.
	_, err := url.Parse(address)
	switch {
	case err != nil && strings.Contains(rest, "@"), end >= 0 && web:
		return errors.New("credentials in RepositoryUrl " + advice)
	case end >= 0 && strings.Contains(authority[:end], ":"):
		return errors.New("a password in RepositoryUrl " + advice)
	}
	return nil
}
