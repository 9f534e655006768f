package trigger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

func (f *fakeForge) Hooks(context.Context, string) ([]api.Hook, error) {
	f.mu.Lock()
	hooks, away := slices.Clone(f.hooks), f.away
	var met chan struct{}
	if f.meet != nil && f.listed < 2 {
		met = f.meet
		if f.listed++; f.listed == 2 {
			close(met)
		}
	}
	f.mu.Unlock()
	if met != nil {
		<-met
	}
	return hooks, away
}

func (f *fakeForge) CreateHook(_ context.Context, _ string, settings api.HookSettings) (api.Hook, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away != nil {
		return api.Hook{}, f.away
	}
	hook := api.Hook{ID: fmt.Sprint(len(f.secrets) + 1), URL: settings.URL, Active: true}
	if f.secrets == nil {
		f.secrets = make(map[string]string)
	}
	f.hooks, f.secrets[hook.ID] = append(f.hooks, hook), settings.Secret
	return hook, nil
}

func (f *fakeForge) UpdateHook(_ context.Context, _, id string, settings api.HookSettings) (api.Hook, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n := range f.hooks {
		if f.hooks[n].ID == id {
			f.hooks[n].URL, f.hooks[n].Active, f.secrets[id] = settings.URL, true, settings.Secret
			return f.hooks[n], nil
		}
	}
	return api.Hook{}, errors.New("no such hook")
}

func (f *fakeForge) DeleteHook(_ context.Context, _, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away != nil {
		return f.away
	}
	f.hooks = slices.DeleteFunc(f.hooks, func(h api.Hook) bool { return h.ID == id })
	return nil
}

// change changes what the forge has, as somebody does behind the server's back.
func (f *fakeForge) change(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn()
}

// eventually waits until what the forge has is as it should be.
func (f *fakeForge) eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return is()
	}, patience, 5*patience/10000, what)
}

// The hook on the forge follows the webhook: it is made, repaired, signs with the newest
// secret, and is removed with the webhook, also if the forge was away for a while. Hooks of
// others stay.
func TestHooksOnTheForge(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	forge := &fakeForge{hooks: []api.Hook{{ID: "other", URL: "https://ci.example.com/hook", Active: true}}, away: errors.New("403 Forbidden")}
	s.forges = forge
	s.start()
	s.pipeline("web", all())
	webhook := ledger.Webhook{
		ID: "hook", Account: "default", Name: "hook", Path: "unguessable", Connection: "forge", Revision: 1,
		WebhookDetails: ledger.WebhookDetails{Kind: "github", Manage: true},
		Secrets:        []ledger.WebhookSecret{{Version: 1, Sealed: []byte("first secret")}},
	}
	write := func(fn func(context.Context, *loop.Tx) error) {
		t.Helper()
		require.NoError(t, s.loop.Submit(t.Context(), fn))
	}
	manage := func() {
		t.Helper()
		write(func(ctx context.Context, tx *loop.Tx) error {
			current, err := tx.Webhook(ctx, "default", "hook")
			if err != nil {
				return err
			}
			return s.intake.Manage(ctx, tx, &current)
		})
	}
	known := func() (hooks []ledger.ManagedHook) {
		t.Helper()
		s.view(func(ctx context.Context, r store.Reader) error {
			current, err := r.Webhook(ctx, "default", "hook")
			hooks = current.Hooks
			return err
		})
		return hooks
	}
	write(func(ctx context.Context, tx *loop.Tx) error {
		return errors.Join(tx.CreateWebhook(ctx, webhook), s.intake.Manage(ctx, tx, &webhook))
	})
	require.Eventually(t, func() bool { return len(known()) == 1 && known()[0].Problem == "403 Forbidden" }, patience, patience/1000)

	forge.change(func() { forge.away = nil })
	manage()
	forge.eventually(t, "it is made", func() bool {
		return len(forge.hooks) == 2 && forge.hooks[1].URL == "https://headrace.example.com/unguessable" && forge.secrets["1"] == "first secret"
	})
	require.Eventually(t, func() bool {
		hooks := known()
		return len(hooks) == 1 && hooks[0].HookID == "1" && hooks[0].Active && hooks[0].Problem == "" && hooks[0].Repository == "acme/web"
	}, patience, patience/1000)

	forge.change(func() { forge.hooks[1].Active = false })
	manage()
	forge.eventually(t, "it is active again", func() bool { return forge.hooks[1].Active })

	forge.change(func() { forge.hooks[1].URL = "https://headrace.example.com:8443/unguessable" })
	manage()
	forge.eventually(t, "it is moved", func() bool {
		return len(forge.hooks) == 2 && forge.hooks[1].URL == "https://headrace.example.com/unguessable"
	})

	forge.change(func() {
		forge.hooks = append(forge.hooks, api.Hook{ID: "double", URL: "https://headrace.example.com/unguessable", Active: true})
	})
	manage()
	forge.eventually(t, "a second one is removed", func() bool { return len(forge.hooks) == 2 })

	write(func(ctx context.Context, tx *loop.Tx) error {
		current, err := tx.Webhook(ctx, "default", "hook")
		current.Secrets = append(current.Secrets, ledger.WebhookSecret{Version: 2, Sealed: []byte("second secret")})
		return errors.Join(err, tx.UpdateWebhook(ctx, current), s.intake.Manage(ctx, tx, &current))
	})
	forge.eventually(t, "it signs with the newest secret", func() bool { return forge.secrets["1"] == "second secret" })
	require.Eventually(t, func() bool { return known()[0].SecretVersion == 2 }, patience, patience/1000)

	forge.change(func() { forge.hooks = forge.hooks[:1] })
	manage()
	forge.eventually(t, "it is made again", func() bool { return len(forge.hooks) == 2 })
	require.Eventually(t, func() bool { return known()[0].HookID == "2" }, patience, patience/1000)

	write(func(ctx context.Context, tx *loop.Tx) error {
		current, err := tx.Webhook(ctx, "default", "hook")
		return errors.Join(err, s.intake.Unmanage(ctx, tx, &current), tx.DeleteWebhook(ctx, current.ID))
	})
	forge.eventually(t, "it is removed with its webhook", func() bool { return len(forge.hooks) == 1 && forge.hooks[0].ID == "other" })
}

