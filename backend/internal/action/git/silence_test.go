package git_test

import (
	"crypto/rand"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/action/git"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner/runnertest"
)

// silent returns the address of a server that accepts connections and never answers.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	accepted := make(chan net.Conn, 100)
	go func() {
		defer close(accepted)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- connection
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		for connection := range accepted {
			_ = connection.Close()
		}
	})
	return listener.Addr().String()
}

func impatient() *git.Executor {
	executor := git.New()
	executor.Silence = time.Second
	return executor
}

// TestSilentServer holds that a server that accepts and never answers fails the action with its
// cause, over each transport.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	address := silent(t)
	for name, test := range map[string]struct {
		url           string
		configuration map[string]string
	}{
		"branch":         {"http://" + address + "/web.git", map[string]string{"Branch": "main"}},
		"default branch": {"http://" + address + "/web.git", nil},
		"TLS":            {"https://" + address + "/web.git", map[string]string{"Branch": "main"}},
		"SSH":            {"ssh://git@" + address + "/web.git", map[string]string{"Branch": "main"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, log := runnertest.Start(t, impatient(), nil).Run(t, attempt(test.url, test.configuration))
			require.NotNil(t, result.Failure, log)
			require.Equal(t, action.RevisionUnavailable, result.Failure.Code, result.Failure.Message)
			require.Contains(t, result.Failure.Message, "from "+test.url+": git made no progress for 1s: the server sent nothing; check that the server answers")
		})
	}
}

// TestSilentLFS holds that a server of LFS objects that never answers fails the action too.
func TestSilentLFS(t *testing.T) {
	t.Parallel()
	needLFS(t)
	address := silent(t)
	_, server, repository := private(t)
	repository.Commit("main", map[string]string{
		".gitattributes": attributes, "big.bin": pointer("big\n"), ".lfsconfig": "[lfs]\n\turl = http://" + address + "/lfs\n",
	})
	remote := remoteOf(server, repository)
	remote.AllowedHosts = []string{address}
	result, log := runnertest.Start(t, impatient(), with(connections{"acme/web": remote})).Run(t, through("acme/web", map[string]string{"LFS": "true"}))
	require.NotNil(t, result.Failure, log)
	require.Equal(t, action.RevisionUnavailable, result.Failure.Code, result.Failure.Message)
	require.Contains(t, result.Failure.Message, "git made no progress for 1s")
}

// trickle is a response that is sent in many small parts, with a pause before each.
type trickle struct {
	http.ResponseWriter
	pause time.Duration
}

func (w *trickle) Write(p []byte) (int, error) {
	const parts = 16
	for n := 0; n < len(p); {
		next := min(n+len(p)/parts+1, len(p))
		<-time.After(w.pause)
		if _, err := w.ResponseWriter.Write(p[n:next]); err != nil {
			return n, err
		}
		if flusher, ok := w.ResponseWriter.(http.Flusher); ok {
			flusher.Flush()
		}
		n = next
	}
	return len(p), nil
}

// TestSlowServer holds that a fetch that takes longer than a server may be silent succeeds as
// long as something comes, and that its log has no reports of progress.
func TestSlowServer(t *testing.T) {
	t.Parallel()
	_, server, repository := private(t)
	files := map[string]string{}
	for _, name := range []string{"a", "b", "c", "d"} {
		files[name] = incompressible(256 << 10)
	}
	repository.Commit("main", files)
	target, err := url.Parse(server.Base())
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/git-upload-pack") {
			w = &trickle{ResponseWriter: w, pause: 10 * time.Millisecond}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(slow.Close)
	remote := gitauth.Remote{URL: strings.Replace(server.URL(repository), server.Base(), slow.URL, 1), Username: user, Password: token}
	executor := git.New()
	executor.Silence = 3 * time.Second
	started := time.Now()
	result, log := runnertest.Start(t, executor, with(connections{"acme/web": remote})).Run(t, through("acme/web", map[string]string{"Branch": "main"}))
	require.Nil(t, result.Failure, log)
	require.Greater(t, time.Since(started), executor.Silence, "the fetch was too fast to show anything")
	require.NotContains(t, log, "%")
	require.NotContains(t, log, "->")
}

// incompressible returns text of random bytes.
func incompressible(size int) string {
	text := make([]byte, size)
	_, _ = rand.Read(text)
	return string(text)
}
