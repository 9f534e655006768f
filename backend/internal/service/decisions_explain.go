package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// ExplainQuery is what to explain of a pipeline: exactly one of commit, ref and delivery.
type ExplainQuery struct {
	Account, Pipeline string
	Commit, Ref       string
	Delivery          *pipeline.DeliveryName
}

// ExplainStep names a link of the chain from a push to an execution.
type ExplainStep string

// The links of the chain, in their order.
const (
	StepConnection ExplainStep = "CONNECTION"
	StepWebhook    ExplainStep = "WEBHOOK"
	StepDelivery   ExplainStep = "DELIVERY"
	StepLedger     ExplainStep = "LEDGER"
	StepFilter     ExplainStep = "FILTER"
	StepExecution  ExplainStep = "EXECUTION"
)

// ExplainedStep is one link of the chain.
type ExplainedStep struct {
	Step ExplainStep
	OK   bool
	// Message is what was found, NextStep what to do; the latter is empty if nothing has to
	// be done.
	Message, NextStep string
}

// Explained is the answer to why something started or did not.
type Explained struct {
	Summary   string
	Steps     []ExplainedStep
	Decisions []ledger.Decision
}

const (
	// maxExplained bounds the decisions that one explanation looks at.
	maxExplained = 50
	// maxTold bounds the deliveries that it names.
	maxTold = 5
)

// Explain says what became of a commit, a ref or a delivery in a pipeline.
func (s *Decisions) Explain(ctx context.Context, who auth.Identity, q ExplainQuery) (Explained, error) {
	if err := authorize(who, auth.Read, q.Account); err != nil {
		return Explained{}, err
	}
	if err := checkCommitPrefix(q.Commit); err != nil {
		return Explained{}, err
	}
	given := 0
	for _, set := range []bool{q.Commit != "", q.Ref != "", q.Delivery != nil} {
		if set {
			given++
		}
	}
	if given != 1 {
		return Explained{}, invalidField(requestPath("commit"), "give exactly one of commit, ref and delivery")
	}
	q.Commit = strings.ToLower(q.Commit)
	e := explainer{query: q, now: s.config.Clock(), without: withoutWebhook(s.config)}
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		e.found = Explained{}
		if _, err := findPipeline(ctx, r, q.Account, q.Pipeline); err != nil {
			return err
		}
		e.query = q
		return e.explain(ctx, r)
	})
	if err != nil {
		return Explained{}, fmt.Errorf("explain pipeline %q: %w", q.Pipeline, err)
	}
	return e.found, nil
}

// explainer collects an explanation.
type explainer struct {
	query        ExplainQuery
	now          time.Time
	found        Explained
	triggers     []ledger.Trigger
	repositories []ledger.Repository
	// without says what finds pushes to a repository that has no webhook.
	without withoutHook
	// hooks are the names of the webhooks that forges and other senders use.
	hooks    []string
	delivery *ledger.Delivery
}

func (e *explainer) add(step ExplainStep, ok bool, next, format string, args ...any) {
	e.found.Steps = append(e.found.Steps, ExplainedStep{Step: step, OK: ok, Message: fmt.Sprintf(format, args...), NextStep: next})
}

// subject is what is explained, in words.
func (e *explainer) subject() string {
	switch {
	case e.query.Commit != "":
		return "commit " + e.query.Commit
	case e.query.Ref != "":
		return "ref " + e.query.Ref
	default:
		return "delivery " + e.query.Delivery.ID
	}
}

func (e *explainer) explain(ctx context.Context, r store.Reader) error {
	var err error
	if e.triggers, err = r.Triggers(ctx, e.query.Account, e.query.Pipeline); err != nil {
		return err
	}
	if len(e.triggers) == 0 {
		e.found.Summary = fmt.Sprintf("Nothing starts pipeline %s automatically: it has no trigger.", e.query.Pipeline)
		e.add(StepFilter, false, "Declare a headrace_trigger or a trigger block of the pipeline, or set DetectChanges of its source action.", "pipeline %s has no trigger, and no source action of it detects changes", e.query.Pipeline)
		return nil
	}
	if e.query.Ref, err = completeRef(ctx, r, e.triggers, e.query.Ref); err != nil {
		return err
	}
	if err := e.findDecisions(ctx, r); err != nil {
		return err
	}
	for _, step := range []func(context.Context, store.Reader) error{e.connections, e.events, e.deliveries, e.ledger, e.filters, e.executions} {
		if err := step(ctx, r); err != nil {
			return err
		}
	}
	if e.found.Summary == "" {
		e.summarize()
	}
	return nil
}

