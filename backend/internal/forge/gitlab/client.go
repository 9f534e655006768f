package gitlab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// product is the name of the forge in messages.
const product = "GitLab"

// Config is how a Client reaches GitLab.
type Config struct {
	// Endpoint is https://gitlab.com or the address of another server.
	Endpoint string
	// HTTP needs no Endpoint and no Authorize.
	HTTP api.HTTPConfig
	// Token is a personal, project or group access token.
	Token string
}

// Client calls GitLab's API for one connection. It implements api.Client.
type Client struct {
	config Config
	gitlab *gitlab.Client
}

// New returns a client. It reaches nothing.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	transport := cfg.HTTP
	transport.Endpoint = base
	httpClient, err := api.NewHTTPClient(transport)
	if err != nil {
		return nil, err
	}
	// NewHTTPClient retries, and keeps the token from other hosts.
	client, err := gitlab.NewClient(cfg.Token, gitlab.WithBaseURL(cfg.Endpoint), gitlab.WithHTTPClient(httpClient), gitlab.WithoutRetries(),
		gitlab.WithUserAgent(cfg.HTTP.UserAgent), gitlab.WithURLWarningLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	return &Client{config: cfg, gitlab: client}, nil
}

// projectName returns the name by which the API finds a repository.
func projectName(repository string) (string, error) {
	if err := pipeline.CheckRepository(pipeline.ConnectionGitLab, repository); err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.Trim(repository, "/"), ".git"), nil
}

// Repository implements api.Client.
func (c *Client) Repository(ctx context.Context, repository string) (api.Repository, error) {
	found, err := c.project(ctx, repository)
	if err != nil {
		return api.Repository{}, err
	}
	return api.Repository{ID: found.ID, Name: found.PathWithNamespace, DefaultBranch: found.DefaultBranch}, nil
}

func (c *Client) project(ctx context.Context, repository string) (*gitlab.Project, error) {
	name, err := projectName(repository)
	if err != nil {
		return nil, err
	}
	found, _, err := c.gitlab.Projects.GetProject(name, nil, gitlab.WithContext(ctx))
	if err != nil {
		return nil, c.failed("read the settings", repository, err)
	}
	return found, nil
}

const (
	// pageSize is the most that GitLab returns at once.
	pageSize = 100
	// maxPages bounds a list that does not end.
	maxPages = 100
)

// Events are the events that triggers use.
func Events() []string { return []string{"push_events", "tag_push_events", "merge_requests_events"} }

