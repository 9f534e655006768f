package crashtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// What the shell or the service manager that started the server left open is none
// of a command's business.
func TestCommandsInheritNoFiles(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	inherited, err := os.Create(filepath.Join(t.TempDir(), "inherited"))
	require.NoError(t, err)
	defer func() { require.NoError(t, inherited.Close()) }()
	s.inherited = []*os.File{inherited}
	s.start()
	source := s.stages()[0]
	s.define("files", []*headracev1.Stage{source, {Name: "Look", Actions: []*headracev1.Action{{
		Name: "Look", Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1", InputArtifacts: []string{"source"},
		Commands: []string{`! ls -l /proc/self/fd | grep inherited`},
	}}}})
	require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, s.finish(s.run("files")).GetStatus())
	s.stop()
}
