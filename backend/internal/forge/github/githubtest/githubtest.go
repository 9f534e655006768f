// Package githubtest is a GitHub for tests. Nobody ships one that verifies Apps, so this is a
// fake; every request to it and every answer of it is judged by GitHub's own description of
// its API, from @octokit/openapi. It must never be used outside of tests.
package githubtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/golang-jwt/jwt/v5"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/forgetest"
)

// prefix is where a GitHub Enterprise server has its API.
const prefix = "/api/v3"

const (
	// AppID is the client id of the App.
	AppID = "Iv23liTestApp"
	// Installation is the App's only one.
	Installation = 4711
	// Token is a personal access token that is accepted.
	Token = "ghp_personal"
)

// Server is a GitHub with one App, one installation and repositories.
type Server struct {
	// URL is the endpoint of connections.
	URL string
	// Key is the private key of the App, in PEM.
	Key string

	tb     testing.TB
	public *rsa.PublicKey
	judge  routers.Router
	doc    *openapi3.T
	Clock  func() time.Time
	mu     sync.Mutex
	issued map[string]issued
	state  State
	counts map[string]int
	nextID int64
}

// State is what the server has. Change sets it.
type State struct {
	// AppPermissions and Permissions are of the App and of the installation, by name.
	AppPermissions, Permissions map[string]string
	Events                      []string
	Suspended                   bool
	// Repositories are those of the installation, by full name, with their hooks.
	Repositories map[string][]map[string]any
	// Deliveries are those of the App, newest first.
	Deliveries []map[string]any
	// Scopes is the header of a classic token, nil for a fine-grained one.
	Scopes *string
	// Limit makes the next so many calls be refused with Retry-After: 1.
	Limit int
	// AppHook is where the webhook of the App delivers.
	AppHook string
}

// issued is a token of the installation.
type issued struct {
	repositories []string
	permissions  map[string]string
	expires      time.Time
}

// Start starts a server. It skips the test if GitHub's description of its API is not
// installed; HEADRACE_TEST_OCTOKIT=required fails it.
func Start(tb testing.TB) *Server {
	tb.Helper()
	path := forgetest.Part(tb, "HEADRACE_TEST_OCTOKIT", "npm", "node_modules", "@octokit", "openapi", "generated", "api.github.com.json")
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{
		tb: tb, public: &key.PublicKey, issued: make(map[string]issued), counts: make(map[string]int), Clock: time.Now, nextID: 100,
		Key: string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		state: State{
			AppPermissions: map[string]string{"contents": "read", "metadata": "read", "pull_requests": "read", "repository_hooks": "write"},
			Permissions:    map[string]string{"contents": "read", "metadata": "read", "pull_requests": "read", "repository_hooks": "write"},
			Events:         []string{"push", "pull_request"},
			Repositories:   map[string][]map[string]any{"acme/web": nil, "acme/shop": nil},
		},
	}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	tb.Cleanup(server.Close)
	s.URL = server.URL
	s.load(path)
	return s
}

// load reads the description of the API, and keeps the paths that the server has.
func (s *Server) load(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		s.tb.Fatal(err)
	}
	// All of it takes seconds to read.
	var whole map[string]json.RawMessage
	var paths map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(text, &whole), json.Unmarshal(whole["paths"], &paths)); err != nil {
		s.tb.Fatalf("read %s: %v", path, err)
	}
	maps.DeleteFunc(paths, func(name string, _ json.RawMessage) bool {
		return !strings.HasPrefix(name, "/app") && name != "/user" && name != "/repos/{owner}/{repo}" && !strings.HasPrefix(name, "/repos/{owner}/{repo}/hooks")
	})
	if whole["paths"], err = json.Marshal(paths); err != nil {
		s.tb.Fatal(err)
	}
	delete(whole, "webhooks")
	delete(whole, "x-webhooks")
	if text, err = json.Marshal(whole); err != nil {
		s.tb.Fatal(err)
	}
	if s.doc, err = openapi3.NewLoader().LoadFromData(text); err != nil {
		s.tb.Fatalf("read %s: %v", path, err)
	}
	s.doc.Servers = openapi3.Servers{{URL: s.URL + prefix}}
	if s.judge, err = gorillamux.NewRouter(s.doc); err != nil {
		s.tb.Fatal(err)
	}
}