// completeRef takes a short name for the branch of that name, or for the tag if no repository of
// the triggers has had such a branch.
func completeRef(ctx context.Context, r store.Reader, triggers []ledger.Trigger, name string) (string, error) {
	if name == "" || strings.HasPrefix(name, "refs/") {
		return name, nil
	}
	branch, tag := "refs/heads/"+name, "refs/tags/"+name
	for _, ref := range []string{branch, tag} {
		for i := range triggers {
			if triggers[i].RepositoryID == "" {
				continue
			}
			_, _, err := r.Ref(ctx, triggers[i].RepositoryID, ref, "", "")
			if err == nil {
				return ref, nil
			}
			if !errors.Is(err, store.ErrNotFound) {
				return "", err
			}
		}
	}
	return branch, nil
}

// findDecisions finds what was decided, newest first.
func (e *explainer) findDecisions(ctx context.Context, r store.Reader) (err error) {
	if e.query.Delivery == nil {
		e.found.Decisions, err = r.Decisions(ctx, store.DecisionFilter{
			Account: e.query.Account, Pipeline: e.query.Pipeline, Commit: e.query.Commit, Ref: e.query.Ref, Size: maxExplained,
		})
		if err != nil || e.query.Commit == "" {
			return err
		}
		return e.findStarts(ctx, r)
	}
	name := e.query.Delivery
	d, err := r.Delivery(ctx, e.query.Account, name.ID)
	if errors.Is(err, store.ErrNotFound) {
		return refuse(KindNotFound, pipeline.ReasonNotFound, "delivery %q of webhook %q does not exist in account %q", name.ID, name.Webhook, name.Account)
	}
	if err != nil {
		return err
	}
	e.delivery = &d
	decisions, err := r.DecisionsOfDelivery(ctx, d.ID)
	for _, d := range slices.Backward(decisions) {
		if d.Pipeline == e.query.Pipeline {
			e.found.Decisions = append(e.found.Decisions, d)
		}
	}
	return err
}

// findStarts adds the decisions that started executions by a commit, however many deliveries
// told of it since.
func (e *explainer) findStarts(ctx context.Context, r store.Reader) error {
	for i := range e.triggers {
		t := &e.triggers[i]
		if t.RepositoryID == "" {
			continue
		}
		moves, err := r.MovesTo(ctx, t.RepositoryID, e.query.Commit, maxExplained)
		if err != nil {
			return err
		}
		for n := range moves {
			start, err := r.DecisionByStart(ctx, moves[n].StartKey(t.ID))
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(e.found.Decisions, func(d ledger.Decision) bool { return d.ID == start.ID }) {
				e.found.Decisions = append(e.found.Decisions, start)
			}
		}
	}
	slices.SortStableFunc(e.found.Decisions, func(a, b ledger.Decision) int { return strings.Compare(b.ID, a.ID) })
	return nil
}

