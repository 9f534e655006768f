package service

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/sealer"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// ConnectionsConfig is what Connections needs.
type ConnectionsConfig struct {
	Store store.Store
	// Sealer seals credentials before they are stored.
	Sealer Sealer
	// Checker reaches endpoints for Check.
	Checker ConnectionChecker
	Catalog *pipeline.Catalog
	Clock   func() time.Time
}

// ConnectionChecker reaches the endpoint of a connection and says what works. It changes
// nothing there.
type ConnectionChecker interface {
	Check(ctx context.Context, account, name, repository string) ([]connection.Check, error)
}

// Connections keeps how forges and git servers are reached. It returns no credential.
type Connections struct {
	config ConnectionsConfig
}

// NewConnections returns the use cases of connections.
func NewConnections(cfg ConnectionsConfig) *Connections {
	return &Connections{config: cfg}
}

// GivenCredentials are the values of credentials of a request. An empty value removes the
// credential.
type GivenCredentials map[connection.CredentialName]string

// Create stores a connection with its credentials, or only checks it.
func (s *Connections) Create(
	ctx context.Context, who auth.Identity, c connection.Connection, given GivenCredentials, requestID string, validateOnly bool,
) (connection.Connection, error) {
	if err := authorize(who, auth.Administer, c.Account); err != nil {
		return connection.Connection{}, err
	}
	if err := checkConnection(&c); err != nil {
		return connection.Connection{}, err
	}
	now := s.config.Clock()
	var err error
	if c.Credentials, err = s.seal(ctx, &c, given, now, validateOnly); err != nil {
		return connection.Connection{}, err
	}
	if err := checkRequired(&c); err != nil {
		return connection.Connection{}, err
	}
	c.CreatedAt, c.UpdatedAt, c.Revision = now, now, 1
	repeat := request{c.Account, "CreateConnection", requestID, c.ID().String(), who.Principal}
	var created connection.Connection
	err = update(ctx, s.config.Store.Update, validateOnly, func(ctx context.Context, tx store.Tx) error {
		done, err := repeat.done(ctx, tx)
		if err != nil {
			return err
		}
		if !done {
			if err := accountExists(ctx, tx, c.Account); err != nil {
				return err
			}
			if done, err = adoptConnection(ctx, tx, repeat, c, now); err != nil {
				return err
			}
		}
		if !done {
			err := tx.CreateConnection(ctx, c)
			if errors.Is(err, store.ErrAlreadyExists) {
				return refuse(KindAlreadyExists, pipeline.ReasonAlreadyExists,
					"connection %q exists in account %q; import it, or choose another name", c.Name, c.Account)
			}
			if err != nil {
				return err
			}
			if err := repeat.save(ctx, tx, now); err != nil {
				return err
			}
			if err := repeat.remember(ctx, tx, connectionMark(&c), now); err != nil {
				return err
			}
		}
		created, err = findConnection(ctx, tx, c.Account, c.Name)
		return err
	})
	if err != nil {
		return connection.Connection{}, fmt.Errorf("create connection %q: %w", c.Name, err)
	}
	return created, nil
}

// Get returns a connection.
func (s *Connections) Get(ctx context.Context, who auth.Identity, account, name string) (connection.Connection, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return connection.Connection{}, err
	}
	var c connection.Connection
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		c, err = findConnection(ctx, r, account, name)
		return err
	})
	if err != nil {
		return connection.Connection{}, fmt.Errorf("get connection %q: %w", name, err)
	}
	return c, nil
}

// maxConnectionsSize bounds a page of connections, which has to fit into a message of 16 MiB.
const maxConnectionsSize = 12 << 20

// List returns at most size connections of an account by name, those after the given name.
// The second result is the name to go on after, empty at the end.
func (s *Connections) List(
	ctx context.Context, who auth.Identity, account, after string, size int,
) ([]connection.Connection, string, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return nil, "", err
	}
	var all []connection.Connection
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if err = accountExists(ctx, r, account); err != nil {
			return err
		}
		all, err = r.Connections(ctx, account, store.Page{Size: size + 1, After: after})
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list connections: %w", err)
	}
	more, total := len(all) > size, 0
	if more {
		all = all[:size]
	}
	for i := range all {
		const fixed = 4000
		total += fixed + len(all[i].Description) + len(all[i].KnownHosts) + len(all[i].CACertificate)
		if all[i].SSH != nil {
			total += len(all[i].SSH.KnownHosts)
		}
		for _, host := range all[i].AllowedHosts {
			total += len(host)
		}
		if total > maxConnectionsSize && i > 0 {
			all, more = all[:i], true
			break
		}
	}
	if !more {
		return all, "", nil
	}
	return all, all[len(all)-1].Name, nil
}

