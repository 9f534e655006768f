package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-github/v93/github"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// product is the name of the forge in messages.
const product = "GitHub"

// Config is how a Client reaches GitHub.
type Config struct {
	// Endpoint is https://github.com or the address of a GitHub Enterprise server.
	Endpoint string
	// HTTP needs no Endpoint and no Authorize.
	HTTP api.HTTPConfig
	// Token returns the token for calls about a repository that need the permissions. An
	// installation of an App narrows it to both; the repository is empty if a call is about
	// none.
	Token func(ctx context.Context, repository string, permissions Permissions) (string, error)
	// App is nil for a personal access token.
	App *App
}

// Permissions are what a token of an installation may do.
type Permissions struct {
	// Contents, Hooks and PullRequests are read, write or empty for none.
	Contents, Hooks, PullRequests string
}

// String returns the permissions in a fixed form, by which tokens are cached.
func (p Permissions) String() string {
	var parts []string
	for _, part := range []struct{ name, access string }{
		{"contents", p.Contents}, {"pull_requests", p.PullRequests}, {"repository_hooks", p.Hooks},
	} {
		if part.access != "" {
			parts = append(parts, part.name+"="+part.access)
		}
	}
	return strings.Join(parts, ",")
}

// ReadContents are the permissions with which git clones.
func ReadContents() Permissions { return Permissions{Contents: "read"} }

// Client calls GitHub's API for one connection. It implements api.Client.
type Client struct {
	config Config
	base   *url.URL
}

