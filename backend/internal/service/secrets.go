package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/sealer"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Sealer seals and opens values for the name of the object that they belong to.
type Sealer interface {
	Seal(ctx context.Context, plain []byte, binding string) ([]byte, error)
	Open(ctx context.Context, sealed []byte, binding string) ([]byte, error)
}

// SecretsConfig is what Secrets needs.
type SecretsConfig struct {
	Store  store.Store
	Sealer Sealer
	Clock  func() time.Time
}

// Secrets keeps values by name that actions get and that no use case returns.
type Secrets struct {
	config SecretsConfig
}

// NewSecrets returns the use cases of secrets.
func NewSecrets(cfg SecretsConfig) *Secrets {
	return &Secrets{config: cfg}
}

// SecretInput is what a caller declares of a secret.
type SecretInput struct {
	Account, Name, Description string
	// Value is empty to keep the value.
	Value []byte
}

// Create stores a secret, or only checks it.
func (s *Secrets) Create(
	ctx context.Context, who auth.Identity, in SecretInput, requestID string, validateOnly bool,
) (definition.Secret, error) {
	if err := authorize(who, auth.Deploy, in.Account); err != nil {
		return definition.Secret{}, err
	}
	if err := checkSecret(&in, true); err != nil {
		return definition.Secret{}, err
	}
	now := s.config.Clock()
	asked := definition.Secret{
		Account: in.Account, Name: in.Name, Description: in.Description, Version: 1, ValueAt: now,
		Revision: 1, CreatedAt: now, UpdatedAt: now,
	}
	var created definition.Secret
	var err error
	asked.Sealed, err = s.seal(ctx, &in, validateOnly)
	if err == nil {
		err = update(ctx, s.config.Store.Update, validateOnly, func(ctx context.Context, tx store.Tx) error {
			repeat := request{in.Account, "CreateSecret", requestID, secretName(in.Account, in.Name), who.Principal}
			done, err := repeat.done(ctx, tx)
			if err == nil && !done {
				err = createSecret(ctx, tx, repeat, &asked)
			}
			if err != nil {
				return err
			}
			created, err = findSecret(ctx, tx, in.Account, in.Name)
			return err
		})
	}
	if err != nil {
		return definition.Secret{}, fmt.Errorf("create secret %q: %w", in.Name, err)
	}
	return created, nil
}

// createSecret stores a secret that the request did not make before.
func createSecret(ctx context.Context, tx store.Tx, repeat request, asked *definition.Secret) error {
	if err := accountExists(ctx, tx, asked.Account); err != nil {
		return err
	}
	if adopted, err := adoptSecret(ctx, tx, repeat, asked); err != nil || adopted {
		return err
	}
	err := tx.CreateSecret(ctx, *asked)
	if errors.Is(err, store.ErrAlreadyExists) {
		return refuse(KindAlreadyExists, pipeline.ReasonAlreadyExists,
			"secret %q exists in account %q; import it, or choose another name", asked.Name, asked.Account)
	}
	if err != nil {
		return err
	}
	if err := repeat.save(ctx, tx, asked.CreatedAt); err != nil {
		return err
	}
	return repeat.remember(ctx, tx, secretMark(asked), asked.CreatedAt)
}

// adoptSecret tells whether the create of a secret is answered with the one that exists. That
// one gets the value of this create: the earlier one may have had another.
func adoptSecret(ctx context.Context, tx store.Tx, create request, asked *definition.Secret) (bool, error) {
	if !create.confirms() {
		return false, nil
	}
	existing, err := tx.Secret(ctx, asked.Account, asked.Name)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil || existing.Description != asked.Description {
		return false, err
	}
	adopted, err := create.adopt(ctx, tx, secretMark(&existing), asked.CreatedAt)
	if err != nil || !adopted {
		return false, err
	}
	next := existing
	next.Sealed, next.Version, next.ValueAt, next.UpdatedAt = asked.Sealed, existing.Version+1, asked.ValueAt, asked.UpdatedAt
	if err := tx.UpdateSecret(ctx, next); err != nil {
		return false, err
	}
	if next, err = tx.Secret(ctx, asked.Account, asked.Name); err != nil {
		return false, err
	}
	return true, create.remember(ctx, tx, secretMark(&next), asked.CreatedAt)
}

// seal returns the sealed value. If nothing is to be stored it seals nothing, so that a check
// creates no key.
func (s *Secrets) seal(ctx context.Context, in *SecretInput, validateOnly bool) ([]byte, error) {
	if validateOnly || len(in.Value) == 0 {
		return []byte("not sealed"), nil
	}
	sealed, err := s.config.Sealer.Seal(ctx, in.Value, secretName(in.Account, in.Name))
	if errors.Is(err, sealer.ErrNoKey) {
		return nil, refuse(KindPrecondition, pipeline.ReasonNoSealingKey, "the server cannot seal the value: %v", err)
	}
	return sealed, err
}

