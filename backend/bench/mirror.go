package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/mirror"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

const (
	pushedCommits = 5000
	pushedFiles   = 50_000
	pushTimes     = 5
	mirrorLimit   = 4 << 30
)

// repositories are git servers and repositories for a figure. What fails panics, as in a
// test, and is returned as an error by withRepositories.
type repositories struct {
	ctx      context.Context //nolint:containedctx // It is a test's.
	dir      string
	cleanups []func()
}

type failed string

func (r *repositories) Helper() {}
func (r *repositories) Fatalf(format string, args ...any) {
	panic(failed(fmt.Sprintf(format, args...)))
}
func (r *repositories) Skipf(format string, args ...any) { r.Fatalf(format, args...) }
func (r *repositories) Cleanup(cleanup func())           { r.cleanups = append(r.cleanups, cleanup) }
func (r *repositories) Context() context.Context         { return r.ctx }

func (r *repositories) TempDir() string {
	dir, err := os.MkdirTemp(r.dir, "git-")
	if err != nil {
		r.Fatalf("make a directory: %v", err)
	}
	return dir
}

// withRepositories calls a function with a host of repositories.
func withRepositories(ctx context.Context, dir string, f func(*gittest.Host) error) (err error) {
	r := &repositories{ctx: ctx, dir: dir}
	defer func() {
		for i := len(r.cleanups) - 1; i >= 0; i-- {
			r.cleanups[i]()
		}
		switch p := recover().(type) {
		case nil:
		case failed:
			err = errors.New(string(p))
		default:
			panic(p)
		}
	}()
	return f(gittest.NewHost(r))
}

// measurePush measures the decision on a push of many commits and files, from the fetch to
// what a filter of files says, beside git doing the same by itself.
func (r *run) measurePush(ctx context.Context) error {
	return withRepositories(ctx, r.dir, func(host *gittest.Host) error {
		repo := host.Repository("mono")
		server := host.HTTP()
		base := repo.Fill("main", pushedFiles)
		mirrors, err := mirror.Open(mirror.Config{
			Dir: filepath.Join(r.dir, "mirrors"), Limit: mirrorLimit, Clock: time.Now, Log: hclog.NewNullLogger(),
			Remote: func(context.Context, mirror.Repository) (gitauth.Remote, error) {
				return gitauth.Remote{URL: server.URL(repo)}, nil
			},
		})
		if err != nil {
			return err
		}
		defer func() { _ = mirrors.Close() }()
		repository := mirror.Repository{Account: "default", ID: "mono", Name: "mono"}
		plain := filepath.Join(r.dir, "plain.git")
		if err := gitIn(ctx, "", "clone", "--quiet", "--bare", "--filter=blob:none", server.URL(repo), plain); err != nil {
			return err
		}
		if _, err := mirrors.Commit(ctx, repository, base); err != nil {
			return err
		}
		declared := &trigger.Git{SourceAction: "Source", Push: []pipeline.GitPushFilter{{
			FilePaths: &pipeline.GlobFilter{Includes: []string{"nothing/**", gittest.Path(pushedFiles - 1)}, Excludes: []string{"**/*.md"}},
		}}}
		var took, bare []time.Duration
		for i := range pushTimes {
			head := repo.Grow("main", pushedCommits, pushedFiles)
			both := []struct {
				into *[]time.Duration
				do   func() error
			}{
				{&bare, func() error {
					if err := gitIn(ctx, plain, "fetch", "--quiet", "origin", head); err != nil {
						return err
					}
					return gitIn(ctx, plain, "diff-tree", "-r", "-z", "--no-renames", "--name-only", base, head)
				}},
				{&took, func() error { return decidePush(ctx, mirrors, repository, declared, base, head) }},
			}
			if i%2 == 1 {
				// The first one finds the server's files cold.
				slices.Reverse(both)
			}
			for _, one := range both {
				begun := time.Now()
				if err := one.do(); err != nil {
					return err
				}
				*one.into = append(*one.into, time.Since(begun))
			}
			base = head
		}
		r.latency("push_decision_50k_files", took, at(bare, 50), "git fetch and diff-tree by themselves", "value <= 2000")
		return nil
	})
}

// decidePush is what a turn does that needs changed files.
func decidePush(ctx context.Context, mirrors *mirror.Mirrors, repository mirror.Repository, declared *trigger.Git, base, head string) error {
	changes, err := mirrors.ChangedFiles(ctx, repository, base, head)
	if err != nil {
		return err
	}
	commit, err := mirrors.Commit(ctx, repository, head)
	if err != nil {
		return err
	}
	if changes.Unknown != "" || len(changes.Paths) != pushedFiles {
		return fmt.Errorf("%d changed files, unknown %q", len(changes.Paths), changes.Unknown)
	}
	event := &trigger.Event{Move: &trigger.Move{Ref: "refs/heads/main", From: base, To: head, Head: &trigger.Message{Subject: commit.Subject}}}
	if result := trigger.Match(declared, event, trigger.Changed(changes.Paths)); result.Outcome != trigger.Matched {
		return fmt.Errorf("the push does not match: %+v", result)
	}
	return nil
}

// gitIn runs git for a figure.
func gitIn(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, stderr.String())
	}
	return nil
}