// Two turns that manage the hooks of one webhook at the same time, here or on another server, leave one.
func TestHooksThatAreManagedTwiceAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	forge := &fakeForge{meet: make(chan struct{})}
	s.forges = forge
	s.start()
	s.pipeline("web", all())
	webhook := ledger.Webhook{
		ID: "hook", Account: "default", Name: "hook", Path: "unguessable", Connection: "forge", Revision: 1,
		WebhookDetails: ledger.WebhookDetails{Kind: "github", Manage: true},
		Secrets:        []ledger.WebhookSecret{{Version: 1, Sealed: []byte("first secret")}},
	}
	require.NoError(t, s.loop.Submit(t.Context(), func(ctx context.Context, tx *loop.Tx) error {
		return errors.Join(tx.CreateWebhook(ctx, webhook), s.intake.Manage(ctx, tx, &webhook), s.intake.Manage(ctx, tx, &webhook))
	}))
	forge.eventually(t, "both make one, and one is removed", func() bool { return len(forge.secrets) == 2 && len(forge.hooks) == 1 })
	require.Eventually(t, func() bool {
		var known ledger.Webhook
		s.view(func(ctx context.Context, r store.Reader) (err error) {
			known, err = r.Webhook(ctx, "default", "hook")
			return err
		})
		forge.mu.Lock()
		defer forge.mu.Unlock()
		return len(known.Hooks) == 1 && len(forge.hooks) == 1 && known.Hooks[0].HookID == forge.hooks[0].ID
	}, patience, patience/1000)
}

// A server that starts with another public URL moves the hooks on the forge to it.
func TestHooksFollowThePublicURL(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	forge := &fakeForge{}
	s.forges = forge
	s.start()
	s.pipeline("web", all())
	webhook := ledger.Webhook{
		ID: "hook", Account: "default", Name: "hook", Path: "unguessable", Connection: "forge", Revision: 1,
		WebhookDetails: ledger.WebhookDetails{Kind: "github", Manage: true},
		Secrets:        []ledger.WebhookSecret{{Version: 1, Sealed: []byte("first secret")}},
	}
	require.NoError(t, s.loop.Submit(t.Context(), func(ctx context.Context, tx *loop.Tx) error {
		return errors.Join(tx.CreateWebhook(ctx, webhook), s.intake.Manage(ctx, tx, &webhook))
	}))
	require.Eventually(t, func() bool {
		var known ledger.Webhook
		s.view(func(ctx context.Context, r store.Reader) (err error) {
			known, err = r.Webhook(ctx, "default", "hook")
			return err
		})
		return len(known.Hooks) == 1 && known.Hooks[0].HookID == "1"
	}, patience, patience/1000)
	s.stop()
	s.public = "https://releases.example.com"
	s.start()
	forge.eventually(t, "it is moved", func() bool {
		return len(forge.hooks) == 1 && forge.hooks[0].ID == "1" && forge.hooks[0].URL == "https://releases.example.com/unguessable"
	})
}

// The hook of a webhook whose connection was deleted as well cannot be removed, and nothing tries to for days.
func TestHookOfADeletedConnectionIsLeft(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	forge := &fakeForge{missing: fmt.Errorf("connection: %w", api.ErrNoConnection)}
	s.forges = forge
	s.start()
	webhook := ledger.Webhook{
		ID: "hook", Account: "default", Name: "hook", Path: "unguessable", Connection: "forge", Revision: 1,
		WebhookDetails: ledger.WebhookDetails{Kind: "github", Manage: true}, Hooks: []ledger.ManagedHook{{Repository: "acme/web", HookID: "1"}},
	}
	require.NoError(t, s.loop.Submit(t.Context(), func(ctx context.Context, tx *loop.Tx) error { return s.intake.Unmanage(ctx, tx, &webhook) }))
	forge.eventually(t, "it is tried", func() bool { return forge.wanted > 0 })
	require.True(t, eventually(func() bool {
		left := 0
		s.view(func(ctx context.Context, r store.Reader) error {
			turns, err := r.Turns(ctx)
			for _, turn := range turns {
				if turn.Kind == execution.TurnUnhook {
					left++
				}
			}
			return err
		})
		return left == 0
	}), "the turn ended")
}
