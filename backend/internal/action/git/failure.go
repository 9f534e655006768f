package git

import (
	"context"
	"errors"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

var (
	errNoHead = errors.New("the repository has no default branch")
	errNoGit  = errors.New("git is not installed on the runner")
)

// refusesCommits tells whether a server said that it serves only tips, or does
// not know a commit, which a full fetch has to prove.
func refusesCommits(stderr string) bool {
	return strings.Contains(stderr, "not our ref") ||
		strings.Contains(stderr, "unadvertised object") ||
		strings.Contains(stderr, "not advertised")
}

// noShallow tells whether a server is a mere directory of files.
func noShallow(stderr string) bool {
	return strings.Contains(stderr, "does not support shallow")
}

// explain makes a failure of an error: what, where, git's own words, and what to
// do.
func (f *fetch) explain(ctx context.Context, err error) *action.Failure {
	fail := func(code, advice string) *action.Failure {
		return action.Failed(code, "cannot fetch %s from %s: %v; %s", f.wanted, f.repo.address, err, advice).Failure
	}
	var git *gitError
	switch {
	case ctx.Err() != nil:
		return fail(action.SystemUnavailable, "the attempt was ended")
	case errors.Is(err, errNoGit):
		return fail(action.SystemUnavailable, "install it and see that it is on PATH")
	case errors.Is(err, errNoHead):
		return fail(action.RevisionUnavailable, "push a commit to it, or name a Branch, Tag or Commit")
	case !errors.As(err, &git):
		return fail(action.SystemUnavailable, "try again")
	}
	for _, known := range knownFailures() {
		for _, text := range known.texts {
			if strings.Contains(git.stderr, text) {
				return fail(known.code, known.advice)
			}
		}
	}
	return fail(action.RevisionUnavailable, "the log of the action has all that git said")
}

type knownFailure struct {
	code, advice string
	texts        []string
}

// knownFailures are git's and ssh's words, the telling ones first: git says
// "Could not read from remote repository" after most errors of ssh.
func knownFailures() []knownFailure {
	return []knownFailure{
		{
			action.PermissionError, "add the host's key to known_hosts of the user that the runner runs as",
			[]string{"Host key verification failed"},
		},
		{
			action.PermissionError, "check the credentials: what is not public takes an ssh address, and an ssh key of the user that the runner runs as",
			[]string{"Authentication failed", "could not read Username", "could not read Password", "Permission denied", "error: 401", "error: 403", "terminal prompts disabled"},
		},
		{
			action.RevisionUnavailable, "check its spelling and that it was pushed",
			[]string{"couldn't find remote ref", "not our ref", "did not match any", "unable to read tree", "bad object", "reference is not a tree", "invalid reference", "unknown revision", "unable to parse commit"},
		},
		{
			action.RevisionUnavailable, "check that the host is right and can be reached from the runner, then retry the stage",
			[]string{"Could not resolve host", "Failed to connect", "Couldn't connect", "Connection refused", "Connection timed out", "Connection reset", "Network is unreachable", "SSL"},
		},
		{
			action.RevisionUnavailable, "check RepositoryUrl: there is no such repository, or the runner may not see it",
			[]string{"does not appear to be a git repository", "not found", "does not exist", "No such file or directory", "Could not read from remote repository"},
		},
		{
			action.ConfigurationError, "use an address that begins with https://, ssh:// or file://, user@host:path or an absolute path",
			[]string{"transport '", "is not supported", "Unable to find remote helper"},
		},
	}
}