// Get returns a secret.
func (s *Secrets) Get(ctx context.Context, who auth.Identity, account, name string) (definition.Secret, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return definition.Secret{}, err
	}
	var secret definition.Secret
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		secret, err = findSecret(ctx, r, account, name)
		return err
	})
	if err != nil {
		return definition.Secret{}, fmt.Errorf("get secret %q: %w", name, err)
	}
	return secret, nil
}

// List returns at most size secrets of an account by name, those after the given name. The
// second result is the name to go on after, empty at the end.
func (s *Secrets) List(ctx context.Context, who auth.Identity, account, after string, size int) ([]definition.Secret, string, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return nil, "", err
	}
	var secrets []definition.Secret
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if err = accountExists(ctx, r, account); err != nil {
			return err
		}
		secrets, err = r.Secrets(ctx, account, store.Page{Size: size + 1, After: after})
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list secrets: %w", err)
	}
	next := ""
	if len(secrets) > size {
		secrets = secrets[:size]
		next = secrets[size-1].Name
	}
	return secrets, next, nil
}

// Update replaces the description and, if one is given, the value, or only checks that.
func (s *Secrets) Update(
	ctx context.Context, who auth.Identity, in SecretInput, etag string, validateOnly bool, check Check[definition.Secret],
) (definition.Secret, error) {
	if err := authorize(who, auth.Deploy, in.Account); err != nil {
		return definition.Secret{}, err
	}
	if err := checkSecret(&in, false); err != nil {
		return definition.Secret{}, err
	}
	now := s.config.Clock()
	var updated definition.Secret
	sealed, err := s.seal(ctx, &in, validateOnly)
	if err == nil {
		err = update(ctx, s.config.Store.Update, validateOnly, func(ctx context.Context, tx store.Tx) error {
			before, err := matchSecret(ctx, tx, in.Account, in.Name, etag)
			if err != nil {
				return err
			}
			next := before
			next.Description = in.Description
			if len(in.Value) > 0 {
				next.Sealed, next.Version, next.ValueAt = sealed, before.Version+1, now
			}
			if err := check.allows(before, next); err != nil {
				return err
			}
			if next.Version != before.Version || next.Description != before.Description {
				next.UpdatedAt = now
				if err := tx.UpdateSecret(ctx, next); err != nil {
					return err
				}
			}
			updated, err = findSecret(ctx, tx, in.Account, in.Name)
			return err
		})
	}
	if err != nil {
		return definition.Secret{}, fmt.Errorf("update secret %q: %w", in.Name, err)
	}
	return updated, nil
}

// Delete removes a secret that the newest version of no pipeline uses.
func (s *Secrets) Delete(ctx context.Context, who auth.Identity, account, name, etag string) error {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return err
	}
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		if _, err := findSecret(ctx, r, account, name); err != nil {
			return err
		}
		users, err := secretUsers(ctx, r, account, name)
		if err != nil || len(users) == 0 {
			return err
		}
		return refuse(KindPrecondition, pipeline.ReasonInUse,
			"secret %q is used by the newest version of %s; remove the environment variables that use it first", name, listed(users))
	})
	if err == nil {
		err = update(ctx, s.config.Store.Update, false, func(ctx context.Context, tx store.Tx) error {
			secret, err := matchSecret(ctx, tx, account, name, etag)
			if err != nil {
				return err
			}
			return tx.DeleteSecret(ctx, account, name, secret.Revision)
		})
	}
	if err != nil {
		return fmt.Errorf("delete secret %q: %w", name, err)
	}
	return nil
}

// ConfirmCreate notes that the answer of a create arrived.
func (s *Secrets) ConfirmCreate(ctx context.Context, who auth.Identity, c Created) error {
	return confirm(ctx, s.config.Store, who, c)
}