// New returns a client. It reaches nothing.
func New(cfg Config) (*Client, error) {
	base, err := apiAddress(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	return &Client{config: cfg, base: base}, nil
}

// apiAddress returns where the API of an endpoint is: api.github.com, api.SUBDOMAIN.ghe.com,
// or /api/v3/ of a GitHub Enterprise server.
func apiAddress(endpoint string) (*url.URL, error) {
	address, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	host := strings.ToLower(address.Host)
	if host == "github.com" || strings.HasSuffix(host, ".ghe.com") {
		return &url.URL{Scheme: address.Scheme, Host: "api." + host, Path: "/"}, nil
	}
	return &url.URL{Scheme: address.Scheme, Host: host, Path: "/api/v3/"}, nil
}

// client returns a client of the API whose requests are authorized.
func (c *Client) client(authorize func(*http.Request) error) (*github.Client, error) {
	cfg := c.config.HTTP
	cfg.Endpoint, cfg.Authorize = c.base, authorize
	transport, err := api.NewHTTPClient(cfg)
	if err != nil {
		return nil, err
	}
	base := c.base.String()
	// The limits are those of the forge's answers, which NewHTTPClient honours.
	return github.NewClient(github.WithHTTPClient(transport), github.WithURLs(&base, &base), github.WithDisableRateLimitCheck())
}

// about returns a client for calls about a repository, which has an owner and a name.
func (c *Client) about(ctx context.Context, repository string, permissions Permissions) (client *github.Client, owner, name string, err error) {
	if err := pipeline.CheckRepository(pipeline.ConnectionGitHubApp, repository); err != nil {
		return nil, "", "", err
	}
	owner, name, _ = strings.Cut(strings.TrimSuffix(strings.Trim(repository, "/"), ".git"), "/")
	token, err := c.config.Token(ctx, owner+"/"+name, permissions)
	if err != nil {
		return nil, "", "", err
	}
	client, err = c.client(bearer(token))
	return client, owner, name, err
}

func bearer(token string) func(*http.Request) error {
	return func(request *http.Request) error {
		request.Header.Set("Authorization", "Bearer "+token)
		return nil
	}
}

// Repository implements api.Client.
func (c *Client) Repository(ctx context.Context, repository string) (api.Repository, error) {
	client, owner, name, err := c.about(ctx, repository, ReadContents())
	if err != nil {
		return api.Repository{}, err
	}
	found, _, err := client.Repositories.Get(ctx, owner, name)
	if err != nil {
		return api.Repository{}, c.failed("read the settings", repository, err)
	}
	return api.Repository{ID: found.GetID(), Name: found.GetFullName(), DefaultBranch: found.GetDefaultBranch()}, nil
}

// pageSize is the most that GitHub returns at once.
const pageSize = 100

// maxPages bounds a list that does not end.
const maxPages = 100

// Events are the events that triggers use.
func Events() []string { return []string{"push", "pull_request", "repository"} }

// Hooks implements api.Client.
func (c *Client) Hooks(ctx context.Context, repository string) ([]api.Hook, error) {
	client, owner, name, err := c.about(ctx, repository, Permissions{Hooks: "read"})
	if err != nil {
		return nil, err
	}
	var hooks []api.Hook
	options := &github.ListOptions{PerPage: pageSize}
	for range maxPages {
		page, response, err := client.Repositories.ListHooks(ctx, owner, name, options)
		if err != nil {
			return nil, c.failed("list the webhooks", repository, err)
		}
		for _, hook := range page {
			hooks = append(hooks, hookOf(hook))
		}
		if options.Page = response.NextPage; options.Page == 0 {
			break
		}
	}
	return hooks, nil
}

// CreateHook implements api.Client.
func (c *Client) CreateHook(ctx context.Context, repository string, settings api.HookSettings) (api.Hook, error) {
	client, owner, name, err := c.about(ctx, repository, Permissions{Hooks: "write"})
	if err != nil {
		return api.Hook{}, err
	}
	made, _, err := client.Repositories.CreateHook(ctx, owner, name, hookFor(settings))
	if err != nil {
		return api.Hook{}, c.failed("create a webhook", repository, err)
	}
	return hookOf(made), nil
}

// UpdateHook implements api.Client.
func (c *Client) UpdateHook(ctx context.Context, repository, hook string, settings api.HookSettings) (api.Hook, error) {
	id, err := number("hook", hook)
	if err != nil {
		return api.Hook{}, err
	}
	client, owner, name, err := c.about(ctx, repository, Permissions{Hooks: "write"})
	if err != nil {
		return api.Hook{}, err
	}
	changed, _, err := client.Repositories.EditHook(ctx, owner, name, id, hookFor(settings))
	if err != nil {
		return api.Hook{}, c.failed("update webhook "+hook, repository, err)
	}
	return hookOf(changed), nil
}

// DeleteHook implements api.Client.
func (c *Client) DeleteHook(ctx context.Context, repository, hook string) error {
	id, err := number("hook", hook)
	if err != nil {
		return err
	}
	client, owner, name, err := c.about(ctx, repository, Permissions{Hooks: "write"})
	if err != nil {
		return err
	}
	response, err := client.Repositories.DeleteHook(ctx, owner, name, id)
	if err != nil && (response == nil || response.StatusCode != http.StatusNotFound) {
		return c.failed("delete webhook "+hook, repository, err)
	}
	return nil
}

// FailedDeliveries implements api.Client. GitHub keeps deliveries for 3 days.
func (c *Client) FailedDeliveries(ctx context.Context, repository, hook string, since time.Time) ([]api.FailedDelivery, error) {
	list, call, err := c.deliveries(ctx, repository, hook)
	if err != nil {
		return nil, err
	}
	var failed []api.FailedDelivery
	// A delivery that was sent again is listed for each time, all with one GUID: the newest
	// comes first and says how it stands.
	seen := make(map[string]bool)
	options := &github.ListCursorOptions{PerPage: pageSize}
	for range maxPages {
		page, response, err := list(options)
		if err != nil {
			return nil, c.failed(call, repository, err)
		}
		for _, delivery := range page {
			if delivery.GetDeliveredAt().Before(since) {
				return failed, nil
			}
			if seen[delivery.GetGUID()] {
				continue
			}
			seen[delivery.GetGUID()] = true
			if code := delivery.GetStatusCode(); code < 200 || code > 299 {
				failed = append(failed, api.FailedDelivery{
					ID: strconv.FormatInt(delivery.GetID(), 10), GUID: delivery.GetGUID(), Event: delivery.GetEvent(), Status: code,
					SentAt: delivery.GetDeliveredAt().Time, RepositoryID: delivery.GetRepositoryID(),
				})
			}
		}
		if options.Cursor = response.Cursor; options.Cursor == "" {
			break
		}
	}
	return failed, nil
}

type listDeliveries func(*github.ListCursorOptions) ([]*github.HookDelivery, *github.Response, error)

// deliveries returns what lists the deliveries of a hook, or of the App.
func (c *Client) deliveries(ctx context.Context, repository, hook string) (list listDeliveries, call string, err error) {
	if repository == "" {
		client, err := c.asApp()
		if err != nil {
			return nil, "", err
		}
		return func(options *github.ListCursorOptions) ([]*github.HookDelivery, *github.Response, error) {
			return client.Apps.ListHookDeliveries(ctx, options)
		}, "list the deliveries of the App", nil
	}
	id, err := number("hook", hook)
	if err != nil {
		return nil, "", err
	}
	client, owner, name, err := c.about(ctx, repository, Permissions{Hooks: "read"})
	return func(options *github.ListCursorOptions) ([]*github.HookDelivery, *github.Response, error) {
		return client.Repositories.ListHookDeliveries(ctx, owner, name, id, options)
	}, "list the deliveries of webhook " + hook, err
}

// Redeliver implements api.Client.
func (c *Client) Redeliver(ctx context.Context, repository, hook, delivery string) error {
	id, err := number("delivery", delivery)
	if err != nil {
		return err
	}
	if repository == "" {
		client, err := c.asApp()
		if err != nil {
			return err
		}
		_, _, err = client.Apps.RedeliverHookDelivery(ctx, id)
		return c.accepted("redeliver "+delivery, "", err)
	}
	hookID, err := number("hook", hook)
	if err != nil {
		return err
	}
	client, owner, name, err := c.about(ctx, repository, Permissions{Hooks: "write"})
	if err != nil {
		return err
	}
	_, _, err = client.Repositories.RedeliverHookDelivery(ctx, owner, name, hookID, id)
	return c.accepted("redeliver "+delivery, repository, err)
}

// accepted is failed for a call that GitHub answers with 202.
func (c *Client) accepted(call, repository string, err error) error {
	var accepted *github.AcceptedError
	if err == nil || errors.As(err, &accepted) {
		return nil
	}
	return c.failed(call, repository, err)
}

func number(what, id string) (int64, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s id %q is not a number", what, id)
	}
	return n, nil
}

