// Package git fetches source revisions by the git program. It must never show a
// credential, run a program that a repository names, or ask a person anything.
package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/secret"
)

// maxMessage bounds the CommitMessage variable, in bytes.
const maxMessage = 4096

// Executor runs Source/Git actions. The artifact is the tree of the commit
// without .git; submodules and Git LFS objects are not fetched. Git reads no
// configuration of the machine or the user. Over ssh it uses keys, known hosts
// and configuration of the user that the runner runs as (ssh finds them by the
// user, not by HOME) and the agent in SSH_AUTH_SOCK; over https the proxy and
// certificate variables of the runner's environment. Definitions have no
// credentials in a URL any more; those of older ones are still used, and never show
// in a process list, a log or an error.
type Executor struct {
	env     []string
	visible []string
	// sshDirs hold the keys, which nothing but ssh gets to see.
	sshDirs []string
}

var _ action.AttemptExecutor = (*Executor)(nil)

// passed are the variables of the runner that reach git.
func passed() []string {
	return []string{
		"PATH", "SSH_AUTH_SOCK",
		"http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH",
	}
}

// New returns an executor that gives git what it needs of the environment of the
// calling process.
func New() *Executor {
	e := &Executor{env: []string{
		"LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_ALLOW_PROTOCOL=file:https:http:ssh",
		"GIT_SSH_COMMAND=ssh -oBatchMode=yes",
		"GIT_ADVICE=0",
	}}
	if current, err := user.Current(); err == nil && filepath.IsAbs(current.HomeDir) {
		e.sshDirs = append(e.sshDirs, filepath.Join(current.HomeDir, ".ssh"))
	}
	for _, name := range passed() {
		value := os.Getenv(name)
		if value == "" {
			continue
		}
		e.env = append(e.env, name+"="+value)
		if filepath.IsAbs(value) && name != "PATH" {
			e.visible = append(e.visible, value)
		}
	}
	return e
}

// Execute implements action.AttemptExecutor.
func (e *Executor) Execute(ctx context.Context, attempt action.Attempt, workspace action.Workspace) action.Result {
	a := &attempt.Action
	repo, err := parseRepository(a.Configuration["RepositoryUrl"])
	if err != nil {
		return action.Failed(action.ConfigurationError, "RepositoryUrl cannot be used: %v", err)
	}
	wanted, err := parseTarget(a.Configuration)
	if err != nil {
		return action.Failed(action.ConfigurationError, "%v", err)
	}
	if len(a.OutputArtifacts) != 1 {
		return action.Failed(action.ConfigurationError, "a Git source has exactly one output artifact, here are %d", len(a.OutputArtifacts))
	}
	log := secret.NewWriter(workspace.Log, repo.secrets()...)
	defer func() { _ = log.Close() }()
	f := &fetch{repo: repo, wanted: wanted, workspace: workspace, log: log}
	if err := f.prepare(e); err != nil {
		return action.Failed(action.SystemUnavailable, "cannot prepare to fetch from %s: %v", repo.address, err)
	}
	if err := f.get(ctx); err != nil {
		return action.Result{Failure: f.explain(ctx, err)}
	}
	commit, err := f.describe(ctx)
	if err != nil {
		return action.Result{Failure: f.explain(ctx, err)}
	}
	output := a.OutputArtifacts[0]
	artifact, err := workspace.Artifacts.Store(ctx, output.Name, workspace.Root, action.FilesDir, output.Files)
	if errors.Is(err, action.ErrUnstorable) {
		return action.Failed(action.JobFailed, "%v", err)
	}
	if err != nil {
		return action.Failed(action.SystemUnavailable, "%v", err)
	}
	commit["BranchName"], commit["TagName"], commit["RepositoryUrl"] = f.wanted.branch, f.wanted.tag, repo.address
	summary, _, _ := strings.Cut(commit["CommitMessage"], "\n")
	return action.Result{
		Summary:   fmt.Sprintf("fetched %s (%s)", commit["CommitId"], f.wanted),
		Variables: commit,
		Artifacts: []action.Artifact{artifact},
		Revision: &action.Revision{
			ID: commit["CommitId"], Summary: summary, URL: repo.address,
			Author: action.Author(commit["AuthorDisplayName"], commit["AuthorEmail"]),
		},
	}
}

