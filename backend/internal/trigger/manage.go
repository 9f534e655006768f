package trigger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

const (
	// manageEvery is how often the hooks on forges are checked, and manageAgain how soon
	// after a check that found a problem.
	manageEvery = time.Hour
	manageAgain = 5 * time.Minute
	// unhookFor is how long a forge is asked to remove a hook that is not needed any more.
	unhookFor = 3 * 24 * time.Hour
)

// HookClient is what the management of hooks needs of a forge's API.
type HookClient interface {
	// Hooks returns all hooks of a repository, also those that others made.
	Hooks(ctx context.Context, repository string) ([]api.Hook, error)
	CreateHook(ctx context.Context, repository string, settings api.HookSettings) (api.Hook, error)
	// UpdateHook replaces the settings of a hook and activates it, or returns a new hook that
	// takes its place.
	UpdateHook(ctx context.Context, repository, hook string, settings api.HookSettings) (api.Hook, error)
	// DeleteHook succeeds if the hook does not exist.
	DeleteHook(ctx context.Context, repository, hook string) error
}

// Manage makes the hooks of a webhook on the forge be what they should be, soon. It is part of
// the transaction that writes the webhook.
func (i *Intake) Manage(ctx context.Context, tx *loop.Tx, webhook *ledger.Webhook) error {
	if !webhook.Manage && len(webhook.Hooks) == 0 {
		return nil
	}
	now := i.config.Clock()
	return tx.Apply(ctx, &execution.Change{Turns: []*execution.Turn{
		manageTurn(webhook.Account, webhook.Name, i.config.NewID(), now),
		// The one that makes itself due again.
		manageTurn(webhook.Account, webhook.Name, "", now.Add(manageEvery)),
	}})
}

// Unmanage makes the forge remove the hooks of a webhook that is deleted. It is part of the
// transaction that deletes it.
func (i *Intake) Unmanage(ctx context.Context, tx *loop.Tx, webhook *ledger.Webhook) error {
	change := &execution.Change{}
	for n := range webhook.Hooks {
		if hook := &webhook.Hooks[n]; hook.HookID != "" {
			change.Turns = append(change.Turns, unhookTurn(webhook, hook.Repository, hook.HookID, i.config.Clock()))
		}
	}
	if len(change.Turns) == 0 {
		return nil
	}
	return tx.Apply(ctx, change)
}

