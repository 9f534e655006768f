package runner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProcessLimits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		user, group uint64
		slots       int
		apart       bool
		want        processLimits
		scarce      bool
	}{
		"no limit":                 {unlimited, unlimited, 4, true, processLimits{}, false},
		"a service of systemd":     {15000, 4915, 4, true, processLimits{user: 14808, action: 1180}, false},
		"without isolation":        {15000, 4915, 4, false, processLimits{user: 14808}, false},
		"many slots":               {unlimited, 2048, 16, true, processLimits{action: 512}, true},
		"many slots of a user":     {2048, unlimited, 16, true, processLimits{user: 1664, action: 512}, false},
		"less than what is spared": {unlimited, 80, 2, true, processLimits{action: 20}, false},
		"a service of one slot":    {600, unlimited, 1, true, processLimits{user: 456, action: 456}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limits, scarce := newProcessLimits(test.user, test.group, test.slots, test.apart)
			require.Equal(t, test.want, limits)
			require.Equal(t, test.scarce, scarce)
		})
	}
}

func TestCgroupLimit(t *testing.T) {
	t.Parallel()
	mount := t.TempDir()
	for path, most := range map[string]string{
		"system.slice/pids.max": "900\n", "system.slice/headraced.service/pids.max": "max\n", "pids/old/pids.max": "70\n",
	} {
		file := filepath.Join(mount, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(most), 0o600))
	}
	for file, want := range map[string]uint64{
		"":                                     unlimited,
		"0::/\n":                               unlimited,
		"0::/system.slice/headraced.service\n": 900,
		"4:memory:/old\n3:cpu,pids:/old/b\n0::/\n": 70,
		"4:memory:/old\n0::/../outside\n":          unlimited,
	} {
		require.Equal(t, want, cgroupLimit(strings.NewReader(file), mount), file)
	}
}

func TestReleaseOfTheKernel(t *testing.T) {
	t.Parallel()
	for release, want := range map[string]bool{
		"6.18.44-fc-v669": true, "5.14.0-503.el9": true, "5.14-rc1": true, "5.10.0-28-amd64": false, "4.18.0": false, "5": false, "": false,
	} {
		require.Equal(t, want, atLeast(release, 5, 14), release)
	}
}
