package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/secret"
)

// refsTimeout bounds the reading of a repository's refs by git.
const refsTimeout = 30 * time.Second

// countRefs returns how many branches and tags git reads of a repository.
func countRefs(ctx context.Context, remote gitauth.Remote) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, refsTimeout)
	defer cancel()
	dir, err := os.MkdirTemp("", "headrace-check-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	environment, err := gitauth.Prepare(dir, remote)
	if err != nil {
		return 0, err
	}
	var out, problem bytes.Buffer
	git := exec.CommandContext(ctx, "git", "ls-remote", "--quiet", "--heads", "--tags", "--", remote.URL)
	git.Env, git.Dir, git.Stdout, git.Stderr = environment.Vars, dir, &out, &problem
	git.WaitDelay = time.Second
	switch err := git.Run(); {
	case ctx.Err() != nil:
		return 0, fmt.Errorf("git got no answer in %s", refsTimeout)
	case err != nil:
		said := api.Reason(secret.Redact(problem.String(), remote.Secrets()...))
		if said == "" {
			said = err.Error()
		}
		return 0, errors.New("git cannot read its refs: " + said)
	}
	return strings.Count(out.String(), "\n"), nil
}
