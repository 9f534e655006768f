package ui_test

import (
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/ui"
)

const page = `<!doctype html><head><base href="/"></head>`

func files() fstest.MapFS {
	return fstest.MapFS{
		"index.html":               {Data: []byte(page)},
		"assets/main-0AZ9BCDE.js":  {Data: []byte("export{};" + strings.Repeat("// a comment\n", 500))},
		"assets/main-0AZ9BCDE.css": {Data: []byte("body{}")},
		"assets/licenses.txt":      {Data: []byte("licenses")},
	}
}

func serve(t *testing.T, config ui.Config) http.Handler {
	t.Helper()
	handler, err := ui.New(config)
	require.NoError(t, err)
	return ui.Protect(handler)
}

// ask sends a request with headers, as name and value.
func ask(t *testing.T, handler http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	return answer
}

const asBrowser = "text/html,application/xhtml+xml,*/*;q=0.8"

func TestViewsAreTheIndex(t *testing.T) {
	t.Parallel()
	handler := serve(t, ui.Config{Files: files(), Base: `/a"b`})
	for _, path := range []string{"/", "/accounts/dev/pipelines/web", "/assetsx", "/accounts/dev/assets/x"} {
		answer := ask(t, handler, http.MethodGet, path, "Accept", asBrowser)
		require.Equal(t, http.StatusOK, answer.Code, path)
		require.Equal(t, strings.Replace(page, `"/"`, `"/a&#34;b/"`, 1), answer.Body.String())
		require.Equal(t, "text/html; charset=utf-8", answer.Header().Get("Content-Type"))
		require.Equal(t, "no-cache", answer.Header().Get("Cache-Control"))
		require.Equal(t, "nosniff", answer.Header().Get("X-Content-Type-Options"))
		policy := answer.Header().Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'")
		require.Contains(t, policy, "require-trusted-types-for 'script'")
		require.NotContains(t, policy, "unsafe")
	}
	require.Equal(t, http.StatusOK, ask(t, handler, http.MethodGet, "/").Code)
	require.Equal(t, http.StatusOK, ask(t, handler, http.MethodHead, "/x", "Accept", asBrowser).Code)
	require.Equal(t, http.StatusNotFound, ask(t, handler, http.MethodGet, "/x", "Accept", "application/json").Code)
	require.Equal(t, http.StatusNotFound, ask(t, handler, http.MethodGet, "/index.html").Code)
	require.Equal(t, http.StatusMethodNotAllowed, ask(t, handler, http.MethodPost, "/x", "Accept", asBrowser).Code)
	require.Contains(t, ask(t, serve(t, ui.Config{Files: files()}), http.MethodGet, "/").Body.String(), `<base href="/">`)
}

func TestAssetsAreKeptForeverIfTheirNamesChange(t *testing.T) {
	t.Parallel()
	handler := serve(t, ui.Config{Files: files()})
	for path, want := range map[string]struct{ kind, cached string }{
		"/assets/main-0AZ9BCDE.js":  {"text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		"/assets/main-0AZ9BCDE.css": {"text/css; charset=utf-8", "public, max-age=31536000, immutable"},
		"/assets/licenses.txt":      {"text/plain; charset=utf-8", "no-cache"},
	} {
		answer := ask(t, handler, http.MethodGet, path)
		require.Equal(t, http.StatusOK, answer.Code)
		require.Equal(t, want.kind, answer.Header().Get("Content-Type"))
		require.Equal(t, want.cached, answer.Header().Get("Cache-Control"))
		again := ask(t, handler, http.MethodGet, path, "If-None-Match", answer.Header().Get("ETag"))
		require.Equal(t, http.StatusNotModified, again.Code)
	}
	for _, path := range []string{"/assets/", "/assets/ghost.js", "/assets/../index.html", "/assets//main-0AZ9BCDE.js", "/assets/../../etc/passwd"} {
		require.Equal(t, http.StatusNotFound, ask(t, handler, http.MethodGet, path, "Accept", asBrowser).Code, path)
	}
}

func TestAssetsAreCompressedForThoseThatTakeIt(t *testing.T) {
	t.Parallel()
	handler := serve(t, ui.Config{Files: files()})
	const path = "/assets/main-0AZ9BCDE.js"
	plain := ask(t, handler, http.MethodGet, path)
	for _, accepted := range []string{"gzip", "br, gzip;q=0.5", "gzip, deflate, br"} {
		packed := ask(t, handler, http.MethodGet, path, "Accept-Encoding", accepted)
		require.Equal(t, "gzip", packed.Header().Get("Content-Encoding"))
		require.NotEqual(t, plain.Header().Get("ETag"), packed.Header().Get("ETag"))
		require.Less(t, packed.Body.Len(), plain.Body.Len()/4)
		reader, err := gzip.NewReader(packed.Body)
		require.NoError(t, err)
		data, err := io.ReadAll(reader)
		require.NoError(t, err)
		require.Equal(t, plain.Body.Bytes(), data)
	}
	for _, accepted := range []string{"", "br", "gzip;q=0", "gzip; q=0.0", "identity"} {
		answer := ask(t, handler, http.MethodGet, path, "Accept-Encoding", accepted)
		require.Empty(t, answer.Header().Get("Content-Encoding"))
		require.Equal(t, plain.Body.Bytes(), answer.Body.Bytes())
	}
	require.Empty(t, ask(t, handler, http.MethodGet, "/assets/licenses.txt", "Accept-Encoding", "gzip").Header().Get("Content-Encoding"))
}

// For development the files are read anew, and nothing outside of the directory.
func TestFilesOfADirectoryMayChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	_, err := ui.New(ui.Config{Files: os.DirFS(dir), Changing: true})
	require.ErrorIs(t, err, fs.ErrNotExist)
	write("index.html", "no base")
	_, err = ui.New(ui.Config{Files: os.DirFS(dir), Changing: true})
	require.ErrorContains(t, err, "index.html must contain")
	write("index.html", page)
	write("assets/main-0AZ9BCDE.js", "one")
	handler := serve(t, ui.Config{Files: os.DirFS(dir), Changing: true})
	for _, text := range []string{"one", "two"} {
		write("assets/main-0AZ9BCDE.js", text)
		answer := ask(t, handler, http.MethodGet, "/assets/main-0AZ9BCDE.js")
		require.Equal(t, text, answer.Body.String())
		require.Equal(t, "no-cache", answer.Header().Get("Cache-Control"))
	}
}

func TestAProgramWithoutTheUISaysSo(t *testing.T) {
	t.Parallel()
	handler := serve(t, ui.Config{})
	for _, path := range []string{"/", "/accounts/dev"} {
		answer := ask(t, handler, http.MethodGet, path, "Accept", asBrowser)
		require.Equal(t, http.StatusNotFound, answer.Code)
		require.Contains(t, answer.Body.String(), "built without the web UI")
		require.Equal(t, 1, strings.Count(answer.Body.String(), "\n"))
	}
}
