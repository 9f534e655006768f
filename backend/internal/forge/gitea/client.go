package gitea

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// product is the name of the forge in messages. Forgejo has the same API.
const product = "Gitea"

// Config is how a Client reaches Gitea.
type Config struct {
	// Endpoint is the address of the server.
	Endpoint string
	// HTTP needs no Endpoint and no Authorize.
	HTTP api.HTTPConfig
	// Token is an access token.
	Token string
}

// Client calls Gitea's API for one connection. It implements api.Client. The few calls need
// no library.
type Client struct {
	config Config
	base   *url.URL
	http   *http.Client
}

// New returns a client. It reaches nothing.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	transport := cfg.HTTP
	transport.Endpoint = base
	transport.Authorize = func(request *http.Request) error {
		request.Header.Set("Authorization", "token "+cfg.Token)
		return nil
	}
	client, err := api.NewHTTPClient(transport)
	if err != nil {
		return nil, err
	}
	return &Client{config: cfg, base: base.JoinPath("api", "v1"), http: client}, nil
}

// call is one call of the API.
type call struct {
	// what it is for, and the repository that it is about.
	what, repository string
	method           string
	path             []string
	query            url.Values
	body, into       any
}

// maxProblem bounds what is read of an answer that refuses a call.
const maxProblem = 64 << 10

