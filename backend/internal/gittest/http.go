package gittest

import (
	"bytes"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"net/http/cgi" //nolint:gosec // How git http-backend is run; Go has long been safe from Httpoxy.
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// HTTPServer serves the repositories of a host by smart HTTP, as forges do: by git
// http-backend.
type HTTPServer struct {
	tb      TB
	host    *Host
	server  *httptest.Server
	backend string

	mu sync.Mutex
	// users are passwords by user; everyone may read and write if there are none.
	users    map[string]string
	status   int
	delay    time.Duration
	full     bool
	requests map[string]int
	headers  []http.Header
}

// HTTP starts a server of the host's repositories, to which everyone may read and write
// until Allow is called.
func (h *Host) HTTP() *HTTPServer {
	h.tb.Helper()
	s := h.newHTTP()
	s.server = httptest.NewServer(s)
	h.tb.Cleanup(s.Close)
	return s
}

// HTTPS is HTTP with TLS by a certificate that nobody trusts but who is told by CA.
func (h *Host) HTTPS() *HTTPServer {
	h.tb.Helper()
	s := h.newHTTP()
	s.server = httptest.NewTLSServer(s)
	h.tb.Cleanup(s.Close)
	return s
}

func (h *Host) newHTTP() *HTTPServer {
	h.tb.Helper()
	path, err := exec.CommandContext(h.tb.Context(), "git", "--exec-path").Output()
	if err != nil {
		h.tb.Fatalf("find git http-backend: %v", err)
	}
	return &HTTPServer{
		tb: h.tb, host: h, backend: strings.TrimSpace(string(path)) + "/git-http-backend",
		requests: make(map[string]int),
	}
}

// Close stops the server. It is safe to call it again.
func (s *HTTPServer) Close() {
	s.server.CloseClientConnections()
	s.server.Close()
}

// Base is the address of the server, without a slash at its end.
func (s *HTTPServer) Base() string { return s.server.URL }

// CA returns the PEM certificate of the authority of an HTTPS server.
func (s *HTTPServer) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.server.Certificate().Raw})
}

// URL is the address of a repository, without a credential.
func (s *HTTPServer) URL(r *Repository) string { return s.server.URL + "/" + r.Name + ".git" }

// Allow lets a user in with a password, and nobody without one. A token is a password, for
// instance of x-access-token.
func (s *HTTPServer) Allow(user, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == nil {
		s.users = make(map[string]string)
	}
	s.users[user] = password
}

// Revoke lets a user in no more.
func (s *HTTPServer) Revoke(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == nil {
		s.users = make(map[string]string)
	}
	delete(s.users, user)
}

// Refuse answers every request with a status; 0 ends that.
func (s *HTTPServer) Refuse(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

// Slow lets every request wait before it is answered, or until the client leaves.
func (s *HTTPServer) Slow(delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = delay
}

// NoPartialClone refuses filters, as servers without partial clone do.
func (s *HTTPServer) NoPartialClone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = true
}

// Requests returns how many requests there were by service: git-upload-pack,
// git-receive-pack, and info/refs of each with the prefix "refs ". Refused ones are
// counted too.
func (s *HTTPServer) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.requests)
}

// Total returns how many requests there were.
func (s *HTTPServer) Total() int {
	total := 0
	for _, n := range s.Requests() {
		total += n
	}
	return total
}

// Headers returns the headers of all requests, for tests of what reaches a server.
func (s *HTTPServer) Headers() []http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]http.Header(nil), s.headers...)
}

// ServeHTTP implements http.Handler, so that a test may put the server behind something.
func (s *HTTPServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, status, delay, full := s.admit(r)
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	if status != 0 {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		}
		http.Error(w, http.StatusText(status), status)
		return
	}
	if r.ContentLength < 0 {
		// CGI wants a length, and git sends what is large in chunks.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	}
	filter := "true"
	if full {
		filter = "false"
	}
	env := []string{
		"GIT_PROJECT_ROOT=" + s.host.dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=" + user,
		"GIT_CONFIG_COUNT=3",
		"GIT_CONFIG_KEY_0=uploadpack.allowFilter", "GIT_CONFIG_VALUE_0=" + filter,
		"GIT_CONFIG_KEY_1=http.receivepack", "GIT_CONFIG_VALUE_1=true",
		"GIT_CONFIG_KEY_2=safe.directory", "GIT_CONFIG_VALUE_2=*",
	}
	handler := &cgi.Handler{Path: s.backend, Dir: s.host.dir, Env: environment(env...), Stderr: io.Discard, Root: "/"}
	handler.ServeHTTP(w, r)
}

// admit counts a request and returns what to do with it.
func (s *HTTPServer) admit(r *http.Request) (user string, status int, delay time.Duration, full bool) {
	service := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	if strings.HasSuffix(r.URL.Path, "/info/refs") {
		service = "refs " + r.URL.Query().Get("service")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[service]++
	s.headers = append(s.headers, r.Header.Clone())
	user, password, given := r.BasicAuth()
	status = s.status
	if status == 0 && s.users != nil {
		if want, ok := s.users[user]; !given || !ok || want != password {
			status = http.StatusUnauthorized
		}
	}
	if user == "" {
		user = "anyone"
	}
	return user, status, s.delay, s.full
}