// connections says how the repositories of the triggers are read and who delivers.
func (e *explainer) connections(ctx context.Context, r store.Reader) error {
	seen := make(map[string]bool)
	for i := range e.triggers {
		t := &e.triggers[i]
		if t.RepositoryID == "" || seen[t.RepositoryID] {
			continue
		}
		seen[t.RepositoryID] = true
		repo, err := r.Repository(ctx, t.RepositoryID)
		if err != nil {
			return err
		}
		e.repositories = append(e.repositories, repo)
		advice := fmt.Sprintf("Check it with: headrace connection doctor %s --repository %s", repo.Connection, repo.FullName)
		if _, action, own := ledger.ParseOwnToken(repo.Connection); own {
			advice = fmt.Sprintf("Check that the token of source action %s is valid and may read the repository.", action)
		}
		switch {
		case repo.Problem != "":
			e.add(StepConnection, false, advice, "repository %s has not been readable %s since %s: %s",
				repo.FullName, repo.Access(), moment(repo.FailingSince), repo.Problem)
		case repo.ObservedAt.IsZero():
			e.add(StepConnection, false, "Repeat the command in a moment. "+advice, "repository %s has not been read %s yet", repo.FullName, repo.Access())
		default:
			e.add(StepConnection, true, "", "repository %s is read %s, last at %s", repo.FullName, repo.Access(), moment(repo.ObservedAt))
		}
		if err := e.webhooks(ctx, r, &repo); err != nil {
			return err
		}
	}
	return nil
}