// Change changes what the server has.
func (s *Server) Change(change func(*State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.state)
}

// Count returns how often a call was made, such as "POST /app/installations/4711/access_tokens".
func (s *Server) Count(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[call]
}

// Allows returns the repositories and the permissions that a token was narrowed to.
func (s *Server) Allows(token string) (repositories []string, permissions map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issued[token].repositories, s.issued[token].permissions
}

// answer is the answer to one call.
type answer struct {
	status int
	header http.Header
	body   any
}

func refuse(status int, message string) answer {
	return answer{status: status, body: map[string]any{"message": message, "documentation_url": "https://docs.github.com/rest"}}
}

// serve judges a request and the answer to it.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.tb.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.URL.Scheme, r.URL.Host = "http", r.Host
	route, parameters, err := s.judge.FindRoute(r)
	if err != nil {
		s.tb.Errorf("GitHub has no %s %s: %v", r.Method, r.URL.Path, err)
		w.WriteHeader(http.StatusNotFound)
		return
	}
	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
		s.tb.Errorf("GitHub would refuse %s %s: %v", r.Method, r.URL.Path, err)
	}
	s.mu.Lock()
	given := s.answer(r, body)
	s.mu.Unlock()
	var text []byte
	header := given.header
	if header == nil {
		header = http.Header{}
	}
	if given.body != nil {
		header.Set("Content-Type", "application/json; charset=utf-8")
		if text, err = json.Marshal(given.body); err != nil {
			s.tb.Error(err)
		}
	}
	// GitHub documents not all of its refusals.
	if route.Operation.Responses.Status(given.status) != nil {
		output := &openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: given.status, Header: header}
		output.SetBodyBytes(text)
		if err := openapi3filter.ValidateResponse(context.Background(), output); err != nil {
			s.tb.Errorf("GitHub would not answer %s %s so: %v", r.Method, r.URL.Path, err)
		}
	}
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(given.status)
	_, _ = w.Write(text)
}

// answer returns the answer to a call. The lock is the caller's.
func (s *Server) answer(r *http.Request, body []byte) answer {
	path := strings.TrimPrefix(r.URL.Path, prefix)
	s.counts[r.Method+" "+path]++
	if s.state.Limit > 0 {
		s.state.Limit--
		limited := refuse(http.StatusForbidden, "You have exceeded a secondary rate limit")
		limited.header = http.Header{"Retry-After": {"1"}}
		return limited
	}
	if strings.HasPrefix(path, "/app") {
		if !s.isApp(r) {
			return refuse(http.StatusUnauthorized, "A JSON web token could not be decoded")
		}
		return s.ofApp(r, path, body)
	}
	if path == "/user" {
		if bearer(r) != Token {
			return refuse(http.StatusUnauthorized, "Bad credentials")
		}
		user := s.example("private-user-response-with-public-profile-information")
		user["login"], user["user_view_type"] = "octocat", "public"
		header := http.Header{}
		if s.state.Scopes != nil {
			header.Set("X-Oauth-Scopes", *s.state.Scopes)
		}
		return answer{http.StatusOK, header, user}
	}
	return s.ofRepository(r, path, body)
}

