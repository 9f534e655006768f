package crashtest

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres/postgrestest"
)

const (
	// answerWithin is how long one call may take before another server is asked: one
	// that is paused never answers.
	answerWithin = 5 * time.Second
	// lease is short, so that what a paused server holds is lost.
	lease = "4s"
)

// site is what a client may call: one headraced on SQLite, or several on one
// PostgreSQL.
type site struct {
	t       *testing.T
	servers []*server
	// url is PostgreSQL's, empty for SQLite.
	url string
	// cluster is the PostgreSQL itself, which faults stop and start. No other test uses it.
	cluster *postgrestest.Cluster

	mu     sync.Mutex
	failed map[codes.Code]int
}

// newSite makes a site whose servers share what first is made of: the binary, the
// repository and the record.
func newSite(t *testing.T, first *server, url string) *site {
	t.Helper()
	return &site{t: t, servers: []*server{first}, url: url, failed: make(map[codes.Code]int)}
}

// newProcess starts one headraced on SQLite.
func newProcess(t *testing.T) *site {
	t.Helper()
	s := newServer(t)
	s.hooks = freePort(t)
	s.flags = []string{"--lease", lease, "--hooks-listen", s.hooks, "--poll-interval", pollEvery}
	s.log = logFile(t, 0)
	s.start()
	return newSite(t, s, "")
}

// newReplicas starts several headraced on a PostgreSQL of their own and one shared directory.
func newReplicas(t *testing.T, n int) *site {
	t.Helper()
	first := newServer(t)
	own := &postgrestest.Cluster{Durable: true}
	t.Cleanup(func() { require.NoError(t, own.Stop()) })
	r := replicate(t, first, n, own.Database(t), "--storage-url", blob.DirectoryURL(first.dir+"-shared"), "--storage-key", first.newKey("storage.key"))
	r.cluster = own
	return r
}

// replicate starts several headraced like a server that never starts itself, on the database
// at url and the storage that the flags name.
func replicate(t *testing.T, first *server, n int, url string, storage ...string) *site {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), first.binary, "migrate", "--database-url", url).CombinedOutput()
	require.NoError(t, err, "%s", out)
	token := filepath.Join(first.dir+"0", "admin.token")
	r := newSite(t, first, url)
	r.servers = nil
	for i := range n {
		s := *first
		s.dir += strconv.Itoa(i)
		s.grpc, s.http, s.hooks = freePort(t), freePort(t), freePort(t)
		s.token = token
		s.flags = append([]string{
			"--database-url", url, "--lease", lease, "--hooks-listen", s.hooks, "--poll-interval", pollEvery,
		}, storage...)
		s.log = logFile(t, i)
		r.servers = append(r.servers, &s)
		s.start()
	}
	return r
}

// newKey makes a key of a storage and returns what --storage-key takes.
func (s *server) newKey(name string) string {
	s.t.Helper()
	file := filepath.Join(filepath.Dir(s.dir), name)
	out, err := exec.CommandContext(s.t.Context(), s.binary, "storage-key", "new", file).CombinedOutput()
	require.NoError(s.t, err, "%s", out)
	return blob.DirectoryURL(file)
}

// logFile keeps what a server writes; go test -artifacts keeps it beyond the test.
func logFile(t *testing.T, server int) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.ArtifactDir(), "headraced"+strconv.Itoa(server)+".log"))
	require.NoError(t, err)
	// Before the servers are made, so closed after they ended.
	t.Cleanup(func() { _ = file.Close() })
	return file
}

// pick returns a server by chance, which may be down.
func (s *site) pick() *server { return s.servers[rand.IntN(len(s.servers))] }

// passes tells whether a call failed for a reason that goes away, and counts it.
func (s *site) passes(err error) bool {
	code := status.Code(err)
	switch code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Internal, codes.Aborted:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failed[code]++
		return true
	default:
		return false
	}
}

// call asks one server after the other until one answers or refuses.
func call[T any](ctx context.Context, s *site, fn func(ctx context.Context, c *client.Client) (T, error)) (T, error) {
	for {
		limited, cancel := context.WithTimeout(ctx, answerWithin)
		got, err := fn(limited, s.pick().client)
		cancel()
		if err == nil || ctx.Err() != nil || !s.passes(err) {
			return got, err
		}
		rest(ctx, 50*time.Millisecond)
	}
}

// rest lets time pass, but not beyond the end of the context.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// noWorkIsLeft looks at what the server counts.
func (s *server) noWorkIsLeft() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.http+"/metrics", nil)
	require.NoError(s.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	metrics, err := io.ReadAll(resp.Body)
	require.NoError(s.t, errors.Join(err, resp.Body.Close()))
	for _, name := range []string{"headrace_executions_live", "headrace_attempts_queued", "headrace_attempts_running"} {
		require.Contains(s.t, string(metrics), "\n"+name+" 0\n")
	}
}
