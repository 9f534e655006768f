package mirror

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitwatch"
	"github.com/headrace/terraform-provider-headrace/backend/internal/secret"
)

// ErrNoCommit is returned for a commit that the remote does not have, or no longer.
var ErrNoCommit = errors.New("the repository does not have the commit, or no longer")

// ErrTooLarge is returned if a mirror alone needs more than the limit of all mirrors.
var ErrTooLarge = errors.New("the mirror of the repository needs more disk space than mirror-limit allows")

// RemoteError says why a remote could not be read. Its text is for users and holds no
// credential.
type RemoteError struct {
	// Repository is the name of the repository.
	Repository string
	// Problem is git's own words, Advice what to do.
	Problem, Advice string
}

func (e *RemoteError) Error() string {
	text := fmt.Sprintf("cannot read the repository %s: %s", e.Repository, e.Problem)
	if e.Advice != "" {
		text += "; " + e.Advice
	}
	return text
}

// problem is a kind of failure that is the remote's, by git's and ssh's words.
type problem struct {
	advice string
	// remote is set if a damaged mirror cannot be the reason.
	remote bool
	texts  []string
}

// problems has the telling ones first: git says "Could not read from remote repository" after
// most errors of ssh.
func problems() []problem {
	return []problem{
		{
			"compare the host's key with known_hosts of the connection", true,
			[]string{"Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED"},
		},
		{
			"check the credentials of the connection with: headrace connection doctor", true,
			[]string{"Authentication failed", "could not read Username", "could not read Password", "Permission denied", "error: 401", "error: 403", "terminal prompts disabled", "Invalid username or"},
		},
		{
			"check that the server can reach the host", true,
			[]string{"Could not resolve host", "Failed to connect", "Couldn't connect", "Connection refused", "Connection timed out", "Connection reset", "Connection closed", "Network is unreachable", "Operation too slow", "SSL", "early EOF", "hung up unexpectedly", "unexpected disconnect", "RPC failed", "The requested URL returned error: 5", "kex_exchange_identification"},
		},
		{
			"check the name of the repository, and that the credentials of the connection may read it", false,
			[]string{"does not appear to be a git repository", "not found", "does not exist", "No such file or directory", "Could not read from remote repository"},
		},
		{
			"use an address that begins with https:// or ssh://", false,
			[]string{"transport '", "Unable to find remote helper"},
		},
	}
}

// remoteError explains a failure of git that is the remote's. Any other error is returned
// without credentials.
func remoteError(ctx context.Context, r Repository, remote gitauth.Remote, err error) error {
	var git *gitError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gitwatch.ErrSilent):
		return &RemoteError{Repository: r.Name, Problem: err.Error(), Advice: "check that the host answers and that the server can reach it"}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &RemoteError{Repository: r.Name, Problem: "no answer in time", Advice: "check that the host answers, and how large the repository is"}
	case ctx.Err() != nil:
		return ctx.Err()
	case !errors.As(err, &git):
		return fmt.Errorf("cannot read the repository %s: %w", r.Name, err)
	}
	failure := &RemoteError{Repository: r.Name, Problem: secret.Redact(git.Error(), remote.Secrets()...)}
	failure.Advice = classify(git).advice
	if r.Source != "" && strings.Contains(failure.Advice, "credentials of the connection") {
		failure.Advice = fmt.Sprintf("check that the token of source action %s is valid and may read the repository", r.Source)
	}
	return failure
}

// classify returns what kind of failure one is, the zero problem for an unknown one.
func classify(err *gitError) problem {
	for _, p := range problems() {
		for _, text := range p.texts {
			if strings.Contains(err.stderr, text) {
				return p
			}
		}
	}
	return problem{}
}

// refusesCommits tells whether a server said that it serves only the heads of refs, or does
// not have a commit.
func refusesCommits(err error) bool {
	var git *gitError
	return errors.As(err, &git) && (strings.Contains(git.stderr, "not our ref") ||
		strings.Contains(git.stderr, "unadvertised object") || strings.Contains(git.stderr, "not advertised"))
}
