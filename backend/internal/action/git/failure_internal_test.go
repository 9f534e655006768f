package git

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFaultsOfTheMachine(t *testing.T) {
	t.Parallel()
	for stderr, want := range map[string]bool{
		"fatal: write error: No space left on device\n":                                        true,
		"hint: x\nerror: cannot fork() for index-pack: Resource temporarily unavailable\n":     true,
		"bwrap: Creating new namespace failed: nesting depth or limits exceeded\n":             true,
		"remote: fatal: No space left on device\nfatal: the remote end hung up unexpectedly\n": false,
		"fatal: repository 'https://127.0.0.1/x.git/' not found\n":                             false,
		"": false,
	} {
		require.Equal(t, want, ofMachine(stderr), stderr)
	}
}
