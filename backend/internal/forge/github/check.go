package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-github/v93/github"

	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
)

// What permissions are for.
const (
	forContents = "cloning repositories and reading their refs"
	forPulls    = "events of pull requests"
	forHooks    = "registering, repairing and redelivering webhooks of repositories"
)

// Check implements api.Client.
func (c *Client) Check(ctx context.Context, repository string) []connection.Check {
	var checks api.Checks
	check := c.checkToken
	if c.config.App != nil {
		check = c.checkApp
	}
	usable := check(ctx, &checks)
	if repository == "" {
		return checks
	}
	if !usable {
		checks.Skip(connection.CheckRepository, repository, "not checked, since GitHub does not accept the credentials")
		return checks
	}
	c.checkRepository(ctx, &checks, repository)
	return checks
}

// checkApp checks the App and its installation, and tells whether tokens can be issued.
func (c *Client) checkApp(ctx context.Context, checks *api.Checks) bool {
	client, err := c.asApp()
	if err != nil {
		checks.Fail(connection.CheckAuthentication, "", err.Error(), "")
		return false
	}
	app, _, err := client.Apps.Get(ctx, "")
	if err != nil {
		err = c.failed("authenticate as the App", "", err)
	}
	if !checks.Reached(c.config.Endpoint, err) {
		return false
	}
	if err != nil {
		checks.Refused(connection.CheckAuthentication, c.config.App.ID, err)
		return false
	}
	installation, _, err := client.Apps.GetInstallation(ctx, c.config.App.Installation)
	subject := fmt.Sprint(c.config.App.Installation)
	switch {
	case err != nil:
		err = c.failed("read the installation", "", err)
		var known *api.Error
		if errors.As(err, &known) && known.Status == http.StatusNotFound {
			known.NextStep = "check installation_id: it is the number at the end of the address of the installation's settings"
		}
		checks.Refused(connection.CheckAuthentication, subject, err)
		return false
	case installation.SuspendedAt != nil:
		checks.Fail(connection.CheckAuthentication, subject,
			fmt.Sprintf("the installation on %s is suspended", installation.GetAccount().GetLogin()), "unsuspend it at "+installation.GetHTMLURL())
		return false
	}
	repositories := "all repositories"
	if installation.GetRepositorySelection() == "selected" {
		repositories = "selected repositories"
	}
	checks.OK(connection.CheckAuthentication, subject, "the App %s is installed on %s, for %s", app.GetName(), installation.GetAccount().GetLogin(), repositories)
	checkPermissions(checks, app, installation)
	c.checkAppHook(ctx, checks, client)
	return true
}

// checkPermissions compares what the installation grants with what Headrace uses.
func checkPermissions(checks *api.Checks, app *github.App, installation *github.Installation) {
	for _, needed := range []struct {
		name, access, purpose string
		of                    func(*github.InstallationPermissions) string
		required              bool
	}{
		{"contents", "read", forContents, (*github.InstallationPermissions).GetContents, true},
		{"metadata", "read", "everything else", (*github.InstallationPermissions).GetMetadata, true},
		{"pull_requests", "read", forPulls, (*github.InstallationPermissions).GetPullRequests, false},
		{"repository_hooks", "write", forHooks, (*github.InstallationPermissions).GetRepositoryHooks, false},
	} {
		subject := needed.name + ": " + needed.access
		if grants(needed.of(installation.GetPermissions()), needed.access) {
			checks.OK(connection.CheckPermission, subject, "the installation has %s, for %s", subject, needed.purpose)
			continue
		}
		message := fmt.Sprintf("the installation lacks %s, which is needed for %s", subject, needed.purpose)
		next := fmt.Sprintf("give the App %q the repository permission %s in its settings, then accept it at %s", app.GetName(), subject, installation.GetHTMLURL())
		if grants(needed.of(app.GetPermissions()), needed.access) {
			next = "the App requests it: accept its new permissions at " + installation.GetHTMLURL()
		}
		if needed.required {
			checks.Fail(connection.CheckPermission, subject, message, next)
		} else {
			checks.Warn(connection.CheckPermission, subject, message, next)
		}
	}
	for _, event := range []string{"push", "pull_request"} {
		if !slices.Contains(installation.Events, event) {
			checks.Warn(connection.CheckPermission, "event "+event, fmt.Sprintf("the App's webhook does not send the event %s", event),
				"subscribe to it in the settings of the App, unless webhooks of the repositories send it")
		}
	}
}

// grants tells whether one access includes another.
func grants(has, needed string) bool {
	levels := []string{"", "read", "write", "admin"}
	return slices.Index(levels, has) >= slices.Index(levels, needed)
}

