package access

import (
	"context"
	"net/url"

	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
)

// Check reaches the endpoint of a connection and says what works. With a repository it also
// looks at that, by the API of the forge and by git. It changes nothing.
func (r *Resolver) Check(ctx context.Context, account, name, repository string) ([]connection.Check, error) {
	c, err := r.Find(ctx, account, name)
	if err != nil {
		return nil, err
	}
	if repository, err = c.RepositoryPath(repository); err != nil {
		return nil, err
	}
	var checks api.Checks
	if c.Type.Forge() {
		client, err := r.forge(ctx, &c)
		if err != nil {
			return nil, err
		}
		checks = client.Check(ctx, repository)
	}
	if repository == "" {
		checks.Skip(connection.CheckGit, "", "git access was not checked; name a repository to check it")
		return checks, nil
	}
	remote, err := r.git(ctx, &c, repository)
	if err != nil {
		checks.Refused(connection.CheckGit, repository, err)
		return checks, nil
	}
	refs, err := countRefs(ctx, remote)
	if err != nil {
		checks.Refused(connection.CheckGit, repository, err)
		return checks, nil
	}
	checks.OK(connection.CheckGit, repository, "git reads %d refs of %s", refs, shown(remote.URL))
	return checks, nil
}

// shown returns an address without a user.
func shown(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return address
	}
	parsed.User = nil
	return parsed.String()
}
