package git

import (
	"context"
	"errors"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitwatch"
)

var (
	errNoHead = errors.New("the repository has no default branch")
	errNoGit  = errors.New("git is not installed on the runner")
	errNoLFS  = errors.New("git-lfs is not installed on the runner")
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
	fail := func(code action.FailureCode, advice string) *action.Failure {
		return action.Failed(code, "cannot fetch %s from %s: %v; %s", f.wanted, f.remote.URL, err, advice).Failure
	}
	var git *gitError
	var notAllowed *notAllowedError
	switch {
	case ctx.Err() != nil:
		return fail(action.SystemUnavailable, "the attempt was ended")
	case errors.Is(err, gitwatch.ErrSilent):
		return fail(action.RevisionUnavailable, "check that the server answers and can be reached from the runner, then retry the stage")
	case errors.As(err, &notAllowed):
		return fail(action.ConfigurationError, f.allowAdvice(notAllowed.err))
	case errors.Is(err, errNoGit):
		return fail(action.RunnerFault, "install it and see that it is on PATH")
	case errors.Is(err, errNoLFS):
		return fail(action.SystemUnavailable, "install it and see that it is on PATH")
	case errors.Is(err, errNoHead):
		return fail(action.RevisionUnavailable, "push a commit to it, or name a Branch, Tag or Commit")
	case !errors.As(err, &git):
		return fail(action.CodeOf(err), "try again")
	case ofMachine(git.stderr):
		return fail(action.RunnerFault, "try again")
	}
	for _, known := range f.knownFailures() {
		for _, text := range known.texts {
			if strings.Contains(git.stderr, text) {
				return fail(known.code, known.advice)
			}
		}
	}
	return fail(action.RevisionUnavailable, "the log of the action has everything that git printed")
}

// allowAdvice says what to do about an address that was refused. Only hosts can be allowed.
func (f *fetch) allowAdvice(refused error) string {
	var host *gitauth.HostNotAllowedError
	switch {
	case errors.Is(refused, errTooNested):
		return "nest the submodules less deep"
	case !errors.As(refused, &host):
		return "change the address in the repository to an https or ssh address without credentials"
	case f.remote.OwnKeys:
		return "use a Connection with " + host.Host + " in allowed_hosts"
	}
	return "add " + host.Host + " to allowed_hosts of the connection, or change the address in the repository"
}

type knownFailure struct {
	code   action.FailureCode
	advice string
	texts  []string
}

// knownFailures are git's and ssh's words, the telling ones first: git says
// "Could not read from remote repository" after most errors of ssh.
func (f *fetch) knownFailures() []knownFailure {
	hostKey := "the host is unknown, or its key has changed: if that is right, replace known_hosts of the connection by what ssh-keyscan prints"
	credentials := "check the credentials of the connection, and that they may read the repository"
	if f.authentication != "" {
		credentials = f.authentication
	}
	if f.remote.OwnKeys {
		hostKey = "add the host's key to known_hosts of the user that the runner runs as"
		credentials = "check the credentials: what is not public takes a Connection, or an ssh address and an ssh key of the user that the runner runs as"
	}
	return []knownFailure{
		{
			action.PermissionError, hostKey,
			[]string{"Host key verification failed"},
		},
		{
			action.PermissionError, credentials,
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
			action.RevisionUnavailable, "check the address: there is no such repository, or the credentials may not read it",
			[]string{"does not appear to be a git repository", "not found", "does not exist", "No such file or directory", "Could not read from remote repository"},
		},
		{
			action.ConfigurationError, "use an address that begins with https://, ssh:// or file://, user@host:path or an absolute path",
			[]string{"transport '", "is not supported", "Unable to find remote helper"},
		},
	}
}

// ofMachine tells whether what git or bubblewrap printed says that this machine has no room or no
// processes. To fetch again changes nothing, so that another runner may.
func ofMachine(stderr string) bool {
	for line := range strings.Lines(stderr) {
		switch {
		case strings.HasPrefix(line, "remote: "):
			// It is about the machine of the repository.
		case strings.HasPrefix(line, "bwrap: "):
			return true
		default:
			for _, text := range []string{"No space left on device", "Disk quota exceeded", "Resource temporarily unavailable", "Cannot allocate memory"} {
				if strings.Contains(line, text) {
					return true
				}
			}
		}
	}
	return false
}
