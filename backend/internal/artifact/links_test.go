package artifact_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

// A link that leads to nothing in the artifact is stored, but not without a word. If a glob
// names it, somebody wanted what it leads to.
func TestLinksThatLeadToNothing(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	for name, test := range map[string]struct {
		links  map[string]string
		globs  []string
		remark string
		err    string
	}{
		"within":             {links: map[string]string{"a": "dir/file", "dir/b": "../file", "dir/up": "..", "c": "./a", "d": "dir"}},
		"through a link":     {links: map[string]string{"to": "dir", "a": "to/file", "dir/b": "../to/../file"}},
		"dangling":           {links: map[string]string{"a": "nowhere"}, remark: `artifact "A": the symbolic link "a" leads to "nowhere", which is not in the artifact`},
		"absolute":           {links: map[string]string{"a": "/etc/passwd"}, remark: `the symbolic link "a" leads to "/etc/passwd"`},
		"out and back":       {links: map[string]string{"dir/a": "../../src/file"}, remark: `"dir/a" leads to "../../src/file"`},
		"through one out":    {links: map[string]string{"a": "/etc", "b": "a/passwd"}, remark: `2 symbolic links lead to files that are not in the artifact: "a", "b"`},
		"in a circle":        {links: map[string]string{"a": "b", "b": "a"}, remark: `2 symbolic links`},
		"below a file":       {links: map[string]string{"a": "file/x"}, remark: `"a" leads to "file/x"`},
		"many":               {links: map[string]string{"a": "x", "b": "x", "c": "x", "d": "x", "e": "x", "f": "x", "g": "x", "h": "x", "i": "x", "j": "x", "k": "x", "l": "x"}, remark: `12 symbolic links lead to files that are not in the artifact: "a", "b", "c", "d", "e", "f", "g", "h", "i", "j" and 2 more`},
		"target left out":    {links: map[string]string{"dir/a": "../file"}, globs: []string{"dir"}, remark: `"dir/a" leads to "../file"`},
		"target taken too":   {links: map[string]string{"dir/a": "../file"}, globs: []string{"dir", "file"}},
		"not taken":          {links: map[string]string{"a": "nowhere"}, globs: []string{"dir/*"}},
		"named":              {links: map[string]string{"a": "/etc/passwd"}, globs: []string{"./a"}, err: `"a" is a symbolic link to "/etc/passwd", which is not in the artifact; let the commands copy`},
		"named, inside":      {links: map[string]string{"a": "file"}, globs: []string{"a"}, err: `"a" is a symbolic link to "file", which is not in the artifact`},
		"named with target":  {links: map[string]string{"a": "file"}, globs: []string{"a", "f*"}},
		"named by brackets":  {links: map[string]string{"[a]": "/etc/passwd"}, globs: []string{"[a]"}, err: `"[a]" is a symbolic link`},
		"below a link":       {links: map[string]string{"a": "/etc"}, globs: []string{"a/passwd"}, err: `no file matches "a/passwd": "a" is a symbolic link, which is not followed`},
		"pattern below one":  {links: map[string]string{"dir/bazel-bin": "/etc"}, globs: []string{"*/bazel-*/*"}, err: `no file matches "*/bazel-*/*": "dir/bazel-bin" is a symbolic link`},
		"pattern elsewhere":  {links: map[string]string{"a": "/etc"}, globs: []string{"b/passwd"}, err: `no file matches "b/passwd"; the work directory holds "a", "dir", "file"`},
		"pattern everywhere": {links: map[string]string{"a": "/etc"}, globs: []string{"**/*.xml"}, err: `no file matches "**/*.xml"; the work directory holds`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "src/file", "", 0o600)
			write(t, dir, "src/dir/file", "", 0o600)
			for link, target := range test.links {
				require.NoError(t, os.Symlink(target, filepath.Join(dir, "src", link)))
			}
			stored, err := store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: "src", Globs: test.globs})
			if test.err != "" {
				require.ErrorIs(t, err, action.ErrUnstorable)
				require.ErrorContains(t, err, test.err)
				return
			}
			require.NoError(t, err)
			if test.remark == "" {
				require.Empty(t, stored.Remarks)
				return
			}
			require.Len(t, stored.Remarks, 1)
			require.Contains(t, stored.Remarks[0], test.remark)
		})
	}
}

// A chain of links as long as the kernel follows.
func TestLongChainOfLinks(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	for length, remarks := range map[int]int{40: 0, 50: 1} {
		dir := t.TempDir()
		write(t, dir, "l0", "", 0o600)
		for i := range length {
			require.NoError(t, os.Symlink(fmt.Sprintf("l%d", i), filepath.Join(dir, fmt.Sprintf("l%d", i+1))))
		}
		_, err := os.Stat(filepath.Join(dir, fmt.Sprintf("l%d", length)))
		require.Equal(t, remarks == 0, err == nil)
		stored, err := store.Store(t.Context(), "A", root(t, dir), action.Files{Dir: "."})
		require.NoError(t, err)
		require.Len(t, stored.Remarks, remarks)
	}
}