// manageAll makes the hooks of all webhooks of a connection be looked at, because triggers
// watch another repository of it now.
func (i *Intake) manageAll(ctx context.Context, tx *loop.Tx, account, connection string) error {
	names, err := tx.WebhooksOfConnection(ctx, account, connection)
	if err != nil {
		return err
	}
	for _, name := range names {
		webhook, err := tx.Webhook(ctx, account, name)
		if err == nil && webhook.Manage {
			err = i.Manage(ctx, tx, &webhook)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// manageAtStart makes the hooks of all webhooks be looked at: the URL at which forges reach the server may be
// another one since the start before.
func (i *Intake) manageAtStart(ctx context.Context) error {
	seen := make(map[[2]string]bool)
	return i.eachRepository(ctx, func(ctx context.Context, tx *loop.Tx, all []ledger.Repository) error {
		for n := range all {
			of := [2]string{all[n].Account, all[n].Connection}
			if seen[of] {
				continue
			}
			if err := i.manageAll(ctx, tx, of[0], of[1]); err != nil {
				return err
			}
			seen[of] = true
		}
		return nil
	})
}

// manageTurn is a turn that looks at the hooks of a webhook. The one whose name has nothing
// unique repeats.
func manageTurn(account, webhook, unique string, due time.Time) *execution.Turn {
	return &execution.Turn{ID: turnID(execution.TurnManage, unique, account, webhook), Kind: execution.TurnManage, DueAt: due}
}

// unhookTurn is the turn that removes a hook from a forge. Its name says all that it needs,
// because the webhook may be gone.
func unhookTurn(webhook *ledger.Webhook, repository, hook string, now time.Time) *execution.Turn {
	unique := strconv.FormatInt(now.Unix(), 10) + "," + webhook.Account + "," + webhook.Connection
	return &execution.Turn{ID: turnID(execution.TurnUnhook, unique, hook, repository), Kind: execution.TurnUnhook, DueAt: now}
}

// manage is the handler of turns that compare the hooks of a webhook with those on the forge.
func (i *Intake) manage(ctx context.Context, turn *loop.Turn) error {
	account, name := turnOf(turn.Turn)
	var webhook ledger.Webhook
	var watched []ledger.Repository
	err := i.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if webhook, err = r.Webhook(ctx, account, name); err != nil || !webhook.Manage {
			return err
		}
		watched, err = r.Repositories(ctx, account, webhook.Connection, store.Page{})
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return finish(ctx, turn)
	}
	if err != nil {
		return err
	}
	hooks, removed := i.manageHooks(ctx, &webhook, watched)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	now := i.config.Clock()
	return turn.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error {
		current, err := tx.Webhook(ctx, account, name)
		gone := errors.Is(err, store.ErrNotFound) || err == nil && current.ID != webhook.ID
		if err != nil && !gone {
			return err
		}
		if !gone && !slices.Equal(current.Hooks, webhook.Hooks) {
			return manageAfterOthers(ctx, tx, turn, &webhook, &current, now)
		}
		change := done(turn)
		repeats := turn.ID == manageTurn(account, name, "", now).ID
		if repeats && webhook.Manage {
			after := manageEvery
			if slices.ContainsFunc(hooks, func(h ledger.ManagedHook) bool { return h.Problem != "" }) {
				after = manageAgain
			}
			change = later(turn, now.Add(jitter(webhook.ID, after)))
		}
		for _, hook := range removed {
			change.Turns = append(change.Turns, unhookTurn(&webhook, hook.Repository, hook.HookID, now))
		}
		if err := settle(ctx, tx, turn, change); err != nil {
			return err
		}
		if gone {
			// Its deletion has made the forge remove the hooks that were known then.
			deleted := webhook
			deleted.Hooks = hooks
			return i.Unmanage(ctx, tx, &deleted)
		}
		if slices.Equal(current.Hooks, hooks) {
			return nil
		}
		return tx.SetManagedHooks(ctx, webhook.ID, hooks)
	})
}

// manageAfterOthers repeats a turn because another one managed the hooks of the webhook at the same time:
// both may have made a hook, and the one that knew an older secret may have set that last.
func manageAfterOthers(ctx context.Context, tx *loop.Tx, turn *loop.Turn, known, current *ledger.Webhook, now time.Time) error {
	if known.Newest() != current.Newest() {
		for n := range current.Hooks {
			current.Hooks[n].SecretVersion = 0
		}
		if err := tx.SetManagedHooks(ctx, current.ID, current.Hooks); err != nil {
			return err
		}
	}
	return tx.Apply(ctx, later(turn, now))
}

// manageHooks makes the hooks on the forge be what they should be. It returns what is known of
// them then, and those that have to be removed.
func (i *Intake) manageHooks(ctx context.Context, webhook *ledger.Webhook, watched []ledger.Repository) (hooks, removed []ledger.ManagedHook) {
	wanted := make(map[string]bool)
	var settings api.HookSettings
	client, problem := HookClient(nil), ""
	if webhook.Manage {
		client, settings, problem = i.hookSettings(ctx, webhook)
	}
	for n := range watched {
		repository := watched[n].FullName
		wanted[repository] = true
		known := hookOn(webhook.Hooks, repository)
		known.CheckedAt = i.config.Clock()
		if known.Problem = problem; problem == "" {
			i.manageHook(ctx, client, &known, settings, webhook.Newest())
		}
		hooks = append(hooks, known)
	}
	for n := range webhook.Hooks {
		if known := webhook.Hooks[n]; !wanted[known.Repository] && known.HookID != "" {
			removed = append(removed, known)
		}
	}
	slices.SortFunc(hooks, func(a, b ledger.ManagedHook) int { return cmp.Compare(a.Repository, b.Repository) })
	return hooks, removed
}

// hookOn returns what is known of the hook on a repository.
func hookOn(hooks []ledger.ManagedHook, repository string) ledger.ManagedHook {
	for n := range hooks {
		if hooks[n].Repository == repository {
			return hooks[n]
		}
	}
	return ledger.ManagedHook{Repository: repository}
}

// hookSettings returns what every hook of a webhook is set to, and how the forge is reached,
// or why that cannot be done.
func (i *Intake) hookSettings(ctx context.Context, webhook *ledger.Webhook) (HookClient, api.HookSettings, string) {
	settings := api.HookSettings{URL: i.config.HookURL(webhook.Kind, webhook.Path)}
	if !strings.Contains(settings.URL, "://") {
		return nil, settings, "the server does not know the URL at which forges reach it; start headraced with --hooks-listen and --public-url"
	}
	if i.config.Forges == nil {
		return nil, settings, errNoForges.Error()
	}
	client, err := i.config.Forges.Forge(ctx, webhook.Account, webhook.Connection)
	if err != nil {
		return nil, settings, err.Error()
	}
	newest := webhook.Newest()
	for n := range webhook.Secrets {
		if webhook.Secrets[n].Version != newest {
			continue
		}
		plain, err := i.config.Secrets.Open(ctx, webhook.Secrets[n].Sealed, ledger.WebhookBinding(webhook.ID))
		if err != nil {
			return nil, settings, fmt.Sprintf("its secret cannot be opened: %v", err)
		}
		settings.Secret = string(plain)
	}
	return client, settings, ""
}

// manageHook finds, makes or repairs the hook on one repository.
func (i *Intake) manageHook(ctx context.Context, client HookClient, known *ledger.ManagedHook, settings api.HookSettings, secret int64) {
	found, err := client.Hooks(ctx, known.Repository)
	if err != nil {
		known.Problem = err.Error()
		return
	}
	// The URL of the known hook differs if somebody changed it, or if public-url did.
	ours := slices.DeleteFunc(slices.Clone(found), func(h api.Hook) bool { return h.URL != settings.URL && h.ID != known.HookID })
	if n := slices.IndexFunc(ours, func(h api.Hook) bool { return h.ID == known.HookID }); n > 0 {
		ours[0], ours[n] = ours[n], ours[0]
	}
	var hook api.Hook
	switch {
	case len(ours) == 0:
		hook, err = client.CreateHook(ctx, known.Repository, settings)
	case ours[0].ID != known.HookID || ours[0].URL != settings.URL || known.SecretVersion != secret || !ours[0].Active || ours[0].Insecure || ours[0].Problem != "":
		hook, err = client.UpdateHook(ctx, known.Repository, ours[0].ID, settings)
	default:
		hook = ours[0]
	}
	if err != nil {
		known.Problem = err.Error()
		return
	}
	known.HookID, known.Active, known.SecretVersion = hook.ID, hook.Active, secret
	// Two servers may have made one at the same time. Each delivery would come twice.
	for n := 1; n < len(ours); n++ {
		if err := client.DeleteHook(ctx, known.Repository, ours[n].ID); err != nil {
			known.Problem = err.Error()
		}
	}
}

// unhook is the handler of turns that remove a hook from a forge.
func (i *Intake) unhook(ctx context.Context, turn *loop.Turn) error {
	hook, repository := turnOf(turn.Turn)
	parts := strings.SplitN(turn.ID, "/", 3)
	of := strings.Split(parts[min(1, len(parts)-1)], ",")
	if len(of) != 3 {
		return finish(ctx, turn)
	}
	since, _ := strconv.ParseInt(of[0], 10, 64)
	account, connection := of[1], of[2]
	err := i.removeHook(ctx, account, connection, repository, hook)
	now := i.config.Clock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		return finish(ctx, turn)
	case errors.Is(err, errNoForges) || errors.Is(err, api.ErrNoConnection) || errors.Is(err, api.ErrNoAPI) || now.Sub(time.Unix(since, 0)) > unhookFor:
		i.config.Log.Warn("Cannot remove a hook that is no longer needed from the forge; remove it there",
			"account", account, "connection", connection, "repository", repository, "hook", hook, "error", err)
		return finish(ctx, turn)
	}
	return repeatAt(ctx, turn, now.Add(manageAgain))
}

// errNoForges says that the server has no clients of forges.
var errNoForges = errors.New("this server cannot reach forges")

func (i *Intake) removeHook(ctx context.Context, account, connection, repository, hook string) error {
	if i.config.Forges == nil {
		return errNoForges
	}
	client, err := i.config.Forges.Forge(ctx, account, connection)
	if err != nil {
		return err
	}
	return client.DeleteHook(ctx, repository, hook)
}
