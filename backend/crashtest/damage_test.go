package crashtest

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// A server whose PostgreSQL has a damaged page is not ready once it met that, and goes on with
// what is whole.
func TestADamagedPostgreSQL(t *testing.T) {
	t.Parallel()
	site := newReplicas(t, 1)
	s := site.servers[0]
	s.define("web", s.stages())
	s.stop()

	check := exec.CommandContext(t.Context(), s.binary, append([]string{"check", "--data-dir", s.dir, "--isolation", "none"}, databaseFlags(s.flags)...)...)
	out, err := check.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "and within 1m0s of the clock of the database")

	require.NoError(t, site.cluster.Damage(t.Context(), site.url, "pipelines"))
	s.start()
	_, err = s.client.Pipelines.ListPipelines(t.Context(), &headracev1.ListPipelinesRequest{Parent: client.AccountName("default")})
	require.Error(t, err)
	require.Eventually(t, func() bool {
		status, text := s.readyz()
		return status == http.StatusServiceUnavailable && strings.Contains(text, "the database is damaged; the log says what to do")
	}, patience, 10*time.Millisecond)
	// The answer may come before what the server wrote to its log meanwhile.
	repair := "stop all servers and restore the PostgreSQL " + filepath.Base(strings.SplitN(site.url, "?", 2)[0])
	require.Eventually(t, func() bool { return strings.Contains(s.output.String(), repair) }, patience, 10*time.Millisecond)
	_, err = s.client.Server.WhoAmI(t.Context(), &headracev1.WhoAmIRequest{})
	require.NoError(t, err)
	s.stop()
}

// databaseFlags are those of a server's flags that say where its data is.
func databaseFlags(flags []string) (of []string) {
	for i := 0; i+1 < len(flags); i += 2 {
		switch flags[i] {
		case "--database-url", "--storage-url", "--storage-key":
			of = append(of, flags[i:i+2]...)
		}
	}
	return of
}