// fetch is one run of an attempt.
type fetch struct {
	repo      repository
	wanted    target
	workspace action.Workspace
	log       io.Writer
	// tree is where the files go; git's own directory is beside it.
	tree    string
	env     []string
	visible []string
}

// gitError is a git command that failed.
type gitError struct {
	exitCode int
	stderr   string
}

func (e *gitError) Error() string {
	lines := strings.Split(strings.TrimSpace(e.stderr), "\n")
	for _, line := range lines {
		// What follows a fatal line is advice for people at a terminal.
		if strings.HasPrefix(line, "fatal: ") || strings.HasPrefix(line, "ERROR: ") {
			return strings.TrimPrefix(strings.TrimPrefix(line, "fatal: "), "ERROR: ")
		}
	}
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return fmt.Sprintf("git exited with %d", e.exitCode)
}

// prepare makes what git is told.
func (f *fetch) prepare(e *Executor) error {
	dir := f.workspace.Dir
	f.tree = filepath.Join(dir, action.FilesDir)
	// A file, since git takes no heed of safe.directory from the environment
	// when it serves a repository of this machine.
	config := filepath.Join(dir, "gitconfig")
	err := f.workspace.Root.WriteFile("gitconfig", []byte("[safe]\n\tdirectory = *\n[core]\n\thooksPath = /dev/null\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"), 0o600)
	if err != nil {
		return err
	}
	f.env = append(f.env, e.env...)
	f.env = append(f.env, "HOME="+filepath.Join(dir, action.HomeDir), "GIT_CONFIG_GLOBAL="+config,
		"GIT_DIR="+filepath.Join(dir, "git"), "GIT_WORK_TREE="+f.tree)
	if f.repo.username != "" || f.repo.password != "" {
		// The helper is a line for git's shell. The values come by the
		// environment, not by arguments, which every user of the machine can read.
		f.env = append(f.env,
			"GIT_CONFIG_COUNT=1",
			"GIT_CONFIG_KEY_0=credential."+f.repo.host()+".helper",
			`GIT_CONFIG_VALUE_0=!f() { [ "$1" = get ] && printf 'username=%s\npassword=%s\n' "$HEADRACE_GIT_USERNAME" "$HEADRACE_GIT_PASSWORD"; }; f`,
			"HEADRACE_GIT_USERNAME="+f.repo.username,
			"HEADRACE_GIT_PASSWORD="+f.repo.password)
	}
	f.visible = slices.Clone(e.visible)
	if f.repo.path != "" {
		f.visible = append(f.visible, f.repo.path)
	}
	if f.repo.ssh {
		f.visible = append(f.visible, e.sshDirs...)
	}
	return nil
}

// get fetches the wanted commit and lays out its tree.
func (f *fetch) get(ctx context.Context) error {
	_, _ = fmt.Fprintf(f.log, "Fetching %s from %s\n", f.wanted, f.repo.address)
	var ref string
	format := "sha1"
	switch {
	case f.wanted.branch != "":
		ref = "refs/heads/" + f.wanted.branch
	case f.wanted.tag != "":
		ref = "refs/tags/" + f.wanted.tag
	case f.wanted.commit != "":
		ref = f.wanted.commit
		if len(ref) == 64 {
			format = "sha256"
		}
	default:
		var err error
		if ref, err = f.defaultRef(ctx); err != nil {
			return err
		}
	}
	if err := f.initialize(ctx, format); err != nil {
		return err
	}
	err := f.fetchRef(ctx, ref, "--depth=1")
	var failed *gitError
	if errors.As(err, &failed) {
		switch {
		case strings.Contains(failed.stderr, "server sha256") && format == "sha1":
			if err = f.initialize(ctx, "sha256"); err == nil {
				err = f.fetchRef(ctx, ref, "--depth=1")
			}
		case f.wanted.commit != "" && (refusesCommits(failed.stderr) || noShallow(failed.stderr)):
			_, _ = io.WriteString(f.log, "The server gives no single commits; fetching all refs\n")
			err = f.fetchRef(ctx, "+refs/*:refs/remotes/origin/*")
		case noShallow(failed.stderr):
			err = f.fetchRef(ctx, ref)
		}
	}
	if err != nil {
		return err
	}
	checkout := "FETCH_HEAD"
	if f.wanted.commit != "" {
		checkout = f.wanted.commit
	}
	_, err = f.git(ctx, "checkout", "--quiet", "--force", "--detach", checkout+"^{commit}", "--")
	return err
}

