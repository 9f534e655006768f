package git

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
)

// maxNesting bounds submodules of submodules.
const maxNesting = 16

// errTooNested is the end of submodules within submodules.
var errTooNested = fmt.Errorf("at most %d levels are fetched", maxNesting)

// notAllowedError says that files of a repository name a server that the action may not
// fetch from.
type notAllowedError struct {
	what string
	err  error
}

func (e *notAllowedError) Error() string { return fmt.Sprintf("%s: %v", e.what, e.err) }

// updateSubmodules fetches the submodules of the repository in tree, and theirs. Every
// address is checked before git connects to it.
func (f *fetch) updateSubmodules(ctx context.Context, tree string, level int) error {
	declared, err := f.fileSettings(ctx, tree, ".gitmodules")
	if err != nil || len(declared) == 0 {
		return err
	}
	if level == maxNesting {
		return &notAllowedError{"submodules are nested too deep", errTooNested}
	}
	if _, err := f.gitIn(ctx, tree, "submodule", "--quiet", "init"); err != nil {
		return err
	}
	resolved, err := f.gitIn(ctx, tree, "config", "--local", "--list", "-z")
	if err != nil {
		return err
	}
	var paths []string
	for key, address := range settings(resolved) {
		name, isURL := strings.CutPrefix(key, "submodule.")
		name, found := strings.CutSuffix(name, ".url")
		if !isURL || !found {
			continue
		}
		path := declared["submodule."+name+".path"]
		if err := f.remote.Allows(address); err != nil {
			return &notAllowedError{fmt.Sprintf("submodule %q", path), err}
		}
		paths = append(paths, path)
	}
	if len(paths) == 0 {
		return nil
	}
	slices.Sort(paths)
	if err := f.cloneSubmodules(ctx, tree); err != nil {
		return err
	}
	// Only what git itself holds for a submodule is one: .gitmodules may name anything.
	links, err := f.gitIn(ctx, tree, append([]string{"--literal-pathspecs", "ls-files", "-z", "--stage", "--"}, paths...)...)
	if err != nil {
		return err
	}
	for link := range strings.SplitSeq(strings.TrimSuffix(links, "\x00"), "\x00") {
		mode, path, _ := strings.Cut(link, "\t")
		sub := filepath.Join(tree, filepath.FromSlash(path))
		relative, err := filepath.Rel(f.tree, sub)
		if !strings.HasPrefix(mode, "160000 ") || err != nil {
			continue
		}
		// One with update = none was left out.
		if _, err := f.workspace.Root.Lstat(filepath.Join(action.FilesDir, relative, ".git")); err != nil {
			continue
		}
		f.nested = append(f.nested, relative)
		if err := f.completeSubmodule(ctx, sub, level); err != nil {
			return err
		}
	}
	return nil
}

// cloneSubmodules clones and checks out the submodules of one repository.
func (f *fetch) cloneSubmodules(ctx context.Context, tree string) error {
	update := []string{"submodule", "update", "--progress", "--checkout", "--force", "--no-recommend-shallow"}
	if f.depth == 0 {
		_, err := f.reach(ctx, tree, nil, update...)
		return err
	}
	_, err := f.reach(ctx, tree, nil, append(update, "--depth="+strconv.Itoa(f.depth))...)
	var failed *gitError
	if !errors.As(err, &failed) || !refusesCommits(failed.stderr) && !noShallow(failed.stderr) {
		return err
	}
	_, _ = fmt.Fprintln(f.log, "The server gives no single commits; fetching submodules with their history")
	relative, err := filepath.Rel(f.workspace.Dir, tree)
	if err != nil {
		return err
	}
	if tree == f.tree {
		if err := f.workspace.Root.RemoveAll(filepath.Join(relative, ".git", "modules")); err != nil {
			return err
		}
	}
	_, err = f.reach(ctx, tree, nil, update...)
	return err
}

// completeSubmodule fetches what is below a submodule that was checked out.
func (f *fetch) completeSubmodule(ctx context.Context, tree string, level int) error {
	if f.lfs {
		address, err := f.gitIn(ctx, tree, "config", "--get", "remote.origin.url")
		if err != nil {
			return err
		}
		remote := f.remote
		remote.URL = strings.TrimSpace(address)
		if err := f.pullLFS(ctx, tree, remote); err != nil {
			return err
		}
	}
	return f.updateSubmodules(ctx, tree, level+1)
}

// pullLFS replaces the pointers in a work tree by the objects of Git LFS.
func (f *fetch) pullLFS(ctx context.Context, tree string, of gitauth.Remote) error {
	declared, err := f.fileSettings(ctx, tree, ".lfsconfig")
	if err != nil {
		return err
	}
	// .lfsconfig could name another remote, with an address of its own.
	config := append(filterSettings(), [2]string{"remote.lfsdefault", "origin"})
	for _, key := range []string{"lfs.url", "remote.origin.lfsurl"} {
		address, found := declared[key]
		if !found {
			continue
		}
		if err := f.remote.Allows(address); err != nil {
			return &notAllowedError{key + " in .lfsconfig", err}
		}
		config = append(config, [2]string{"lfs.url", address})
		break
	}
	// Git LFS would write into .git/config which authentication a server wants.
	for _, address := range []string{of.URL, strings.TrimSuffix(of.URL, "/") + "/info/lfs", strings.TrimSuffix(of.URL, "/") + ".git/info/lfs"} {
		if strings.HasPrefix(address, "http") {
			config = append(config, [2]string{"lfs." + address + ".access", "basic"})
		}
	}
	if _, err := f.reach(ctx, tree, config, "lfs", "pull", "origin"); err != nil {
		var failed *gitError
		if errors.As(err, &failed) && strings.Contains(failed.stderr, "'lfs' is not a git command") {
			return errNoLFS
		}
		return err
	}
	if !f.clone {
		return nil
	}
	// As git lfs install --local does, but for one setting: without git-lfs, git reads the
	// files as they are.
	for _, setting := range filterSettings() {
		if _, err := f.gitIn(ctx, tree, "config", setting[0], setting[1]); err != nil {
			return err
		}
	}
	return nil
}

// filterSettings make git read and write pointers by git-lfs.
func filterSettings() [][2]string {
	return [][2]string{
		{"filter.lfs.clean", "git-lfs clean -- %f"},
		{"filter.lfs.smudge", "git-lfs smudge -- %f"},
		{"filter.lfs.process", "git-lfs filter-process"},
		{"filter.lfs.required", "false"},
	}
}

// fileSettings returns the settings in a file of the commit, none if it has no such file.
func (f *fetch) fileSettings(ctx context.Context, tree, name string) (map[string]string, error) {
	listed, err := f.gitIn(ctx, tree, "ls-tree", "-z", "HEAD", "--", name)
	if err != nil || listed == "" {
		return nil, err
	}
	text, err := f.gitIn(ctx, tree, "config", "--blob", "HEAD:"+name, "--list", "-z")
	if err != nil {
		return nil, err
	}
	return settings(text), nil
}

// settings reads what git config --list -z prints.
func settings(text string) map[string]string {
	all := make(map[string]string)
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\x00"), "\x00") {
		key, value, _ := strings.Cut(line, "\n")
		all[key] = value
	}
	return all
}