// checkAppHook checks the webhook of the App, which may be unused.
func (c *Client) checkAppHook(ctx context.Context, checks *api.Checks, client *github.Client) {
	hook, _, err := client.Apps.GetHookConfig(ctx)
	if err != nil {
		checks.Refused(connection.CheckHook, "app", c.failed("read the webhook of the App", "", err))
		return
	}
	switch {
	case !api.ToHeadrace(forge.GitHub, hook.GetURL()):
		checks.Skip(connection.CheckHook, "app", "the webhook of the App does not deliver to Headrace")
	case hook.GetSecret() == "":
		checks.Fail(connection.CheckHook, "app", "the webhook of the App has no secret, so its deliveries are not signed and are refused",
			"set a secret in the settings of the App, and the same as the secret of the headrace_webhook")
	case hook.GetInsecureSSL() == "1":
		checks.Warn(connection.CheckHook, "app", "the webhook of the App does not verify the certificate of the server", "turn on SSL verification")
	default:
		checks.OK(connection.CheckHook, "app", "the webhook of the App delivers to Headrace")
	}
}

// expirySoon is how long before its end a token is warned of.
const expirySoon = 14 * 24 * time.Hour

// checkToken checks a personal access token, and tells whether it is accepted.
func (c *Client) checkToken(ctx context.Context, checks *api.Checks) bool {
	token, err := c.config.Token(ctx, "", Permissions{})
	if err != nil {
		checks.Fail(connection.CheckAuthentication, "", err.Error(), "")
		return false
	}
	client, err := c.client(bearer(token))
	if err != nil {
		checks.Fail(connection.CheckEndpoint, c.config.Endpoint, err.Error(), "")
		return false
	}
	user, response, err := client.Users.Get(ctx, "")
	if err != nil {
		err = c.failed("authenticate", "", err)
	}
	if !checks.Reached(c.config.Endpoint, err) {
		return false
	}
	if err != nil {
		checks.Refused(connection.CheckAuthentication, "", err)
		return false
	}
	c.checkExpiry(checks, response, user.GetLogin())
	if _, classic := response.Header["X-Oauth-Scopes"]; !classic {
		checks.Skip(connection.CheckPermission, "", "GitHub does not report the permissions of a fine-grained token; "+
			"it needs contents: read for %s, and webhooks: write for %s", forContents, forHooks)
		return true
	}
	checkScopes(checks, response.Header.Get("X-OAuth-Scopes"))
	return true
}

func (c *Client) checkExpiry(checks *api.Checks, response *github.Response, login string) {
	expires := response.TokenExpiration.Time
	switch {
	case expires.IsZero():
		checks.OK(connection.CheckAuthentication, login, "the token is %s's and does not expire", login)
	case expires.Before(c.config.HTTP.Now().Add(expirySoon)):
		checks.Warn(connection.CheckAuthentication, login, fmt.Sprintf("the token is %s's and expires on %s", login, expires.UTC().Format(time.DateOnly)),
			"create a new token and set it before that")
	default:
		checks.OK(connection.CheckAuthentication, login, "the token is %s's and expires on %s", login, expires.UTC().Format(time.DateOnly))
	}
}

// checkScopes compares the scopes of a classic token with what Headrace uses.
func checkScopes(checks *api.Checks, header string) {
	var scopes []string
	for scope := range strings.SplitSeq(header, ",") {
		scopes = append(scopes, strings.TrimSpace(scope))
	}
	has := func(one ...string) bool {
		return slices.ContainsFunc(one, func(scope string) bool { return slices.Contains(scopes, scope) })
	}
	switch {
	case has("repo"):
		checks.OK(connection.CheckPermission, "repo", "the token has the scope repo, for %s", forContents)
	case has("public_repo"):
		checks.Warn(connection.CheckPermission, "repo", "the token has the scope public_repo only: private repositories cannot be cloned",
			"add the scope repo, or use a fine-grained token with contents: read")
	default:
		checks.Fail(connection.CheckPermission, "repo", "the token lacks the scope repo, which is needed for "+forContents,
			"add the scope repo, or use a fine-grained token with contents: read")
	}
	if has("repo", "public_repo", "admin:repo_hook", "write:repo_hook") {
		checks.OK(connection.CheckPermission, "admin:repo_hook", "the token may manage webhooks, for %s", forHooks)
	} else {
		checks.Warn(connection.CheckPermission, "admin:repo_hook", "the token lacks the scope admin:repo_hook, which is needed for "+forHooks,
			"add the scope admin:repo_hook")
	}
}

// checkRepository checks a repository and its webhooks.
func (c *Client) checkRepository(ctx context.Context, checks *api.Checks, repository string) {
	found, err := c.Repository(ctx, repository)
	if err != nil {
		checks.Refused(connection.CheckRepository, repository, err)
		return
	}
	checks.OK(connection.CheckRepository, repository, "%s has the id %d and the default branch %s", found.Name, found.ID, found.DefaultBranch)
	hooks, err := c.Hooks(ctx, repository)
	if err != nil {
		var known *api.Error
		message, next := err.Error(), ""
		if errors.As(err, &known) {
			said := *known
			said.NextStep = ""
			message, next = said.Error(), known.NextStep
		}
		checks.Warn(connection.CheckHook, "", message, next)
		return
	}
	checks.Hooks(forge.GitHub, hooks)
}
