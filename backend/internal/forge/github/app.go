package github

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-github/v93/github"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
)

// App is an installation of a GitHub App.
type App struct {
	// ID is the client id or the app id.
	ID           string
	Installation int64
	Key          *rsa.PrivateKey
}

const (
	// clockSkew is how far this server's clock may be ahead of GitHub's.
	clockSkew = time.Minute
	// assertionLife is how long an assertion is valid from its time of issue. GitHub allows
	// ten minutes, by its own clock.
	assertionLife = 9 * time.Minute
)

// assertion returns what proves to GitHub that a request is the App's.
func (a *App) assertion(now time.Time) (string, error) {
	issued := now.Add(-clockSkew)
	signed, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.RegisteredClaims{
		Issuer: a.ID, IssuedAt: jwt.NewNumericDate(issued), ExpiresAt: jwt.NewNumericDate(issued.Add(assertionLife)),
	}).SignedString(a.Key)
	if err != nil {
		// It may name what the key holds.
		return "", errors.New("the private key of the App cannot sign")
	}
	return signed, nil
}

// asApp returns a client whose calls are the App's, not an installation's.
func (c *Client) asApp() (*github.Client, error) {
	if c.config.App == nil {
		return nil, fmt.Errorf("a token is not an App: %w", api.ErrNoDeliveries)
	}
	return c.client(func(request *http.Request) error {
		signed, err := c.config.App.assertion(c.config.HTTP.Now())
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+signed)
		return nil
	})
}

// IssueToken returns a new token of the installation, which may do no more than the
// permissions in that repository, or in all of the installation if it is empty, and when it
// ends.
func (c *Client) IssueToken(ctx context.Context, repository string, permissions Permissions) (token string, expires time.Time, err error) {
	client, err := c.asApp()
	if err != nil {
		return "", time.Time{}, err
	}
	options := &github.InstallationTokenOptions{Permissions: permissions.message()}
	if repository != "" {
		_, name, _ := strings.Cut(repository, "/")
		options.Repositories = []string{name}
	}
	made, _, err := client.Apps.CreateInstallationToken(ctx, c.config.App.Installation, options)
	if err != nil {
		return "", time.Time{}, c.noToken(repository, permissions, err)
	}
	if made.GetToken() == "" {
		return "", time.Time{}, &api.Error{Forge: product, Call: "issue a token", Repository: repository, Reason: "the answer holds no token"}
	}
	return made.GetToken(), made.GetExpiresAt().Time, nil
}

// noToken says why the installation got no token.
func (c *Client) noToken(repository string, permissions Permissions, err error) error {
	failure := c.failed("issue a token for "+permissions.words(), repository, err)
	var known *api.Error
	if !errors.As(failure, &known) {
		return failure
	}
	switch known.Status {
	case http.StatusNotFound:
		known.NextStep = fmt.Sprintf("check installation_id %d: it is the number at the end of the address of the installation's settings",
			c.config.App.Installation)
	case http.StatusUnprocessableEntity:
		known.NextStep = "give the App the permission and accept it in the settings of the installation, and let the installation access the repository; " +
			"headrace connection doctor says which is missing"
	}
	return failure
}

func (p Permissions) words() string {
	return strings.ReplaceAll(strings.ReplaceAll(p.String(), "=", ": "), ",", ", ")
}

// message returns the permissions as GitHub takes them.
func (p Permissions) message() *github.InstallationPermissions {
	given := func(access string) *string {
		if access == "" {
			return nil
		}
		return &access
	}
	return &github.InstallationPermissions{
		Metadata: new("read"), Contents: given(p.Contents), RepositoryHooks: given(p.Hooks), PullRequests: given(p.PullRequests),
	}
}