// Hooks implements api.Client.
func (c *Client) Hooks(ctx context.Context, repository string) ([]api.Hook, error) {
	name, err := projectName(repository)
	if err != nil {
		return nil, err
	}
	var hooks []api.Hook
	options := &gitlab.ListProjectHooksOptions{ListOptions: gitlab.ListOptions{PerPage: pageSize}}
	for range maxPages {
		page, response, err := c.gitlab.Projects.ListProjectHooks(name, options, gitlab.WithContext(ctx))
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

// signingPrefix begins a signing token. Any other secret is sent back with each delivery as it
// is.
const signingPrefix = "whsec_"

// CreateHook implements api.Client.
func (c *Client) CreateHook(ctx context.Context, repository string, settings api.HookSettings) (api.Hook, error) {
	name, err := projectName(repository)
	if err != nil {
		return api.Hook{}, err
	}
	options := settingsOf(settings)
	made, _, err := c.gitlab.Projects.AddProjectHook(name, (*gitlab.AddProjectHookOptions)(options), gitlab.WithContext(ctx))
	if err != nil {
		return api.Hook{}, c.failed("create a webhook", repository, err)
	}
	return hookOf(made), nil
}

// UpdateHook implements api.Client. A hook that GitLab switched off is active again after
// its next delivery succeeds.
func (c *Client) UpdateHook(ctx context.Context, repository, hook string, settings api.HookSettings) (api.Hook, error) {
	name, err := projectName(repository)
	if err != nil {
		return api.Hook{}, err
	}
	id, err := number("hook", hook)
	if err != nil {
		return api.Hook{}, err
	}
	changed, _, err := c.gitlab.Projects.EditProjectHook(name, id, settingsOf(settings), gitlab.WithContext(ctx))
	if err != nil {
		return api.Hook{}, c.failed("update webhook "+hook, repository, err)
	}
	return hookOf(changed), nil
}

func settingsOf(settings api.HookSettings) *gitlab.EditProjectHookOptions {
	events := Events()
	options := &gitlab.EditProjectHookOptions{
		URL: &settings.URL, EnableSSLVerification: new(true),
		PushEvents: new(slices.Contains(events, "push_events")), TagPushEvents: new(slices.Contains(events, "tag_push_events")),
		MergeRequestsEvents: new(slices.Contains(events, "merge_requests_events")),
	}
	if strings.HasPrefix(settings.Secret, signingPrefix) {
		options.SigningToken = &settings.Secret
	} else {
		options.Token = &settings.Secret
	}
	return options
}

// DeleteHook implements api.Client.
func (c *Client) DeleteHook(ctx context.Context, repository, hook string) error {
	name, err := projectName(repository)
	if err != nil {
		return err
	}
	id, err := number("hook", hook)
	if err != nil {
		return err
	}
	_, err = c.gitlab.Projects.DeleteProjectHook(name, id, gitlab.WithContext(ctx))
	if failure := c.failed("delete webhook "+hook, repository, err); statusOf(failure) != http.StatusNotFound {
		return failure
	}
	return nil
}

// hookEvent is a delivery of a hook. The library has no calls for those of a project.
type hookEvent struct {
	ID             int64             `json:"id"`
	Trigger        string            `json:"trigger"`
	RequestHeaders map[string]string `json:"request_headers"`
	// ResponseStatus is a status as text, or internal error.
	ResponseStatus string    `json:"response_status"`
	CreatedAt      time.Time `json:"created_at"`
}

// FailedDeliveries implements api.Client. GitLab keeps deliveries for 7 days.
func (c *Client) FailedDeliveries(ctx context.Context, repository, hook string, since time.Time) ([]api.FailedDelivery, error) {
	name, err := projectName(repository)
	if err != nil {
		return nil, err
	}
	if _, err := number("hook", hook); err != nil {
		return nil, err
	}
	var failed []api.FailedDelivery
	seen := make(map[string]bool)
	options := &gitlab.ListOptions{PerPage: pageSize}
	for range maxPages {
		request, err := c.gitlab.NewRequest(http.MethodGet, "projects/"+gitlab.PathEscape(name)+"/hooks/"+hook+"/events", options,
			[]gitlab.RequestOptionFunc{gitlab.WithContext(ctx)})
		if err != nil {
			return nil, c.failed("list the deliveries of webhook "+hook, repository, err)
		}
		var page []hookEvent
		response, err := c.gitlab.Do(request, &page)
		if err != nil {
			return nil, c.failed("list the deliveries of webhook "+hook, repository, err)
		}
		for i := range page {
			event := &page[i]
			if event.CreatedAt.Before(since) {
				return failed, nil
			}
			// A delivery that was sent again keeps its key; the newest comes first.
			key := event.RequestHeaders["Idempotency-Key"]
			if key != "" && seen[key] {
				continue
			}
			seen[key] = true
			if code, err := strconv.Atoi(event.ResponseStatus); err != nil || code < 200 || code > 299 {
				failed = append(failed, api.FailedDelivery{
					ID: strconv.FormatInt(event.ID, 10), GUID: key, Event: event.Trigger, Status: code, SentAt: event.CreatedAt,
				})
			}
		}
		if options.Page = response.NextPage; options.Page == 0 {
			break
		}
	}
	return failed, nil
}

// Redeliver implements api.Client.
func (c *Client) Redeliver(ctx context.Context, repository, hook, delivery string) error {
	name, err := projectName(repository)
	if err != nil {
		return err
	}
	for what, id := range map[string]string{"hook": hook, "delivery": delivery} {
		if _, err := number(what, id); err != nil {
			return err
		}
	}
	request, err := c.gitlab.NewRequest(http.MethodPost, "projects/"+gitlab.PathEscape(name)+"/hooks/"+hook+"/events/"+delivery+"/resend", nil,
		[]gitlab.RequestOptionFunc{gitlab.WithContext(ctx)})
	if err != nil {
		return c.failed("redeliver "+delivery, repository, err)
	}
	_, err = c.gitlab.Do(request, nil)
	return c.failed("redeliver "+delivery, repository, err)
}

func number(what, id string) (int64, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s id %q is not a number", what, id)
	}
	return n, nil
}

func hookOf(hook *gitlab.ProjectHook) api.Hook {
	h := api.Hook{
		ID: strconv.FormatInt(hook.ID, 10), URL: hook.URL, Active: true, Insecure: !hook.EnableSSLVerification, Unsigned: !hook.SigningTokenPresent,
	}
	for _, event := range []struct {
		name string
		on   bool
	}{
		{"push_events", hook.PushEvents}, {"tag_push_events", hook.TagPushEvents}, {"merge_requests_events", hook.MergeRequestsEvents},
	} {
		if event.on {
			h.Events = append(h.Events, event.name)
		}
	}
	switch {
	case hook.DisabledUntil != nil:
		h.Active, h.DisabledUntil = false, *hook.DisabledUntil
		h.Problem = "GitLab switched it off until " + hook.DisabledUntil.UTC().Format(time.RFC3339) + ", since deliveries failed"
	case hook.AlertStatus != "" && hook.AlertStatus != "executable":
		h.Active = false
		h.Problem = "GitLab switched it off, since too many deliveries failed; a successful test in its settings switches it on again"
	}
	return h
}

// expirySoon is how long before its end a token is warned of.
const expirySoon = 14 * 24 * time.Hour

// Check implements api.Client.
func (c *Client) Check(ctx context.Context, repository string) []connection.Check {
	var checks api.Checks
	if !c.checkToken(ctx, &checks) {
		if repository != "" {
			checks.Skip(connection.CheckRepository, repository, "not checked, since GitLab does not accept the credentials")
		}
		return checks
	}
	if repository != "" {
		c.checkRepository(ctx, &checks, repository)
	}
	return checks
}

// checkToken checks the token and its scopes, and tells whether it is accepted.
func (c *Client) checkToken(ctx context.Context, checks *api.Checks) bool {
	token, _, err := c.gitlab.PersonalAccessTokens.GetSinglePersonalAccessToken(gitlab.WithContext(ctx))
	err = c.failed("authenticate", "", err)
	if !checks.Reached(c.config.Endpoint, err) {
		return false
	}
	switch {
	case statusOf(err) == http.StatusForbidden:
		// Only a token that may read the API sees its own scopes.
		checks.Fail(connection.CheckPermission, "read_api", "the token lacks the scope read_api, which is needed for reading the settings of repositories",
			"create a token with the scopes read_repository and read_api, or api to manage webhooks too")
		return false
	case err != nil:
		checks.Refused(connection.CheckAuthentication, "", err)
		return false
	}
	switch {
	case token.ExpiresAt == nil:
		checks.OK(connection.CheckAuthentication, token.Name, "the token %q does not expire", token.Name)
	case time.Time(*token.ExpiresAt).Before(c.config.HTTP.Now().Add(expirySoon)):
		checks.Warn(connection.CheckAuthentication, token.Name, fmt.Sprintf("the token %q expires on %s", token.Name, token.ExpiresAt),
			"create a new token, or rotate it, and set it before that")
	default:
		checks.OK(connection.CheckAuthentication, token.Name, "the token %q expires on %s", token.Name, token.ExpiresAt)
	}
	checkScopes(checks, token.Scopes)
	return true
}

// checkScopes compares the scopes of the token with what Headrace uses.
func checkScopes(checks *api.Checks, scopes []string) {
	for _, needed := range []struct {
		subject, purpose string
		by               []string
		required         bool
	}{
		{"read_repository", "cloning repositories and reading their refs", []string{"read_repository", "write_repository", "api"}, true},
		{"read_api", "reading the settings of repositories", []string{"read_api", "api"}, true},
		{"api", "registering, repairing and redelivering webhooks", []string{"api"}, false},
	} {
		message := fmt.Sprintf("the token lacks the scope %s, which is needed for %s", needed.subject, needed.purpose)
		switch {
		case slices.ContainsFunc(needed.by, func(scope string) bool { return slices.Contains(scopes, scope) }):
			checks.OK(connection.CheckPermission, needed.subject, "the token has the scope %s, for %s", needed.subject, needed.purpose)
		case needed.required:
			checks.Fail(connection.CheckPermission, needed.subject, message, "create a token with the scope "+needed.subject)
		default:
			checks.Warn(connection.CheckPermission, needed.subject, message, "create a token with the scope "+needed.subject)
		}
	}
}

// checkRepository checks a repository, the role of the token in it, and its webhooks.
func (c *Client) checkRepository(ctx context.Context, checks *api.Checks, repository string) {
	found, err := c.project(ctx, repository)
	if err != nil {
		checks.Refused(connection.CheckRepository, repository, err)
		return
	}
	checks.OK(connection.CheckRepository, repository, "%s has the id %d and the default branch %s", found.PathWithNamespace, found.ID, found.DefaultBranch)
	hooks, err := c.Hooks(ctx, repository)
	if statusOf(err) == http.StatusForbidden || statusOf(err) == http.StatusUnauthorized {
		checks.Warn(connection.CheckHook, "", "the token may not see the webhooks of "+repository,
			"give it the role Maintainer, and the scope api to manage webhooks")
		return
	}
	if err != nil {
		checks.Refused(connection.CheckHook, "", err)
		return
	}
	checks.Hooks(forge.GitLab, hooks)
}

// failed returns the error of a call, nil if it did not fail.
func (c *Client) failed(call, repository string, err error) error {
	if err == nil {
		return nil
	}
	failure := &api.Error{Forge: product, Call: call, Repository: repository, Err: err}
	var refused *gitlab.ErrorResponse
	switch {
	case errors.Is(err, gitlab.ErrNotFound):
		failure.Status = http.StatusNotFound
	case errors.As(err, &refused):
		failure.Status, failure.Reason = refused.StatusCode, api.Reason(refused.Message)
		if refused.Response != nil {
			failure.Status = refused.Response.StatusCode
			failure.RetryAfter = api.RetryAfter(refused.Response, c.config.HTTP.Now())
		}
	default:
		failure.Reason = api.Unreached(err)
		return failure
	}
	switch failure.Status {
	case http.StatusUnauthorized:
		failure.NextStep = api.NewToken
	case http.StatusForbidden:
		failure.NextStep = "give the token the scope and the role that headrace connection doctor lists"
	case http.StatusNotFound:
		failure.NextStep = api.CheckAccess
	}
	return failure
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
