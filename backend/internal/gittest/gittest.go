// Package gittest runs real git servers for tests: git over smart HTTP and over Debian's
// sshd, with repositories that git itself made. It must never be used by a program that
// people run.
package gittest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// TB is what the package needs of a test. A bench has its own. Fatalf and Skipf do not return.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	TempDir() string
	Cleanup(cleanup func())
	Context() context.Context
}

// Host is a directory of bare repositories, which its servers serve.
type Host struct {
	tb  TB
	dir string
}

// NewHost makes an empty host.
func NewHost(tb TB) *Host {
	tb.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		tb.Fatalf("git is not installed: %v", err)
	}
	return &Host{tb: tb, dir: tb.TempDir()}
}

// Dir is the directory that holds the repositories.
func (h *Host) Dir() string { return h.dir }

// Repository makes an empty repository, such as acme/web. Its default branch is main. The
// flags go to git init, such as --object-format=sha256.
func (h *Host) Repository(name string, flags ...string) *Repository {
	h.tb.Helper()
	r := &Repository{tb: h.tb, Name: name, Dir: filepath.Join(h.dir, filepath.FromSlash(name)+".git")}
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		h.tb.Fatalf("make a repository: %v", err)
	}
	r.Git(append([]string{"init", "--quiet", "--bare", "--initial-branch=main"}, flags...)...)
	// What GitHub, GitLab and Gitea allow.
	r.Git("config", "uploadpack.allowFilter", "true")
	r.Git("config", "uploadpack.allowAnySHA1InWant", "true")
	// What a test made has to stay where it is, and is not worth the time.
	r.Git("config", "gc.auto", "0")
	r.Git("config", "receive.autogc", "false")
	r.Git("config", "core.fsync", "none")
	return r
}

// Rename renames a repository, as a forge does.
func (h *Host) Rename(r *Repository, name string) {
	h.tb.Helper()
	to := filepath.Join(h.dir, filepath.FromSlash(name)+".git")
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		h.tb.Fatalf("rename a repository: %v", err)
	}
	if err := os.Rename(r.Dir, to); err != nil {
		h.tb.Fatalf("rename a repository: %v", err)
	}
	r.Name, r.Dir = name, to
}

// environment is that of git processes: nothing of the machine or the user but PATH.
func environment(more ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=/nonexistent", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada Löve", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Cleo", "GIT_COMMITTER_EMAIL=cleo@example.com",
	}, more...)
}

// run runs git in a directory and returns what it printed.
func run(tb TB, dir, input string, args ...string) string {
	tb.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(tb.Context()), "git", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = dir, environment(), strings.NewReader(input)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		tb.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(stdout.String())
}