// Update replaces the settings of a connection and the credentials that are given, or only
// checks that.
func (s *Connections) Update(
	ctx context.Context, who auth.Identity, c connection.Connection, given GivenCredentials, etag string, validateOnly bool,
	check Check[connection.Connection],
) (connection.Connection, error) {
	if err := authorize(who, auth.Administer, c.Account); err != nil {
		return connection.Connection{}, err
	}
	if err := checkConnection(&c); err != nil {
		return connection.Connection{}, err
	}
	now := s.config.Clock()
	sealed, err := s.seal(ctx, &c, given, now, validateOnly)
	if err != nil {
		return connection.Connection{}, err
	}
	var updated connection.Connection
	err = update(ctx, s.config.Store.Update, validateOnly, func(ctx context.Context, tx store.Tx) error {
		before, err := matchConnection(ctx, tx, c.Account, c.Name, etag)
		if err != nil {
			return err
		}
		next := c
		next.Revision, next.CreatedAt, next.UpdatedAt = before.Revision, before.CreatedAt, before.UpdatedAt
		if next.Credentials, err = mergeCredentials(&before, &next, given, sealed); err != nil {
			return err
		}
		if err := checkRequired(&next); err != nil {
			return err
		}
		if err := checkWebhooksOf(ctx, tx, &before, &next); err != nil {
			return err
		}
		if err := check.allows(before, next); err != nil {
			return err
		}
		if !reflect.DeepEqual(before, next) {
			next.UpdatedAt = now
			if err := tx.UpdateConnection(ctx, next); err != nil {
				return err
			}
		}
		updated, err = findConnection(ctx, tx, c.Account, c.Name)
		return err
	})
	if err != nil {
		return connection.Connection{}, fmt.Errorf("update connection %q: %w", c.Name, err)
	}
	return updated, nil
}

// Delete removes a connection that nothing uses.
func (s *Connections) Delete(ctx context.Context, who auth.Identity, account, name, etag string) error {
	if err := authorize(who, auth.Administer, account); err != nil {
		return err
	}
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		c, err := findConnection(ctx, r, account, name)
		if err != nil {
			return err
		}
		users, err := connectionUsers(ctx, r, s.config.Catalog, c.ID())
		if err != nil || len(users) == 0 {
			return err
		}
		return refuse(KindPrecondition, pipeline.ReasonInUse, "connection %q is used by %s; change or delete what uses it first",
			name, listedUsers(users))
	})
	if err == nil {
		err = update(ctx, s.config.Store.Update, false, func(ctx context.Context, tx store.Tx) error {
			c, err := matchConnection(ctx, tx, account, name, etag)
			if err != nil {
				return err
			}
			return tx.DeleteConnection(ctx, account, name, c.Revision)
		})
	}
	if err != nil {
		return fmt.Errorf("delete connection %q: %w", name, err)
	}
	return nil
}