func hookOf(hook *github.Hook) api.Hook {
	h := api.Hook{
		ID: strconv.FormatInt(hook.GetID(), 10), URL: hook.GetConfig().GetURL(), Active: hook.GetActive(), Events: hook.Events,
		Insecure: hook.GetConfig().GetInsecureSSL() == "1", Unsigned: hook.GetConfig().GetSecret() == "",
	}
	// The code is null and the status "unused" before the first delivery.
	if code, ok := hook.LastResponse["code"].(float64); ok && (code < 200 || code > 299) {
		message, _ := hook.LastResponse["message"].(string)
		h.Problem = fmt.Sprintf("the last delivery got HTTP %.0f: %s", code, api.Reason(message))
	}
	return h
}

func hookFor(settings api.HookSettings) *github.Hook {
	return &github.Hook{Events: Events(), Active: new(true), Config: &github.HookConfig{
		URL: &settings.URL, Secret: &settings.Secret, ContentType: new("json"), InsecureSSL: new("0"),
	}}
}

// failed returns the error of a call.
func (c *Client) failed(call, repository string, err error) error {
	var known *api.Error
	if errors.As(err, &known) {
		return err
	}
	failure := &api.Error{Forge: product, Call: call, Repository: repository, Err: err}
	response := responseOf(err) //nolint:bodyclose // go-github has read and closed it.
	if response == nil {
		// The error of a request names its address, which holds no credential.
		failure.Reason = api.Unreached(err)
		return failure
	}
	failure.Status = response.StatusCode
	failure.RetryAfter = api.RetryAfter(response, c.config.HTTP.Now())
	var refused *github.ErrorResponse
	if errors.As(err, &refused) {
		failure.Reason = api.Reason(refused.Message)
		for _, detail := range refused.Errors {
			if detail.Message != "" {
				failure.Reason += ": " + api.Reason(detail.Message)
			}
		}
	}
	failure.NextStep = c.nextStep(response)
	return failure
}

// responseOf returns the answer that an error is about, nil if there was none.
func responseOf(err error) *http.Response {
	var refused *github.ErrorResponse
	var limited *github.RateLimitError
	var abused *github.AbuseRateLimitError
	switch {
	case errors.As(err, &refused):
		return refused.Response
	case errors.As(err, &limited):
		return limited.Response
	case errors.As(err, &abused):
		return abused.Response
	}
	return nil
}

// nextStep says what to do about a refusal.
func (c *Client) nextStep(response *http.Response) string {
	switch response.StatusCode {
	case http.StatusUnauthorized:
		if c.config.App != nil {
			return "check app_id and the private key, and that the clock of this server is right"
		}
		return api.NewToken
	case http.StatusForbidden, http.StatusNotFound:
		if needed := response.Header.Get("X-Accepted-Github-Permissions"); needed != "" && response.StatusCode == http.StatusForbidden {
			return "it needs the permission " + strings.ReplaceAll(api.Reason(needed), "=", ": ")
		}
		if response.StatusCode == http.StatusForbidden && response.Header.Get("X-GitHub-SSO") != "" {
			return "authorize the token for single sign-on of the organization"
		}
		if c.config.App != nil {
			return "check the name, and that the App is installed on the repository with the permissions that headrace connection doctor lists"
		}
		return api.CheckAccess
	case http.StatusUnprocessableEntity:
		return ""
	}
	return ""
}

var _ api.Client = (*Client)(nil)