func bearer(r *http.Request) string {
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

// isApp tells whether a request proves that it is the App's, as GitHub requires it.
func (s *Server) isApp(r *http.Request) bool {
	var claims jwt.RegisteredClaims
	_, err := jwt.ParseWithClaims(bearer(r), &claims, func(*jwt.Token) (any, error) { return s.public, nil },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer(AppID), jwt.WithIssuedAt(), jwt.WithExpirationRequired(), jwt.WithTimeFunc(s.Clock))
	return err == nil && claims.ExpiresAt.Sub(s.Clock()) <= 10*time.Minute
}

// example returns GitHub's own example of an answer.
func (s *Server) example(name string) map[string]any {
	text, err := json.Marshal(s.doc.Components.Examples[name].Value.Value)
	var copied map[string]any
	if err == nil {
		err = json.Unmarshal(text, &copied)
	}
	if err != nil {
		s.tb.Errorf("example %s: %v", name, err)
	}
	return copied
}

func (s *Server) ofApp(r *http.Request, path string, body []byte) answer {
	installation := "/app/installations/" + strconv.Itoa(Installation)
	switch {
	case path == "/app":
		app := s.example("integration")
		app["name"], app["permissions"], app["events"] = "Headrace at acme", s.state.AppPermissions, s.state.Events
		return answer{status: http.StatusOK, body: app}
	case path == installation:
		found := s.example("base-installation")
		found["id"], found["permissions"], found["events"] = Installation, s.state.Permissions, s.state.Events
		if s.state.Suspended {
			found["suspended_at"] = "2026-11-30T12:00:00Z"
		}
		return answer{status: http.StatusOK, body: found}
	case path == installation+"/access_tokens":
		return s.issue(body)
	case path == "/app/hook/config":
		return answer{status: http.StatusOK, body: map[string]any{
			"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": s.state.AppHook,
		}}
	case path == "/app/hook/deliveries":
		return s.page(r, s.state.Deliveries)
	case strings.HasPrefix(path, "/app/hook/deliveries/"):
		return answer{status: http.StatusAccepted, body: map[string]any{}}
	}
	return refuse(http.StatusNotFound, "Not Found")
}

// issue issues a token of today's form.
func (s *Server) issue(body []byte) answer {
	var asked struct {
		Repositories []string          `json:"repositories"`
		Permissions  map[string]string `json:"permissions"`
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		return refuse(http.StatusUnprocessableEntity, err.Error())
	}
	levels := []string{"", "read", "write", "admin"}
	for name, access := range asked.Permissions {
		if slices.Index(levels, s.state.Permissions[name]) < slices.Index(levels, access) {
			return answer{status: http.StatusUnprocessableEntity, body: map[string]any{
				"message":           "The permissions requested are not granted to this installation.",
				"documentation_url": "https://docs.github.com/rest",
			}}
		}
	}
	for _, name := range asked.Repositories {
		if _, ok := s.state.Repositories["acme/"+name]; !ok {
			return answer{status: http.StatusUnprocessableEntity, body: map[string]any{
				"message":           "There is at least one repository that does not exist or is not accessible to the parent installation.",
				"documentation_url": "https://docs.github.com/rest",
			}}
		}
	}
	s.nextID++
	token := fmt.Sprintf("ghs_%d_%s.%s.%s", s.nextID, strings.Repeat("h", 40), strings.Repeat("p", 300), strings.Repeat("s", 171))
	expires := s.Clock().Add(time.Hour).UTC().Truncate(time.Second)
	s.issued[token] = issued{asked.Repositories, asked.Permissions, expires}
	return answer{status: http.StatusCreated, body: map[string]any{
		"token": token, "expires_at": expires.Format(time.RFC3339), "permissions": asked.Permissions, "repository_selection": "selected",
	}}
}

// may tells whether a request may do something to a repository.
func (s *Server) may(r *http.Request, repository, permission, access string) bool {
	if bearer(r) == Token {
		return true
	}
	token, ok := s.issued[bearer(r)]
	_, name, _ := strings.Cut(repository, "/")
	levels := []string{"", "read", "write", "admin"}
	return ok && s.Clock().Before(token.expires) && slices.Contains(token.repositories, name) &&
		slices.Index(levels, token.permissions[permission]) >= slices.Index(levels, access)
}

func (s *Server) ofRepository(r *http.Request, path string, body []byte) answer {
	parts := strings.Split(strings.TrimPrefix(path, "/repos/"), "/")
	name := strings.ToLower(parts[0] + "/" + parts[1])
	hooks, ok := s.state.Repositories[name]
	if !ok || !s.may(r, name, "metadata", "read") {
		return refuse(http.StatusNotFound, "Not Found")
	}
	if len(parts) == 2 {
		repository := s.example("full-repository-default-response")
		// These parts of the example are not as its schema wants them.
		delete(repository, "source")
		delete(repository, "parent")
		repository["language"] = "Go"
		repository["full_name"], repository["id"], repository["default_branch"] = name, 4242, "main"
		return answer{status: http.StatusOK, body: repository}
	}
	needed := "read"
	if r.Method != http.MethodGet {
		needed = "write"
	}
	if !s.may(r, name, "repository_hooks", needed) {
		refused := refuse(http.StatusForbidden, "Resource not accessible by integration")
		refused.header = http.Header{"X-Accepted-Github-Permissions": {"repository_hooks=" + needed}}
		return refused
	}
	return s.ofHooks(r, name, parts[3:], hooks, body)
}

func (s *Server) ofHooks(r *http.Request, repository string, parts []string, hooks []map[string]any, body []byte) answer {
	if len(parts) == 0 && r.Method == http.MethodGet {
		return s.page(r, hooks)
	}
	var wanted map[string]any
	if len(body) > 0 {
		if err := json.Unmarshal(body, &wanted); err != nil {
			return refuse(http.StatusUnprocessableEntity, err.Error())
		}
	}
	if len(parts) == 0 {
		s.nextID++
		made := s.example("hook")
		made["id"] = s.nextID
		s.apply(made, wanted)
		s.state.Repositories[repository] = append(hooks, made)
		return answer{status: http.StatusCreated, body: made}
	}
	at := slices.IndexFunc(hooks, func(hook map[string]any) bool { return fmt.Sprint(hook["id"]) == parts[0] })
	switch {
	case at < 0:
		return refuse(http.StatusNotFound, "Not Found")
	case len(parts) == 2:
		return s.page(r, s.state.Deliveries)
	case len(parts) > 2:
		return answer{status: http.StatusAccepted, body: map[string]any{}}
	case r.Method == http.MethodDelete:
		s.state.Repositories[repository] = slices.Delete(slices.Clone(hooks), at, at+1)
		return answer{status: http.StatusNoContent}
	}
	s.apply(hooks[at], wanted)
	return answer{status: http.StatusOK, body: hooks[at]}
}

// apply changes a hook, and hides its secret as GitHub does.
func (s *Server) apply(hook, wanted map[string]any) {
	for name, value := range wanted {
		hook[name] = value
	}
	if config, ok := hook["config"].(map[string]any); ok && config["secret"] != "" {
		config["secret"] = "********"
	}
}

// page returns a page of a list, with the address of the next in its header.
func (s *Server) page(r *http.Request, all []map[string]any) answer {
	query := r.URL.Query()
	size, err := strconv.Atoi(query.Get("per_page"))
	if err != nil || size > 100 {
		size = 30
	}
	start := 0
	if query.Has("cursor") {
		start, err = strconv.Atoi(strings.TrimPrefix(query.Get("cursor"), "v1_"))
	} else if query.Has("page") {
		start, err = strconv.Atoi(query.Get("page"))
		start = (start - 1) * size
	}
	if err != nil {
		return refuse(http.StatusUnprocessableEntity, err.Error())
	}
	end := min(start+size, len(all))
	given := answer{status: http.StatusOK, header: http.Header{}, body: append([]map[string]any{}, all[min(start, end):end]...)}
	if end == len(all) {
		return given
	}
	next := url.Values{"per_page": {strconv.Itoa(size)}, "page": {strconv.Itoa(end/size + 1)}}
	if strings.HasSuffix(r.URL.Path, "/deliveries") {
		next = url.Values{"per_page": {strconv.Itoa(size)}, "cursor": {"v1_" + strconv.Itoa(end)}}
	}
	given.header.Set("Link", "<"+s.URL+r.URL.Path+"?"+next.Encode()+`>; rel="next"`)
	return given
}
