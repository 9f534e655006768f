// Package git fetches source revisions by the git program. It must never show a
// credential, run a program that a repository names, or ask a person anything.
package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/secret"
)

// maxMessage bounds the CommitMessage variable, in bytes.
const maxMessage = 4096

// source is what an attempt fetches, whichever type its action has.
type source struct {
	remote gitauth.Remote
	// path is the directory of a repository on this machine.
	path   string
	wanted target
	// clone keeps the repository beside the files, as CODEBUILD_CLONE_REF.
	clone bool
	// depth is how many commits of history to fetch, 0 for all. A clone has all by default,
	// mere files need one.
	depth           int
	submodules, lfs bool
	// complete is set if the type of the action has properties for both.
	complete bool
	// authentication says what to check if the server refuses the credentials, empty for those
	// of a connection.
	authentication string
	// secrets are hidden in the log, besides those that the runner hides.
	secrets []string
}

// reader returns the source of an action of one type, or the failure of the action.
type reader func(ctx context.Context, attempt *action.Attempt, credentials action.Credentials) (source, *action.Failure)

// publisher returns the output variables of an action of one type.
type publisher func(attempt *action.Attempt, s *source, commit map[string]string) map[string]string

// Executor runs actions of one type of source. The artifact is the tree of the commit
// without .git, or with it for CODEBUILD_CLONE_REF. Git reads no configuration of the
// machine or the user. Without a connection it uses, over SSH, the keys, known hosts and
// configuration of the user that the runner runs as and the agent in SSH_AUTH_SOCK.
type Executor struct {
	// Silence is how long a server may send nothing before a fetch fails.
	Silence time.Duration

	read    reader
	publish publisher
}

var _ action.AttemptExecutor = (*Executor)(nil)

// Execute implements action.AttemptExecutor.
func (e *Executor) Execute(ctx context.Context, attempt action.Attempt, workspace action.Workspace) action.Result {
	a := &attempt.Action
	if len(a.OutputArtifacts) != 1 {
		return action.Failed(action.ConfigurationError, "a Git source has exactly one output artifact, here are %d", len(a.OutputArtifacts))
	}
	s, failure := e.read(ctx, &attempt, workspace.Credentials)
	if failure != nil {
		return action.Result{Failure: failure}
	}
	log := secret.NewWriter(workspace.Log, s.secrets...)
	defer func() { _ = log.Close() }()
	f := &fetch{source: s, workspace: workspace, log: log, silence: e.Silence}
	if err := f.prepare(); err != nil {
		if errors.Is(err, gitauth.ErrNoHostKeys) {
			return action.Failed(action.ConfigurationError, "cannot fetch from %s: %v", s.remote.URL, err)
		}
		return action.FailedByRunner("cannot prepare to fetch from %s: %v", s.remote.URL, err)
	}
	if err := f.get(ctx); err != nil {
		return action.Result{Failure: f.explain(ctx, err)}
	}
	commit, err := f.describe(ctx)
	if err != nil {
		return action.Result{Failure: f.explain(ctx, err)}
	}
	missing, err := f.findUnfetched(ctx)
	if err != nil {
		return action.Result{Failure: f.explain(ctx, err)}
	}
	if err := f.finish(); err != nil {
		return action.Result{Failure: f.explain(ctx, err)}
	}
	output := a.OutputArtifacts[0]
	stored, err := workspace.Artifacts.Store(ctx, output.Name, workspace.Root, action.Files{
		Dir: action.FilesDir, Globs: output.Files, Time: commitTime(commit["CommitterTime"]),
	})
	if errors.Is(err, action.ErrUnstorable) {
		return action.Failed(action.JobFailed, "%v", err)
	}
	if err != nil {
		return action.Failed(action.CodeOf(err), "%v", err)
	}
	subject, _, _ := strings.Cut(commit["CommitMessage"], "\n")
	summary := fmt.Sprintf("fetched %s (%s)", commit["CommitId"], f.wanted)
	remarks, advice := missing.remarks(&f.source)
	for i, remark := range append(remarks, stored.Remarks...) {
		summary += "; " + remark
		if i < len(advice) {
			remark += "; " + advice[i]
		}
		_, _ = fmt.Fprintf(log, "Warning: %s\n", remark)
	}
	return action.Result{
		Summary:   summary,
		Variables: e.publish(&attempt, &f.source, commit),
		Artifacts: []action.Artifact{stored.Artifact},
		Revision: &action.Revision{
			ID: commit["CommitId"], Summary: subject, URL: s.remote.URL,
			Author: action.Author(commit["AuthorDisplayName"], commit["AuthorEmail"]),
		},
	}
}

// describe returns what output variables tell of the commit.
func (f *fetch) describe(ctx context.Context) (map[string]string, error) {
	out, err := f.git(ctx, "log", "-1", "--no-show-signature", "--no-color", "--encoding=UTF-8", "--format=%H%x00%an%x00%ae%x00%aI%x00%cI%x00%ct%x00%B", "HEAD")
	if err != nil {
		return nil, err
	}
	const parts = 7
	fields := strings.SplitN(out, "\x00", parts)
	if len(fields) != parts {
		return nil, fmt.Errorf("git printed no description of the commit: %q", out)
	}
	return map[string]string{
		"CommitId":          fields[0],
		"AuthorDisplayName": clean(fields[1]),
		"AuthorEmail":       clean(fields[2]),
		"AuthorDate":        fields[3],
		"CommitterDate":     fields[4],
		"CommitterTime":     fields[5],
		"CommitMessage":     clean(strings.TrimSpace(fields[6])),
	}, nil
}

// commitTime returns the time that the files of a commit get: that of the committer, which is
// part of the commit, so that each fetch of a commit makes the same artifact.
func commitTime(seconds string) time.Time {
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		// Git prints a number for a commit of any age. Whatever this one has, it is the same
		// at each fetch.
		at = 0
	}
	return time.Unix(at, 0)
}

// pick returns some of the values.
func pick(values map[string]string, names ...string) map[string]string {
	picked := make(map[string]string, len(names))
	for _, name := range names {
		picked[name] = values[name]
	}
	return picked
}

// clean makes valid, bounded text of what a committer wrote.
func clean(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= maxMessage {
		return text
	}
	cut := maxMessage
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}

// bounded keeps the first bytes of what is written.
type bounded struct {
	buffer bytes.Buffer
	most   int
}

func (b *bounded) Write(p []byte) (int, error) {
	b.buffer.Write(p[:min(len(p), b.most-b.buffer.Len())])
	return len(p), nil
}

var _ io.Writer = (*bounded)(nil)
