package trigger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

const (
	// redeliverable is how long forges keep deliveries: GitHub three days.
	redeliverable = 3 * 24 * time.Hour
	// redeliveredAtOnce bounds how many deliveries of a webhook are asked for at once.
	redeliveredAtOnce = 500
	// overlap is how much longer than the outage deliveries are looked at, since clocks differ.
	overlap = 5 * time.Minute
)

// Forges returns clients for the APIs of forges.
type Forges interface {
	// Forge fails with api.ErrNoConnection if the connection does not exist, and with api.ErrNoAPI if
	// its server has no API.
	Forge(ctx context.Context, account, connection string) (ForgeClient, error)
}

// ForgeClient is what back-fill and the management of hooks need of a forge's API.
type ForgeClient interface {
	// FailedDeliveries returns the deliveries since a time that failed and did not succeed
	// later. Without a repository and a hook they are those of a GitHub App.
	FailedDeliveries(ctx context.Context, repository, hook string, since time.Time) ([]api.FailedDelivery, error)
	Redeliver(ctx context.Context, repository, hook, delivery string) error
	HookClient
}

// redelivery is the turn that asks the forge of a webhook for deliveries that failed. Its
// name says since when.
func redelivery(account, webhook string, since, due time.Time) *execution.Turn {
	return &execution.Turn{
		ID:   turnID(execution.TurnRedeliver, strconv.FormatInt(since.Unix(), 10), account, webhook),
		Kind: execution.TurnRedeliver, DueAt: due,
	}
}

// redeliver is the handler of turns that ask the forge of a webhook for deliveries that failed.
// What it cannot find out, the comparison with the remote does.
func (i *Intake) redeliver(ctx context.Context, turn *loop.Turn) error {
	account, name := turnOf(turn.Turn)
	var webhook ledger.Webhook
	err := i.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		webhook, err = r.Webhook(ctx, account, name)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return finish(ctx, turn)
	}
	if err != nil {
		return err
	}
	since := i.config.Clock().Add(-redeliverable)
	if parts := strings.SplitN(turn.ID, "/", 3); len(parts) == 3 {
		if seconds, err := strconv.ParseInt(parts[1], 10, 64); err == nil {
			since = newest(since, time.Unix(seconds, 0).Add(-overlap))
		}
	}
	sent := noneRedelivered()
	if err := i.redeliverOf(ctx, &webhook, since, sent); err != nil && ctx.Err() == nil {
		i.config.Log.Warn("Cannot ask the forge for failed deliveries, comparing the repositories instead",
			"account", account, "webhook", name, "error", err)
	}
	if n := sent.total(); n > 0 {
		i.config.Log.Info("Asked the forge to send failed deliveries again", "account", account, "webhook", name, "deliveries", n)
	}
	return finish(ctx, turn)
}

func newest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// redeliverOf asks the forge to send again what failed since a time: of a GitHub App, or of
// the hooks that Headrace manages.
func (i *Intake) redeliverOf(ctx context.Context, webhook *ledger.Webhook, since time.Time, sent redelivered) error {
	if i.config.Forges == nil || webhook.Connection == "" {
		return nil
	}
	client, err := i.config.Forges.Forge(ctx, webhook.Account, webhook.Connection)
	if errors.Is(err, api.ErrNoAPI) {
		return nil
	}
	if err != nil {
		return err
	}
	err = i.redeliverHook(ctx, client, webhook.Kind, "", "", since, sent)
	if !errors.Is(err, api.ErrNoDeliveries) {
		return err
	}
	var errs []error
	for n := range webhook.Hooks {
		hook := &webhook.Hooks[n]
		if hook.HookID == "" {
			continue
		}
		err := i.redeliverHook(ctx, client, webhook.Kind, hook.Repository, hook.HookID, since, sent)
		if errors.Is(err, api.ErrNoDeliveries) {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// redelivered counts deliveries that a forge was asked to send again: by the forge's number of
// the repository, or by the key of its name where the forge does not tell the number.
type redelivered struct {
	byID   map[int64]int
	byName map[string]int
}

func noneRedelivered() redelivered {
	return redelivered{byID: make(map[int64]int), byName: make(map[string]int)}
}

func (r redelivered) total() int {
	total := 0
	for _, n := range r.byID {
		total += n
	}
	for _, n := range r.byName {
		total += n
	}
	return total
}

func (i *Intake) redeliverHook(ctx context.Context, client ForgeClient, kind forge.Kind, repository, hook string, since time.Time, sent redelivered) error {
	failed, err := client.FailedDeliveries(ctx, repository, hook, since)
	if err != nil {
		return err
	}
	// In the order in which they were sent at first.
	slices.Reverse(failed)
	for n, delivery := range failed {
		if n == redeliveredAtOnce {
			return fmt.Errorf("%d deliveries failed; asked for the first %d", len(failed), n)
		}
		if err := client.Redeliver(ctx, repository, hook, delivery.ID); err != nil {
			return err
		}
		if repository != "" {
			sent.byName[forge.RepositoryKey(kind, repository)]++
		} else {
			sent.byID[delivery.RepositoryID]++
		}
	}
	return nil
}

// redeliverAll asks the forges of repositories for what failed, each once.
func (i *Intake) redeliverAll(ctx context.Context, all []*Snapshot) ([]Backfilled, error) {
	type result struct {
		sent    redelivered
		problem string
	}
	asked := make(map[[2]string]result)
	found := make([]Backfilled, len(all))
	for n, s := range all {
		r := &s.Repository
		found[n] = Backfilled{Connection: r.ThroughConnection(), Repository: r.FullName}
		of := [2]string{r.Account, r.Connection}
		if _, done := asked[of]; !done {
			sent, err := i.redeliverConnection(ctx, r.Account, r.Connection)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			result := result{sent: sent}
			if err != nil {
				result.problem = err.Error()
			}
			asked[of] = result
		}
		found[n].Problem = asked[of].problem
		found[n].Redelivered = asked[of].sent.byName[r.Name]
		if r.ForgeID != 0 {
			found[n].Redelivered += asked[of].sent.byID[r.ForgeID]
		}
	}
	return found, nil
}

// redeliverConnection asks the forge of a connection for all that failed and can still be sent.
func (i *Intake) redeliverConnection(ctx context.Context, account, connection string) (redelivered, error) {
	sent := noneRedelivered()
	if connection == "" {
		return sent, nil
	}
	var webhooks []ledger.Webhook
	err := i.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		webhooks = nil
		names, err := r.WebhooksOfConnection(ctx, account, connection)
		if err != nil {
			return err
		}
		for _, name := range names {
			webhook, err := r.Webhook(ctx, account, name)
			if err != nil {
				return err
			}
			webhooks = append(webhooks, webhook)
		}
		return nil
	})
	if err != nil {
		return sent, err
	}
	since := i.config.Clock().Add(-redeliverable)
	for n := range webhooks {
		// An App has one webhook. Of other connections each may have hooks of its own.
		if err := i.redeliverOf(ctx, &webhooks[n], since, sent); err != nil || len(sent.byID) > 0 {
			return sent, err
		}
	}
	return sent, nil
}