// fetchRef fetches what a ref or refspec names.
func (f *fetch) fetchRef(ctx context.Context, ref string, options ...string) error {
	args := append([]string{"fetch", "--quiet", "--no-tags", "--no-recurse-submodules"}, options...)
	_, err := f.git(ctx, append(args, "--", f.repo.address, ref)...)
	return err
}

func (f *fetch) initialize(ctx context.Context, format string) error {
	if err := f.workspace.Root.RemoveAll("git"); err != nil {
		return err
	}
	_, err := f.git(ctx, "init", "--quiet", "--template=", "--initial-branch=none", "--object-format="+format)
	return err
}

// defaultRef asks what HEAD of the repository points at, to be able to name the
// branch.
func (f *fetch) defaultRef(ctx context.Context) (string, error) {
	out, err := f.git(ctx, "ls-remote", "--symref", "--", f.repo.address, "HEAD")
	if err != nil {
		return "", err
	}
	if out == "" {
		return "", errNoHead
	}
	for line := range strings.Lines(out) {
		ref, found := strings.CutPrefix(line, "ref: ")
		if !found {
			continue
		}
		ref, _, _ = strings.Cut(ref, "\t")
		if branch, ok := strings.CutPrefix(ref, "refs/heads/"); ok && !noRef.MatchString(branch) {
			f.wanted.branch = branch
			return ref, nil
		}
	}
	return "HEAD", nil
}

// describe returns the output variables that tell of the commit.
func (f *fetch) describe(ctx context.Context) (map[string]string, error) {
	out, err := f.git(ctx, "log", "-1", "--no-show-signature", "--no-color", "--encoding=UTF-8", "--format=%H%x00%an%x00%ae%x00%aI%x00%B", "HEAD")
	if err != nil {
		return nil, err
	}
	const parts = 5
	fields := strings.SplitN(out, "\x00", parts)
	if len(fields) != parts {
		return nil, fmt.Errorf("git tells nothing of the commit: %q", out)
	}
	return map[string]string{
		"CommitId":          fields[0],
		"AuthorDisplayName": clean(fields[1]),
		"AuthorEmail":       clean(fields[2]),
		"AuthorDate":        fields[3],
		"CommitMessage":     clean(strings.TrimSpace(fields[4])),
	}, nil
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

// git runs one command and returns what it printed, up to a bound.
func (f *fetch) git(ctx context.Context, args ...string) (string, error) {
	stdout, stderr := &bounded{most: 64 << 10}, &bounded{most: 64 << 10}
	exitCode, err := f.workspace.Run(ctx, action.Process{
		Argv:    append([]string{"git"}, args...),
		Dir:     f.tree,
		Env:     f.env,
		Visible: f.visible,
		Stdout:  stdout,
		Stderr:  io.MultiWriter(f.log, stderr),
	})
	if errors.Is(err, exec.ErrNotFound) {
		return "", errNoGit
	}
	if err != nil {
		return "", err
	}
	if exitCode != 0 {
		return "", &gitError{exitCode, secret.Redact(stderr.buffer.String(), f.repo.secrets()...)}
	}
	return stdout.buffer.String(), nil
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