// Values returns the values of secrets of an account for an attempt or a turn of the
// account. It is never called for a caller of the API. A *action.CredentialsError names one
// that does not exist.
func (s *Secrets) Values(ctx context.Context, account string, names []string) (map[string]string, error) {
	sealed := make(map[string][]byte, len(names))
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		for _, name := range names {
			secret, err := r.Secret(ctx, account, name)
			if errors.Is(err, store.ErrNotFound) {
				return &action.CredentialsError{Code: action.ConfigurationError, Err: fmt.Errorf(
					"secret %q does not exist in account %q; create it with: headrace secret set %s", name, account, name)}
			}
			if err != nil {
				return err
			}
			sealed[name] = secret.Sealed
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	values := make(map[string]string, len(names))
	for _, name := range names {
		value, err := s.config.Sealer.Open(ctx, sealed[name], secretName(account, name))
		if err != nil {
			return nil, err
		}
		values[name] = string(value)
	}
	return values, nil
}

// secretUsers returns the names of the pipelines whose newest version uses a secret.
func secretUsers(ctx context.Context, r store.DefinitionReader, account, name string) ([]string, error) {
	const size = 100
	var users []string
	for page := (store.Page{Size: size}); ; {
		found, err := r.Pipelines(ctx, account, page)
		if err != nil {
			return nil, err
		}
		for i := range found {
			if found[i].Version == 0 {
				continue
			}
			version, err := r.PipelineVersion(ctx, found[i].ID, found[i].Version)
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(pipeline.SecretUses(&version.Definition), func(u pipeline.SecretUse) bool { return u.Secret == name }) {
				users = append(users, found[i].Name)
			}
		}
		if len(found) < size {
			return users, nil
		}
		page.After = found[size-1].Name
	}
}

// listed names pipelines in a message.
func listed(pipelines []string) string {
	const most = 10
	quoted := make([]string, 0, most)
	for _, name := range pipelines[:min(len(pipelines), most)] {
		quoted = append(quoted, quoteName(name))
	}
	text := strings.Join(quoted, ", ")
	if more := len(pipelines) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if len(pipelines) == 1 {
		return "pipeline " + text
	}
	return "pipelines " + text
}

// missingSecrets warns of the secrets of a definition that do not exist. The write itself
// succeeded, so that nothing is said if they cannot be read. Steps at the start of a path, as
// many as inner has, are replaced by outer.
func missingSecrets(ctx context.Context, kept store.Store, account string, def *pipeline.Definition, inner, outer pipeline.Path) []Warning {
	uses := pipeline.SecretUses(def)
	if len(uses) == 0 {
		return nil
	}
	var warnings []Warning
	err := kept.View(ctx, func(ctx context.Context, r store.Reader) error {
		warnings = nil
		exists := make(map[string]bool)
		for _, use := range uses {
			if _, looked := exists[use.Secret]; !looked {
				_, err := r.Secret(ctx, account, use.Secret)
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					return err
				}
				exists[use.Secret] = err == nil
			}
			if !exists[use.Secret] {
				warnings = append(warnings, Warning{
					Path: slices.Concat(outer, use.Path[len(inner):]), Reason: pipeline.ReasonSecretMissing, Secret: use.Secret,
					Message: fmt.Sprintf("%s: secret %q does not exist in account %q, so the action will fail; create it before the next execution",
						pipeline.Locate(def, use.Path), use.Secret, account),
				})
			}
		}
		return nil
	})
	if err != nil {
		return nil
	}
	return bounded(warnings)
}

// checkSecret refuses what is wrong with a secret, without repeating the value.
func checkSecret(in *SecretInput, create bool) error {
	root := requestPath("secret")
	if err := pipeline.CheckSecret(in.Name); err != nil {
		return invalidField(root.Field("name"), err.Error())
	}
	if !create && len(in.Value) == 0 {
		return nil
	}
	if err := pipeline.CheckSecretValue(in.Value); err != nil {
		return invalidField(root.Field("value"), err.Error())
	}
	return nil
}

func secretName(account, name string) string {
	return pipeline.SecretName{Account: account, Secret: name}.String()
}

// secretMark changes with a secret, and is another one if a secret of the same name is
// created later.
func secretMark(secret *definition.Secret) mark {
	return func(context.Context, store.Reader) (string, error) { return secret.Etag(), nil }
}

func findSecret(ctx context.Context, r store.SecretReader, account, name string) (definition.Secret, error) {
	secret, err := r.Secret(ctx, account, name)
	if errors.Is(err, store.ErrNotFound) {
		return secret, refuse(KindNotFound, pipeline.ReasonNotFound, "secret %q does not exist in account %q", name, account)
	}
	return secret, err
}

// matchSecret returns a secret that is what the caller read.
func matchSecret(ctx context.Context, r store.SecretReader, account, name, etag string) (definition.Secret, error) {
	secret, err := findSecret(ctx, r, account, name)
	if err == nil && etag != "" && etag != secret.Etag() {
		return secret, refuse(KindConflict, pipeline.ReasonEtagMismatch,
			"secret %q changed since it was read (last at %s): read it again and retry",
			name, secret.UpdatedAt.UTC().Format(time.RFC3339))
	}
	return secret, err
}