// listedUsers names what uses a connection in a message.
func listedUsers(users []string) string {
	const most = 10
	if more := len(users) - most; more > 0 {
		return strings.Join(users[:most], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(users, ", ")
}

// Check reaches the endpoint of a connection and says what works and what does not.
func (s *Connections) Check(ctx context.Context, who auth.Identity, account, name, repository string) ([]connection.Check, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return nil, err
	}
	var c connection.Connection
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		c, err = findConnection(ctx, r, account, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("check connection %q: %w", name, err)
	}
	if repository != "" {
		if err := pipeline.CheckRepository(c.Type, repository); err != nil {
			return nil, invalidField(requestPath("repository"), err.Error())
		}
	}
	checks, err := s.config.Checker.Check(ctx, account, name, repository)
	if err != nil {
		return nil, fmt.Errorf("check connection %q: %w", name, sealerRefusal(err))
	}
	return checks, nil
}

// ConfirmCreate notes that the answer of a create arrived.
func (s *Connections) ConfirmCreate(ctx context.Context, who auth.Identity, c Created) error {
	return confirm(ctx, s.config.Store, who, c)
}

// checkConnection refuses settings that could not work.
func checkConnection(c *connection.Connection) error {
	root := requestPath("connection")
	if err := pipeline.CheckConnection(c.Name); err != nil {
		return invalidField(root.Field("name"), err.Error())
	}
	if err := invalidDefinition(pipeline.ValidateConnection(&c.Connection), nil, root); err != nil {
		return err
	}
	var violations []pipeline.Violation
	refuse := func(path pipeline.Path, err error) {
		if err != nil {
			violations = append(violations, pipeline.Violation{Path: path, Message: err.Error()})
		}
	}
	block := root.Field(string(c.Type))
	if c.KnownHosts != "" {
		refuse(block.Field("known_hosts"), connection.CheckKnownHosts(c.KnownHosts))
	}
	if c.SSH != nil {
		refuse(block.Field("ssh").Field("known_hosts"), connection.CheckKnownHosts(c.SSH.KnownHosts))
	}
	if c.CACertificate != "" {
		refuse(root.Field("ca_certificate"), connection.CheckCertificates(c.CACertificate))
	}
	if len(violations) > 0 {
		return Invalid("", violations...)
	}
	return nil
}

// seal checks and seals the credentials that are given. A dry run seals nothing.
func (s *Connections) seal(
	ctx context.Context, c *connection.Connection, given GivenCredentials, now time.Time, dry bool,
) ([]connection.Credential, error) {
	var sealed []connection.Credential
	var violations []pipeline.Violation
	for _, name := range []connection.CredentialName{connection.Token, connection.AppPrivateKey, connection.Password, connection.SSHPrivateKey} {
		value, ok := given[name]
		if !ok || value == "" {
			continue
		}
		path := requestPath("credentials", string(name))
		if !connection.Allows(&c.Connection, name) {
			violations = append(violations, pipeline.Violation{Path: path, Message: fmt.Sprintf("this connection takes no %s; remove it", name)})
			continue
		}
		if name == connection.Password && c.Username == "" {
			violations = append(violations, pipeline.Violation{Path: path, Message: "a password is only sent with a username; set username, or remove the password"})
			continue
		}
		fingerprint, err := connection.Inspect(name, value)
		if err != nil {
			violations = append(violations, pipeline.Violation{Path: path, Message: err.Error()})
			continue
		}
		credential := connection.Credential{Name: name, Fingerprint: fingerprint, SetAt: now}
		if !dry {
			if credential.Sealed, err = s.config.Sealer.Seal(ctx, []byte(value), c.Binding(name)); err != nil {
				return nil, sealerRefusal(err)
			}
		}
		sealed = append(sealed, credential)
	}
	if len(violations) > 0 {
		return nil, Invalid("", violations...)
	}
	return sealed, nil
}

// sealerRefusal tells a caller what an operator has to mend.
func sealerRefusal(err error) error {
	if errors.Is(err, sealer.ErrNoKey) {
		return refuse(KindPrecondition, pipeline.ReasonNoSealingKey, "the server cannot seal or open credentials: %v", err)
	}
	return err
}

// checkRequired refuses a connection that lacks a credential.
func checkRequired(c *connection.Connection) error {
	var violations []pipeline.Violation
	for _, name := range connection.Required(&c.Connection) {
		if _, ok := c.Credential(name); !ok {
			violations = append(violations, pipeline.Violation{
				Path: requestPath("credentials", string(name)), Message: fmt.Sprintf("%s is missing; the connection needs it", name),
			})
		}
	}
	if len(violations) > 0 {
		return Invalid("", violations...)
	}
	return nil
}

// mergeCredentials returns the credentials after an update. A stored credential is never
// sent to another host than it was set for: whoever may change an endpoint could read it.
func mergeCredentials(
	before, next *connection.Connection, given GivenCredentials, sealed []connection.Credential,
) ([]connection.Credential, error) {
	merged := slices.Clone(sealed)
	var violations []pipeline.Violation
	for _, stored := range before.Credentials {
		if _, replaced := given[stored.Name]; replaced || !connection.Allows(&next.Connection, stored.Name) {
			continue
		}
		if !next.SameHosts(&before.Connection) {
			violations = append(violations, pipeline.Violation{
				Path: requestPath("credentials", string(stored.Name)),
				Message: fmt.Sprintf("%s was set for another type or endpoint; set it again, since a stored credential is only sent to the "+
					"host that it was set for", stored.Name),
			})
			continue
		}
		merged = append(merged, stored)
	}
	if len(violations) > 0 {
		return nil, Invalid("", violations...)
	}
	slices.SortFunc(merged, func(a, b connection.Credential) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return merged, nil
}

func findConnection(ctx context.Context, r store.ConnectionReader, account, name string) (connection.Connection, error) {
	c, err := r.Connection(ctx, account, name)
	if errors.Is(err, store.ErrNotFound) {
		return c, refuse(KindNotFound, pipeline.ReasonNotFound, "connection %q does not exist in account %q", name, account)
	}
	return c, err
}

// matchConnection returns a connection that is what the caller read.
func matchConnection(ctx context.Context, r store.ConnectionReader, account, name, etag string) (connection.Connection, error) {
	c, err := findConnection(ctx, r, account, name)
	if err == nil && etag != "" && etag != c.Etag() {
		return c, refuse(KindConflict, pipeline.ReasonEtagMismatch,
			"connection %q changed since it was read (last at %s): read it again and retry",
			name, c.UpdatedAt.UTC().Format(time.RFC3339))
	}
	return c, err
}

// connectionMark changes with a connection, and is another one if a connection of the same
// name is created later.
func connectionMark(c *connection.Connection) mark {
	return func(context.Context, store.Reader) (string, error) { return c.Etag(), nil }
}

// adoptConnection tells whether the create of a connection is answered with the one that
// exists. That one gets the credentials of the create.
func adoptConnection(ctx context.Context, tx store.Tx, create request, asked connection.Connection, at time.Time) (bool, error) {
	if !create.confirms() {
		return false, nil
	}
	existing, err := tx.Connection(ctx, asked.Account, asked.Name)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil || !reflect.DeepEqual(existing.Connection, asked.Connection) {
		return false, err
	}
	adopted, err := create.adopt(ctx, tx, connectionMark(&existing), at)
	if err != nil || !adopted {
		return false, err
	}
	next := existing
	next.Credentials, next.UpdatedAt = asked.Credentials, at
	if err := tx.UpdateConnection(ctx, next); err != nil {
		return false, err
	}
	next.Revision++
	return true, create.remember(ctx, tx, connectionMark(&next), at)
}

// connectionUsers names what uses a connection.
func connectionUsers(ctx context.Context, r store.Reader, catalog *pipeline.Catalog, name pipeline.ConnectionName) ([]string, error) {
	var users []string
	err := newestVersions(ctx, r, name.Account, func(p *definition.Pipeline, newest *pipeline.Definition) {
		for _, stage := range newest.Stages {
			for _, action := range stage.Actions {
				named := action.Configuration[catalog.ConnectionProperty(action.TypeID())]
				if used, err := pipeline.ConnectionReference(name.Account, named); named != "" && err == nil && used == name {
					users = append(users, fmt.Sprintf("action %q of stage %q of pipeline %q", action.Name, stage.Name, p.Name))
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	webhooks, err := r.WebhooksOfConnection(ctx, name.Account, name.Connection)
	if err != nil {
		return nil, err
	}
	for _, webhook := range webhooks {
		users = append(users, fmt.Sprintf("webhook %q", webhook))
	}
	repositories, err := r.Repositories(ctx, name.Account, name.Connection, store.Page{})
	if err != nil {
		return nil, err
	}
	for i := range repositories {
		triggers, err := r.TriggersOfRepository(ctx, repositories[i].ID)
		if err != nil {
			return nil, err
		}
		for n := range triggers {
			if !triggers[n].Inline() {
				users = append(users, fmt.Sprintf("trigger %q", triggers[n].Name))
			}
		}
	}
	return users, nil
}
