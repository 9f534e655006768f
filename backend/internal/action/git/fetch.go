package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitwatch"
	"github.com/headrace/terraform-provider-headrace/backend/internal/secret"
)

// authDir holds what authenticates, below the attempt's directory and beside the files.
const authDir = "auth"

// maxOutput bounds what is kept of the output of one git command.
const maxOutput = 1 << 20

// fetch is one run of an attempt.
type fetch struct {
	source
	workspace action.Workspace
	log       io.Writer
	// tree is where the files go.
	tree string
	auth gitauth.Environment
	// silence is how long a server may send nothing.
	silence time.Duration
	// nested are the directories of submodules below the tree.
	nested []string
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
func (f *fetch) prepare() error {
	f.tree = filepath.Join(f.workspace.Dir, action.FilesDir)
	if err := f.workspace.Root.Mkdir(authDir, 0o700); err != nil {
		return err
	}
	var err error
	f.auth, err = gitauth.Prepare(filepath.Join(f.workspace.Dir, authDir), f.remote)
	if f.path != "" {
		f.auth.Visible = append(f.auth.Visible, f.path)
	}
	return err
}

// get fetches the wanted commit and lays out its tree.
func (f *fetch) get(ctx context.Context) error {
	_, _ = fmt.Fprintf(f.log, "Fetching %s from %s\n", f.wanted, f.remote.URL)
	if f.wanted.fetchRef(false) == "" {
		if err := f.findDefault(ctx); err != nil {
			return err
		}
	}
	format := "sha1"
	if len(f.wanted.commit) == 64 {
		format = "sha256"
	}
	if err := f.initialize(ctx, format); err != nil {
		return err
	}
	err := f.fetchWanted(ctx)
	var failed *gitError
	if errors.As(err, &failed) && strings.Contains(failed.stderr, "server sha256") && format == "sha1" {
		if err = f.initialize(ctx, "sha256"); err == nil {
			err = f.fetchWanted(ctx)
		}
	}
	if err != nil {
		return err
	}
	if err := f.checkOut(ctx); err != nil {
		return err
	}
	if f.lfs {
		if err := f.pullLFS(ctx, f.tree, f.remote); err != nil {
			return err
		}
	}
	if f.submodules {
		return f.updateSubmodules(ctx, f.tree, 0)
	}
	return nil
}

// fetchWanted fetches the wanted revision, with as little else as the server can give.
func (f *fetch) fetchWanted(ctx context.Context) error {
	if f.clone && f.depth == 0 {
		// As git clone does. A commit may be on none of the branches any more.
		err := f.fetchRefs(ctx, "--tags", "+refs/heads/*:refs/remotes/origin/*")
		if err != nil || f.wanted.commit == "" && f.wanted.branch != "" {
			return err
		}
		if f.wanted.commit != "" {
			if _, err := f.git(ctx, "rev-parse", "--quiet", "--verify", f.wanted.commit+"^{commit}"); err == nil {
				return nil
			}
		}
	}
	deep := "--depth=" + strconv.Itoa(f.depth)
	if f.depth == 0 {
		deep = "--no-tags"
	}
	ref := f.wanted.fetchRef(f.clone)
	err := f.fetchRefs(ctx, deep, ref)
	var failed *gitError
	if !errors.As(err, &failed) {
		return err
	}
	switch {
	case f.wanted.commit != "" && (refusesCommits(failed.stderr) || noShallow(failed.stderr)):
		_, _ = io.WriteString(f.log, "The server gives no single commits; fetching all refs\n")
		return f.fetchRefs(ctx, "--no-tags", "+refs/*:refs/remotes/origin/*")
	case noShallow(failed.stderr):
		return f.fetchRefs(ctx, "--no-tags", ref)
	}
	return err
}

// fetchRefs fetches what a ref or refspec names.
func (f *fetch) fetchRefs(ctx context.Context, option, ref string) error {
	args := []string{"fetch", "--progress", "--no-recurse-submodules", option}
	if option != "--no-tags" && option != "--tags" {
		args = append(args, "--no-tags")
	}
	_, err := f.reach(ctx, f.tree, nil, append(args, "--", "origin", ref)...)
	return err
}

// checkOut lays out the files. A clone of a branch is on that branch.
func (f *fetch) checkOut(ctx context.Context) error {
	revision := "FETCH_HEAD"
	switch {
	case f.wanted.commit != "":
		revision = f.wanted.commit
	case f.clone && f.wanted.branch != "":
		revision = "refs/remotes/origin/" + f.wanted.branch
	}
	if !f.clone || f.wanted.branch == "" {
		_, err := f.git(ctx, "checkout", "--quiet", "--force", "--detach", revision+"^{commit}", "--")
		return err
	}
	_, err := f.git(ctx, "checkout", "--quiet", "--force", "--no-track", "-B", f.wanted.branch, revision+"^{commit}", "--")
	for _, setting := range [][2]string{{"remote", "origin"}, {"merge", "refs/heads/" + f.wanted.branch}} {
		if err == nil {
			_, err = f.git(ctx, "config", "branch."+f.wanted.branch+"."+setting[0], setting[1])
		}
	}
	return err
}

// finish removes what the artifact does not hold: credentials, and git's own directories
// unless it is a clone.
func (f *fetch) finish() error {
	root := f.workspace.Root
	err := root.RemoveAll(authDir)
	if f.clone {
		return errors.Join(err, root.RemoveAll(filepath.Join(action.FilesDir, ".git", "FETCH_HEAD")))
	}
	for _, dir := range append([]string{""}, f.nested...) {
		err = errors.Join(err, root.RemoveAll(filepath.Join(action.FilesDir, dir, ".git")))
	}
	return err
}

// initialize makes an empty repository.
func (f *fetch) initialize(ctx context.Context, format string) error {
	if err := f.workspace.Root.RemoveAll(filepath.Join(action.FilesDir, ".git")); err != nil {
		return err
	}
	_, err := f.git(ctx, "init", "--quiet", "--template=", "--initial-branch=none", "--object-format="+format)
	// Relative addresses of submodules and LFS begin at the address of origin.
	for _, setting := range [][2]string{{"remote.origin.url", f.remote.URL}, {"remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"}} {
		if err == nil {
			_, err = f.git(ctx, "config", setting[0], setting[1])
		}
	}
	return err
}

// findDefault asks what HEAD of the repository points at, to be able to name the branch.
func (f *fetch) findDefault(ctx context.Context) error {
	out, err := f.reach(ctx, f.tree, nil, "ls-remote", "--symref", "--", f.remote.URL, "HEAD")
	if err != nil {
		return err
	}
	if out == "" {
		return errNoHead
	}
	for line := range strings.Lines(out) {
		ref, found := strings.CutPrefix(line, "ref: ")
		if !found {
			continue
		}
		ref, _, _ = strings.Cut(ref, "\t")
		if branch, ok := strings.CutPrefix(ref, "refs/heads/"); ok && !noRef.MatchString(branch) {
			f.wanted.branch = branch
			return nil
		}
	}
	f.wanted.head = true
	return nil
}

// git runs one command in the repository and returns what it printed, up to a bound.
func (f *fetch) git(ctx context.Context, args ...string) (string, error) {
	return f.gitIn(ctx, f.tree, args...)
}

// gitIn runs a command in the work tree of a repository. The directory is named, so that git
// looks for none above.
func (f *fetch) gitIn(ctx context.Context, tree string, args ...string) (string, error) {
	stdout := &bounded{most: maxOutput}
	err := f.gitTo(ctx, tree, nil, stdout, nil, args...)
	if err != nil {
		return "", err
	}
	return stdout.buffer.String(), nil
}

// reach is gitIn for commands that reach a server. One that makes no progress is ended.
func (f *fetch) reach(ctx context.Context, tree string, config [][2]string, args ...string) (string, error) {
	// What is received is then written at once, and not only when a whole object has come.
	config = append(slices.Clone(config), [2]string{"fetch.unpackLimit", "1"})
	watch := gitwatch.Start(ctx, f.silence, f.tree)
	stdout := &bounded{most: maxOutput}
	err := watch.Stop(f.gitTo(watch.Context(), tree, config, stdout, watch, args...))
	return stdout.buffer.String(), err
}

// gitTo is gitIn whose output goes to a writer, of a command that is watched if watch is set.
func (f *fetch) gitTo(ctx context.Context, tree string, config [][2]string, stdout io.Writer, watch *gitwatch.Watch, args ...string) error {
	env := append(slices.Clone(f.auth.Vars), "GIT_DIR="+filepath.Join(tree, ".git"), "GIT_WORK_TREE="+tree)
	for i, setting := range config {
		n := strconv.Itoa(i)
		env = append(env, "GIT_CONFIG_KEY_"+n+"="+setting[0], "GIT_CONFIG_VALUE_"+n+"="+setting[1])
	}
	env = append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(len(config)))
	stderr := &bounded{most: 64 << 10}
	messages := io.MultiWriter(f.log, stderr)
	closeLines := func() error { return nil }
	if watch != nil {
		lines := watch.Messages(messages)
		closeLines = lines.Close
		messages = lines
	}
	exitCode, err := f.workspace.Run(ctx, action.Process{
		Argv:    append([]string{"git"}, args...),
		Dir:     tree,
		Env:     env,
		Visible: f.auth.Visible,
		// It fetches and checks out, and runs nothing of the repository.
		Trusted: true,
		Stdout:  stdout,
		Stderr:  messages,
	})
	_ = closeLines() // The log takes what it can; it fails no action.
	if errors.Is(err, exec.ErrNotFound) {
		return errNoGit
	}
	if err != nil {
		return err
	}
	if exitCode != 0 {
		return &gitError{exitCode, secret.Redact(stderr.buffer.String(), f.secrets...)}
	}
	return nil
}
