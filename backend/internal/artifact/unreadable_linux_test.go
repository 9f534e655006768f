package artifact_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

// obeyModes makes the modes of files hold for the test, also if it runs as root. The thread
// ends with the test.
func obeyModes(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	require.NoError(t, unix.Capget(&head, &data[0]))
	data[0].Effective &^= 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
	require.NoError(t, unix.Capset(&head, &data[0]))
}

func TestUnreadableFiles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		globs  []string
		remark string
		err    string
	}{
		"everything":              {err: `"closed" cannot be read: permission denied`},
		"not named":               {globs: []string{"bin/**"}},
		"another part":            {globs: []string{"b*/app"}},
		"a pattern of everywhere": {globs: []string{"**/app"}, remark: `artifact "A": "closed", "listed" cannot be read (permission denied), so the files below are left out`},
		"braces with slashes":     {globs: []string{"{x/y,bin}/app"}, remark: `"closed", "listed" cannot be read`},
		"named":                   {globs: []string{"bin/app", "closed"}, err: `"closed" cannot be read`},
		"named below":             {globs: []string{"bin/app", "closed/db"}, err: `"closed" cannot be read`},
		"a pattern below":         {globs: []string{"bin/app", "clo*/db"}, err: `"closed" cannot be read`},
		"all of it":               {globs: []string{"bin/app", "closed/**"}, err: `"closed" cannot be read`},
		"all of everything":       {globs: []string{"**"}, err: `"closed" cannot be read`},
		"a file":                  {globs: []string{"bin/app", "secret"}, err: `"secret" cannot be read`},
		"without search":          {globs: []string{"bin/app", "listed"}, err: `"listed" cannot be read`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, _ := open(t)
			dir := t.TempDir()
			write(t, dir, "bin/app", "", 0o600)
			write(t, dir, "closed/db", "", 0o600)
			write(t, dir, "listed/file", "", 0o600)
			write(t, dir, "secret", "", 0)
			require.NoError(t, os.Chmod(filepath.Join(dir, "listed"), 0o600))
			require.NoError(t, os.Chmod(filepath.Join(dir, "closed"), 0))
			t.Cleanup(func() {
				require.NoError(t, os.Chmod(filepath.Join(dir, "closed"), 0o700))
				require.NoError(t, os.Chmod(filepath.Join(dir, "listed"), 0o700))
			})
			opened := root(t, dir)
			obeyModes(t)
			stored, err := store.Store(t.Context(), "A", opened, action.Files{Dir: ".", Globs: test.globs})
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