func (c *Client) do(ctx context.Context, call call) error {
	address := c.base.JoinPath(call.path...)
	address.RawQuery = call.query.Encode()
	var body io.Reader
	if call.body != nil {
		encoded, err := json.Marshal(call.body)
		if err != nil {
			return fmt.Errorf("%s: %w", call.what, err)
		}
		body = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, call.method, address.String(), body)
	if err != nil {
		return fmt.Errorf("%s: %w", call.what, err)
	}
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	failure := &api.Error{Forge: product, Call: call.what, Repository: call.repository}
	response, err := c.http.Do(request)
	if err != nil {
		failure.Reason, failure.Err = api.Unreached(err), err
		return failure
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode > 299 {
		return c.refused(failure, response)
	}
	if call.into == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(call.into); err != nil {
		failure.Status, failure.Reason = response.StatusCode, "the answer is not what the API of Gitea returns; check the endpoint"
		return failure
	}
	return nil
}

// refused completes the error of a call that was answered.
func (c *Client) refused(failure *api.Error, response *http.Response) error {
	failure.Status = response.StatusCode
	failure.RetryAfter = api.RetryAfter(response, c.config.HTTP.Now())
	var problem struct {
		Message string `json:"message"`
	}
	// An answer of something else, such as a proxy, has no message.
	if text, err := io.ReadAll(io.LimitReader(response.Body, maxProblem)); err == nil && json.Unmarshal(text, &problem) == nil {
		failure.Reason = api.Reason(problem.Message)
	}
	switch {
	case response.StatusCode == http.StatusUnauthorized:
		failure.NextStep = api.NewToken
	case response.StatusCode == http.StatusForbidden && missingScope(failure.Reason) != "":
		failure.NextStep = "create a token with the permission " + missingScope(failure.Reason)
	case response.StatusCode == http.StatusForbidden:
		failure.NextStep = "give the owner of the token the rights that headrace connection doctor lists"
	case response.StatusCode == http.StatusNotFound:
		failure.NextStep = "check the name, and that the owner of the token may access the repository"
	}
	return failure
}

// missingScope returns the permissions of which Gitea says that the token has none of them.
func missingScope(reason string) string {
	for _, start := range []string{"required=[", "required scope(s): ["} {
		if _, rest, ok := strings.Cut(reason, start); ok {
			scopes, _, _ := strings.Cut(rest, "]")
			return scopes
		}
	}
	return ""
}

// scopes returns the permissions of the token. Gitea tells them only where it refuses a call
// because of them, so a call is made that needs the rarest one and changes nothing. They are
// not known if it is not refused, or by a server that does not tell.
func (c *Client) scopes(ctx context.Context) (scopes []string, known bool) {
	err := c.do(ctx, call{what: "read the permissions of the token", method: http.MethodGet, path: []string{"admin", "cron"}, query: url.Values{"limit": {"1"}}})
	var failure *api.Error
	if !errors.As(err, &failure) || failure.Status != http.StatusForbidden {
		return nil, false
	}
	_, told, known := strings.Cut(failure.Reason, "token scope=")
	told, _, _ = strings.Cut(told, " ")
	return strings.Split(told, ","), known
}

// named returns the owner and the name of a repository.
func named(repository string) (owner, name string, err error) {
	if err := pipeline.CheckRepository(pipeline.ConnectionGitea, repository); err != nil {
		return "", "", err
	}
	owner, name, _ = strings.Cut(strings.TrimSuffix(strings.Trim(repository, "/"), ".git"), "/")
	return owner, name, nil
}

type repositoryMessage struct {
	ID            int64  `json:"id"`
	FullName      string `json:"full_name"`
	DefaultBranch string `json:"default_branch"`
	Permissions   struct {
		Admin bool `json:"admin"`
		Pull  bool `json:"pull"`
	} `json:"permissions"`
}

func (c *Client) repository(ctx context.Context, repository string) (repositoryMessage, error) {
	var found repositoryMessage
	owner, name, err := named(repository)
	if err != nil {
		return found, err
	}
	err = c.do(ctx, call{
		what: "read the settings", repository: repository, method: http.MethodGet, path: []string{"repos", owner, name}, into: &found,
	})
	return found, err
}

// Repository implements api.Client.
func (c *Client) Repository(ctx context.Context, repository string) (api.Repository, error) {
	found, err := c.repository(ctx, repository)
	if err != nil {
		return api.Repository{}, err
	}
	return api.Repository{ID: found.ID, Name: found.FullName, DefaultBranch: found.DefaultBranch}, nil
}

const (
	// pageSize is what every server allows, whatever it is set to.
	pageSize = 50
	// maxPages bounds a list that does not end.
	maxPages = 200
)

// Events are the events that triggers use.
func Events() []string {
	return []string{"push", "create", "delete", "pull_request", "pull_request_sync", "repository"}
}

type hookMessage struct {
	ID     int64             `json:"id,omitempty"`
	Type   string            `json:"type,omitempty"`
	Active bool              `json:"active"`
	Events []string          `json:"events"`
	Config map[string]string `json:"config"`
}

// Hooks implements api.Client.
func (c *Client) Hooks(ctx context.Context, repository string) ([]api.Hook, error) {
	owner, name, err := named(repository)
	if err != nil {
		return nil, err
	}
	var hooks []api.Hook
	for page := range maxPages {
		var found []hookMessage
		err := c.do(ctx, call{
			what: "list the webhooks", repository: repository, method: http.MethodGet, path: []string{"repos", owner, name, "hooks"},
			query: url.Values{"page": {strconv.Itoa(page + 1)}, "limit": {strconv.Itoa(pageSize)}}, into: &found,
		})
		if err != nil {
			return nil, err
		}
		for i := range found {
			hooks = append(hooks, found[i].hook())
		}
		// A server may allow less than what was asked for.
		if len(found) == 0 {
			break
		}
	}
	return hooks, nil
}

func (h *hookMessage) hook() api.Hook {
	// Gitea lists the events in another order each time.
	return api.Hook{ID: strconv.FormatInt(h.ID, 10), URL: h.Config["url"], Active: h.Active, Events: slices.Sorted(slices.Values(h.Events))}
}

func hookFor(settings api.HookSettings) hookMessage {
	return hookMessage{Type: "gitea", Active: true, Events: Events(), Config: map[string]string{
		"url": settings.URL, "content_type": "json", "http_method": "post", "secret": settings.Secret,
	}}
}

// CreateHook implements api.Client.
func (c *Client) CreateHook(ctx context.Context, repository string, settings api.HookSettings) (api.Hook, error) {
	owner, name, err := named(repository)
	if err != nil {
		return api.Hook{}, err
	}
	var made hookMessage
	err = c.do(ctx, call{
		what: "create a webhook", repository: repository, method: http.MethodPost, path: []string{"repos", owner, name, "hooks"},
		body: hookFor(settings), into: &made,
	})
	return made.hook(), err
}

// UpdateHook implements api.Client. The API leaves the secret of a hook as it is and says
// nothing about that, so the hook is replaced. For a moment there are two, which is better than
// none: a push that is delivered twice starts once.
func (c *Client) UpdateHook(ctx context.Context, repository, hook string, settings api.HookSettings) (api.Hook, error) {
	if _, err := hookPath(repository, hook); err != nil {
		return api.Hook{}, err
	}
	made, err := c.CreateHook(ctx, repository, settings)
	if err != nil {
		return api.Hook{}, err
	}
	if err := c.DeleteHook(ctx, repository, hook); err != nil {
		// Otherwise each try would leave one more.
		return api.Hook{}, errors.Join(err, c.DeleteHook(ctx, repository, made.ID))
	}
	return made, nil
}

// DeleteHook implements api.Client.
func (c *Client) DeleteHook(ctx context.Context, repository, hook string) error {
	path, err := hookPath(repository, hook)
	if err != nil {
		return err
	}
	err = c.do(ctx, call{what: "delete webhook " + hook, repository: repository, method: http.MethodDelete, path: path})
	if statusOf(err) == http.StatusNotFound {
		return nil
	}
	return err
}

func hookPath(repository, hook string) ([]string, error) {
	owner, name, err := named(repository)
	if err != nil {
		return nil, err
	}
	if _, err := strconv.ParseInt(hook, 10, 64); err != nil {
		return nil, fmt.Errorf("hook id %q is not a number", hook)
	}
	return []string{"repos", owner, name, "hooks", hook}, nil
}

// FailedDeliveries implements api.Client. Gitea's API does not tell.
func (c *Client) FailedDeliveries(context.Context, string, string, time.Time) ([]api.FailedDelivery, error) {
	return nil, api.ErrNoDeliveries
}

// Redeliver implements api.Client. Gitea's API cannot.
func (c *Client) Redeliver(context.Context, string, string, string) error {
	return api.ErrNoDeliveries
}

// Check implements api.Client.
func (c *Client) Check(ctx context.Context, repository string) []connection.Check {
	var checks api.Checks
	var version struct {
		Version string `json:"version"`
	}
	err := c.do(ctx, call{what: "read the version", method: http.MethodGet, path: []string{"version"}, into: &version})
	if !checks.Reached(c.config.Endpoint, err) {
		return checks
	}
	var user struct {
		Login string `json:"login"`
	}
	err = c.do(ctx, call{what: "authenticate", method: http.MethodGet, path: []string{"user"}, into: &user})
	switch {
	case statusOf(err) == http.StatusForbidden:
		// Its owner is read by nothing else.
		checks.OK(connection.CheckAuthentication, "", "the token is accepted")
	case err != nil:
		checks.Refused(connection.CheckAuthentication, "", err)
		if repository != "" {
			checks.Skip(connection.CheckRepository, repository, "not checked, since Gitea does not accept the credentials")
		}
		return checks
	default:
		checks.OK(connection.CheckAuthentication, user.Login, "the token is %s's", user.Login)
	}
	c.checkScopes(ctx, &checks)
	if repository != "" {
		c.checkRepository(ctx, &checks, repository)
	}
	return checks
}

// checkScopes compares the permissions of the token with what Headrace uses.
func (c *Client) checkScopes(ctx context.Context, checks *api.Checks) {
	scopes, known := c.scopes(ctx)
	if !known {
		checks.Skip(connection.CheckPermission, "", "the server does not report the permissions of the token; it needs read:repository for "+forContents+
			", and write:repository for "+forHooks)
		return
	}
	has := func(one ...string) bool {
		return slices.ContainsFunc(one, func(scope string) bool { return slices.Contains(scopes, scope) })
	}
	if has("all", "read:repository", "write:repository") {
		checks.OK(connection.CheckPermission, "read:repository", "the token has read:repository, for "+forContents)
	} else {
		checks.Fail(connection.CheckPermission, "read:repository", "the token lacks read:repository, which is needed for "+forContents,
			"create a token with the permission read:repository")
	}
	if has("all", "write:repository") {
		checks.OK(connection.CheckPermission, "write:repository", "the token has write:repository, for "+forHooks)
	} else {
		checks.Warn(connection.CheckPermission, "write:repository", "the token lacks write:repository, which is needed for "+forHooks,
			"create a token with the permission write:repository")
	}
}

// What permissions are for.
const (
	forContents = "cloning repositories and reading their settings"
	forHooks    = "registering and repairing webhooks"
)

// checkRepository checks a repository, the rights of the token in it, and its webhooks.
func (c *Client) checkRepository(ctx context.Context, checks *api.Checks, repository string) {
	found, err := c.repository(ctx, repository)
	if err != nil {
		checks.Refused(connection.CheckRepository, repository, err)
		return
	}
	checks.OK(connection.CheckRepository, repository, "%s has the id %d and the default branch %s", found.FullName, found.ID, found.DefaultBranch)
	if !found.Permissions.Admin {
		checks.Warn(connection.CheckPermission, "admin", "the owner of the token does not administer "+repository+", which is needed for "+forHooks,
			"make the owner of the token an administrator of the repository")
		return
	}
	hooks, err := c.Hooks(ctx, repository)
	if err != nil {
		checks.Refused(connection.CheckHook, "", err)
		return
	}
	checks.Hooks(forge.Gitea, hooks)
}

// statusOf returns the status of the answer that an error is about, 0 if there was none.
func statusOf(err error) int {
	var failure *api.Error
	if errors.As(err, &failure) {
		return failure.Status
	}
	return 0
}

var _ api.Client = (*Client)(nil)