func (e *explainer) webhooks(ctx context.Context, r store.Reader, repo *ledger.Repository) error {
	names, err := r.WebhooksOfConnection(ctx, e.query.Account, repo.Connection)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return e.noWebhook(ctx, r, repo)
	}
	for _, name := range names {
		w, err := r.Webhook(ctx, e.query.Account, name)
		if err != nil {
			return err
		}
		other, err := ofOthers(ctx, r, &w, repo)
		if err == nil && !other {
			e.hooks = append(e.hooks, name)
			err = e.webhook(ctx, r, &w)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sampled is how many deliveries to a webhook tell which repositories it is for.
const sampled = 100

// ofOthers tells whether a webhook of the connection is for other repositories, as far as hooks that the
// server manages or the newest deliveries say. A refused delivery names no repository.
func ofOthers(ctx context.Context, r store.Reader, w *ledger.Webhook, repo *ledger.Repository) (bool, error) {
	if w.Manage {
		return false, nil
	}
	newest, err := r.Deliveries(ctx, store.DeliveryFilter{Account: w.Account, WebhookID: w.ID, Size: sampled})
	if err != nil {
		return false, err
	}
	named := false
	for i := range newest {
		if newest[i].Repository == "" {
			continue
		}
		if forge.RepositoryKey(w.Kind, newest[i].Repository) == repo.Name {
			return false, nil
		}
		named = true
	}
	return named, nil
}

// webhook says whether the newest delivery to a webhook was verified. The webhook itself knows that
// to the minute only.
func (e *explainer) webhook(ctx context.Context, r store.Reader, w *ledger.Webhook) error {
	newest, err := r.Deliveries(ctx, store.DeliveryFilter{Account: w.Account, WebhookID: w.ID, Size: 1})
	if err != nil {
		return err
	}
	switch {
	case len(newest) == 0 && w.Used.DeliveryAt.IsZero():
		sender := "Check that the forge has a hook with the URL of the webhook: headrace webhook show "
		if w.Kind == forge.Generic {
			sender = "Check that the sender uses the URL of the webhook: headrace webhook show "
		}
		e.add(StepWebhook, false, sender+w.Name, "webhook %s has never received a verified delivery", w.Name)
	case len(newest) == 0:
		e.add(StepWebhook, true, "", "webhook %s last received a verified delivery at %s", w.Name, moment(w.Used.DeliveryAt))
	case newest[0].Status == ledger.Refused:
		e.add(StepWebhook, false, afterRefusal(&newest[0])+" List all refusals with: headrace trigger deliveries "+w.Name+" --status refused",
			"the newest delivery to webhook %s was refused at %s: %s", w.Name, moment(newest[0].ReceivedAt), newest[0].Message)
	default:
		e.add(StepWebhook, true, "", "webhook %s last received a verified delivery at %s", w.Name, moment(newest[0].ReceivedAt))
	}
	return nil
}

// events says how the webhooks of generic triggers are doing.
func (e *explainer) events(ctx context.Context, r store.Reader) error {
	seen := make(map[string]bool)
	for i := range e.triggers {
		event := e.triggers[i].Declared.Event
		if event == nil || seen[event.Webhook] {
			continue
		}
		seen[event.Webhook] = true
		w, err := r.Webhook(ctx, e.query.Account, event.Webhook)
		if err != nil {
			return err
		}
		e.hooks = append(e.hooks, w.Name)
		if err := e.webhook(ctx, r, &w); err != nil {
			return err
		}
	}
	return nil
}

// noWebhook says what polling finds, and what it does not.
func (e *explainer) noWebhook(ctx context.Context, r store.Reader, repo *ledger.Repository) error {
	c, err := r.Connection(ctx, e.query.Account, repo.Connection)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	next := "To start as soon as somebody pushes, and by pull requests, declare a headrace_webhook for the connection."
	what := "no webhook takes deliveries for connection " + repo.Connection
	if _, action, own := ledger.ParseOwnToken(repo.Connection); own {
		next = "To start as soon as somebody pushes, use a source action with a connection, and declare a headrace_webhook for it."
		what = "source action " + action + " has no connection, for which a webhook could take deliveries"
	}
	if c.Type == pipeline.ConnectionGit {
		next, what = "", "connection "+repo.Connection+" has the type git, which has no webhooks"
	}
	for i := range e.triggers {
		t := &e.triggers[i]
		if git := t.Declared.Git; t.RepositoryID == repo.ID && git != nil && len(git.PullRequest) > 0 {
			e.add(StepWebhook, false, next, "%s, and polling finds no pull requests, so the pull_request blocks of trigger %s start nothing", what, short(t))
			return nil
		}
	}
	if e.without.next != "" {
		next = strings.TrimSpace(e.without.next + " " + next)
	}
	e.add(StepWebhook, !e.without.late, next, "%s%s", what, e.without.finds)
	return nil
}

// deliveries says which delivery reported it.
func (e *explainer) deliveries(ctx context.Context, r store.Reader) error {
	if d := e.delivery; d != nil {
		switch {
		case d.Status == ledger.Refused:
			e.add(StepDelivery, false, afterRefusal(d)+" Then send the delivery again from there.",
				"the delivery was refused at %s: %s", moment(d.ReceivedAt), d.Message)
			e.found.Summary = "The delivery was refused: " + d.Message + "."
		case d.Status == ledger.Ignored && len(e.found.Decisions) > 0:
			e.add(StepDelivery, true, "", "the delivery was verified at %s and ignored (%s), and was decided on again later", moment(d.ReceivedAt), d.Message)
		case d.Status == ledger.Ignored:
			next := ""
			if forge.Reason(d.Reason) == forge.Unwatched {
				next = "After a change of the triggers, send it again from the sender, or decide on it again with: headrace trigger replay " + e.query.Delivery.Webhook + "/" + d.ID
			}
			e.add(StepDelivery, false, next, "the delivery was verified at %s and ignored: %s", moment(d.ReceivedAt), d.Message)
			e.found.Summary = "The delivery was ignored: " + d.Message + "."
		default:
			e.add(StepDelivery, true, "", "the delivery was verified at %s: event %s of %s%s",
				moment(d.ReceivedAt), d.Event, d.Repository, deliveredBy(e.found.Decisions))
		}
		return nil
	}
	seen, more := make(map[string]bool), 0
	for i := range e.found.Decisions {
		d := &e.found.Decisions[i]
		if seen[d.DeliveryID] {
			continue
		}
		seen[d.DeliveryID] = true
		if len(seen) > maxTold && d.Outcome != ledger.Started {
			more++
			continue
		}
		if d.DeliveryID == "" {
			e.add(StepDelivery, true, "", "no delivery reported it; a comparison with the remote found it at %s (%s)", moment(d.DecidedAt), strings.ToLower(string(d.FoundBy)))
			continue
		}
		delivered, err := r.Delivery(ctx, e.query.Account, d.DeliveryID)
		if errors.Is(err, store.ErrNotFound) {
			e.add(StepDelivery, true, "", "delivery %s to webhook %s reported it%s; the delivery is no longer stored", d.DeliveryID, d.Webhook, pushed(d))
			continue
		}
		if err != nil {
			return err
		}
		e.add(StepDelivery, true, "", "delivery %s to webhook %s reported it at %s and was verified%s", d.DeliveryID, d.Webhook, moment(delivered.ReceivedAt), pushed(d))
	}
	if more > 0 {
		e.add(StepDelivery, true, "", "%d more deliveries reported it; see the list of decisions", more)
	}
	if len(e.found.Decisions) == 0 {
		e.add(StepDelivery, false, whereToLook(e.query.Pipeline, len(e.repositories) > 0, e.hooks), "no delivery and no comparison with the remote reported %s", e.subject())
	}
	return nil
}

// pushed says who caused what a decision is on, with a comma before it; empty if that was not
// told. The name is from the delivery, so it is quoted if it could be read as more than a name.
func pushed(d *ledger.Decision) string {
	text := ""
	if d.Pusher != "" {
		verb := "pushed"
		if d.PullRequest > 0 {
			verb = "caused"
		}
		text = fmt.Sprintf(", %s by %s (as %s says)", verb, pipeline.ForgeUser(d.Pusher), forgeTitle(d.Forge))
	}
	if d.ReplayedBy != "" {
		text += ", replayed by " + d.ReplayedBy
	}
	return text
}

// deliveredBy is pushed for a delivery with its decisions, newest first.
func deliveredBy(decisions []ledger.Decision) string {
	if len(decisions) > 0 {
		return pushed(&decisions[0])
	}
	return ""
}

// forgeTitle names a forge, also that of a decision by an older server.
func forgeTitle(kind forge.Kind) string {
	if title := kind.Title(); title != "" {
		return title
	}
	return "the forge"
}

// whereToLook says what to do if nothing was reported.
func whereToLook(pipelineName string, read bool, hooks []string) string {
	var next []string
	if read {
		next = append(next, "Compare with the remote now: headrace trigger backfill "+pipelineName+".")
	}
	if len(hooks) > 0 {
		next = append(next, "See what was delivered: headrace trigger deliveries "+hooks[0]+".")
	}
	if !read {
		next = append(next, "Events of generic webhooks have no ref and no commit, so explain the delivery instead.")
	}
	return strings.Join(next, " ")
}

// ledger says what is known of refs.
func (e *explainer) ledger(ctx context.Context, r store.Reader) error {
	for i := range e.repositories {
		repo := &e.repositories[i]
		if e.query.Ref != "" {
			ref, _, err := r.Ref(ctx, repo.ID, e.query.Ref, "", "")
			switch {
			case errors.Is(err, store.ErrNotFound):
				e.add(StepLedger, false, "Check the name: it must be complete, such as refs/heads/main.", "repository %s has never had %s", repo.FullName, e.query.Ref)
			case err != nil:
				return err
			case ref.Head == "":
				e.add(StepLedger, true, "", "%s of %s was deleted, as seen at %s", ref.Ref, repo.FullName, moment(ref.SeenAt))
			default:
				e.add(StepLedger, true, "", "%s of %s has been at %s since %s", ref.Ref, repo.FullName, ref.Head, moment(ref.SeenAt))
				if len(e.found.Decisions) == 0 {
					e.found.Summary = fmt.Sprintf("No change of %s has been reported since the repository was first read.", ref.Ref)
				}
			}
			continue
		}
		if e.query.Commit == "" {
			continue
		}
		moves, err := r.MovesTo(ctx, repo.ID, e.query.Commit, maxExplained)
		if err != nil {
			return err
		}
		for n := range moves {
			e.add(StepLedger, true, "", "%s of %s moved to it at %s", moves[n].Ref, repo.FullName, moment(moves[n].At))
		}
		if len(moves) == 0 && len(e.found.Decisions) == 0 {
			e.add(StepLedger, false, "A commit that was pushed together with later ones is part of their change. Explain the newest commit of the push, or the ref, instead.",
				"no ref of %s moved to it", repo.FullName)
		}
	}
	return nil
}

// filters says what each trigger decided: on a commit, what started an execution, and not
// what later deliveries of the same change came to.
func (e *explainer) filters(context.Context, store.Reader) error {
	var decisions []ledger.Decision
	if e.query.Commit != "" {
		decisions = slices.DeleteFunc(slices.Clone(e.found.Decisions), func(d ledger.Decision) bool { return d.Outcome != ledger.Started })
	}
	decisions = append(decisions, e.found.Decisions...)
	seen := make(map[string]bool)
	for i := range decisions {
		d := &decisions[i]
		key := d.TriggerID + " " + d.Ref
		if seen[key] {
			continue
		}
		seen[key] = true
		next := ""
		switch d.Outcome {
		case ledger.Pending:
			next = "Repeat the command in a moment."
		case ledger.Failed:
			next = "Fix the cause, then replay the delivery or start an execution."
		case ledger.NotStarted, ledger.Started, ledger.Duplicate:
		}
		e.add(StepFilter, d.Outcome == ledger.Started || d.Outcome == ledger.Duplicate, next, "%s: %s (%s)", label(d, e.triggers), reasons(d), d.Reason)
	}
	for i := range e.triggers {
		t := &e.triggers[i]
		if t.Pause != nil {
			e.add(StepFilter, false, "Resume it with: headrace trigger resume "+short(t),
				"%s has been paused by %s since %s: %s", short(t), t.Pause.Principal, moment(t.Pause.At), t.Pause.Reason)
		}
	}
	return nil
}

// reasons is the message of a decision, and for one that starts nothing also what each further entry failed on.
func reasons(d *ledger.Decision) string {
	text := d.Message
	for _, f := range d.Filters {
		if line := f.Entry + ": " + f.Message; d.Outcome == ledger.NotStarted && !f.Matched && !strings.Contains(text, line) {
			text += "; " + line
		}
	}
	return text
}

// label returns the name of the trigger of a decision as the command line reads it.
func label(d *ledger.Decision, triggers []ledger.Trigger) string {
	for i := range triggers {
		if triggers[i].ID == d.TriggerID {
			return short(&triggers[i])
		}
	}
	return d.Trigger
}

// executions says what became of executions that were started.
func (e *explainer) executions(ctx context.Context, r store.Reader) error {
	seen := make(map[string]bool)
	for i := range e.found.Decisions {
		d := &e.found.Decisions[i]
		if d.Execution == "" || seen[d.Execution] {
			continue
		}
		seen[d.Execution] = true
		started, err := r.ExecutionHead(ctx, d.Execution)
		if errors.Is(err, store.ErrNotFound) {
			e.add(StepExecution, true, "", "execution %d was started, and was deleted with its pipeline", d.Number)
			continue
		}
		if err != nil {
			return err
		}
		message := fmt.Sprintf("execution %d (%s) is %s", started.Number, started.ID, started.Status)
		if started.Summary != "" {
			message += ": " + started.Summary
		}
		e.add(StepExecution, true, "For details: headrace explain "+started.ID, "%s", message)
	}
	return nil
}

// summarize says the answer in one sentence.
func (e *explainer) summarize() {
	var started, pending, other *ledger.Decision
	for i := range e.found.Decisions {
		d := &e.found.Decisions[i]
		switch {
		case d.Execution != "" && started == nil:
			started = d
		case d.Outcome == ledger.Pending && pending == nil:
			pending = d
		case other == nil:
			other = d
		}
	}
	switch {
	case started != nil:
		e.found.Summary = fmt.Sprintf("%s started execution %d of pipeline %s.", upper(e.subject()), started.Number, started.Pipeline)
	case pending != nil:
		e.found.Summary = fmt.Sprintf("%s is not decided yet: %s.", upper(e.subject()), pending.Message)
	case other != nil:
		e.found.Summary = fmt.Sprintf("%s started nothing: %s.", upper(e.subject()), other.Message)
	case e.delivery != nil:
		e.found.Summary = fmt.Sprintf("%s was verified, and no trigger of pipeline %s has decided on it.", upper(e.subject()), e.query.Pipeline)
	default:
		e.found.Summary = fmt.Sprintf("Nothing is known of %s: no delivery and no comparison with the remote reported it.", e.subject())
	}
}

func upper(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// short returns the name of a trigger as the command line reads it.
func short(t *ledger.Trigger) string {
	if t.Inline() {
		return t.Owner + "/" + t.Name
	}
	return t.Name
}
