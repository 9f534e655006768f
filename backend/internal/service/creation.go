package service

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// A create whose answer is lost leaves an object that its maker does not know of. A client
// that sends a request id of the form SESSION/UNIQUE confirms each create by a read. While
// a create is not confirmed, an equal one by the same principal in another session is
// answered with its object. Then the object belongs to that later create, and the earlier
// one can no longer be confirmed: of two clients that work at the same time, one fails.

// adoptable is how long after its creation an object is adopted.
const adoptable = time.Hour

// session returns the session of a request id of the form SESSION/UNIQUE.
func session(requestID string) (string, bool) {
	session, unique, ok := strings.Cut(requestID, "/")
	return session, ok && session != "" && unique != "" && !strings.Contains(unique, "/")
}

// confirms tells whether the caller confirms the create.
func (q request) confirms() bool {
	_, ok := session(q.id)
	return ok
}

// A mark describes an object as it is now, to tell it from a later or a changed one.
type mark func(context.Context, store.Reader) (string, error)

// remember keeps what a create made until it is confirmed. What an earlier create made
// under that name is gone.
func (q request) remember(ctx context.Context, tx store.Tx, of mark, at time.Time) error {
	if !q.confirms() {
		return tx.DeleteCreation(ctx, q.resource)
	}
	object, err := of(ctx, tx)
	if err != nil {
		return err
	}
	return tx.SaveCreation(ctx, store.Creation{
		Resource: q.resource, RequestID: q.id, Principal: q.principal, Object: object, CreatedAt: at,
	})
}

// adopt tells whether the create is answered with the object that exists, which equals
// the requested one. It is taken over then.
func (q request) adopt(ctx context.Context, tx store.Tx, of mark, at time.Time) (bool, error) {
	object, err := of(ctx, tx)
	if err != nil {
		return false, err
	}
	made, err := tx.Creation(ctx, q.resource)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	by, _ := session(made.RequestID)
	this, ok := session(q.id)
	if !ok || by == this || made.Confirmed || made.Principal != q.principal || made.Object != object ||
		at.Sub(made.CreatedAt) > adoptable {
		return false, nil
	}
	next := made
	next.RequestID = q.id
	if err := tx.UpdateCreation(ctx, made.RequestID, next); err != nil {
		return false, err
	}
	return true, q.save(ctx, tx, at)
}

// Created names a create that its maker confirms.
type Created struct {
	Account string
	// Method is the RPC, as in CreatePipeline.
	Method string
	// Resource is the resource name of the object.
	Resource  string
	RequestID string
}

// confirm notes that the answer of a create arrived. It has no effect if somebody else
// made the object or if the create was confirmed before, and fails if a later create was
// answered with the object.
func confirm(ctx context.Context, kept store.Store, who auth.Identity, c Created) error {
	if c.RequestID == "" {
		return nil
	}
	if err := authorize(who, auth.Read, c.Account); err != nil {
		return err
	}
	needed := false
	err := kept.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		_, needed, err = unconfirmed(ctx, r, who, c)
		return err
	})
	if err != nil || !needed {
		return err
	}
	return update(ctx, kept.Update, false, func(ctx context.Context, tx store.Tx) error {
		made, needed, err := unconfirmed(ctx, tx, who, c)
		if err != nil || !needed {
			return err
		}
		made.Confirmed = true
		return tx.UpdateCreation(ctx, made.RequestID, made)
	})
}

// unconfirmed returns the creation that is to be confirmed, if there is one.
func unconfirmed(ctx context.Context, r store.RequestReader, who auth.Identity, c Created) (made store.Creation, needed bool, err error) {
	made, err = r.Creation(ctx, c.Resource)
	if errors.Is(err, store.ErrNotFound) {
		return made, false, nil
	}
	if err != nil || made.Principal != who.Principal {
		return made, false, err
	}
	if made.RequestID == c.RequestID {
		return made, !made.Confirmed, nil
	}
	resource, err := r.Request(ctx, c.Account, c.Method, c.RequestID)
	if errors.Is(err, store.ErrNotFound) || err == nil && resource != c.Resource {
		return made, false, nil
	}
	if err != nil {
		return made, false, err
	}
	return made, false, refuse(KindAlreadyExists, pipeline.ReasonAlreadyExists,
		"a later create of %s with the same token took over this object before this create was confirmed", c.Resource)
}

// ConfirmCreate notes that the answer of a create of a stage or an action arrived.
func (s *Parts) ConfirmCreate(ctx context.Context, who auth.Identity, c Created) error {
	return confirm(ctx, s.config.Store, who, c)
}

// ConfirmCreate notes that the answer of a create of a pipeline arrived.
func (s *Pipelines) ConfirmCreate(ctx context.Context, who auth.Identity, c Created) error {
	return confirm(ctx, s.config.Store, who, c)
}

// ConfirmCreate notes that the answer of a create arrived.
func (s *ApprovalRules) ConfirmCreate(ctx context.Context, who auth.Identity, c Created) error {
	return confirm(ctx, s.config.Store, who, c)
}

// pipelineMark changes with a pipeline, its parts and versions, with each start of an
// execution and with each transition that is set, and is another one if a pipeline of the
// same name is created later.
func pipelineMark(p *definition.Pipeline) mark {
	return func(ctx context.Context, r store.Reader) (string, error) {
		part, err := partMark(p)(ctx, r)
		if err != nil {
			return "", err
		}
		scope, err := r.LiveScope(ctx, execution.ScopeKey{PipelineID: p.ID})
		return part + "/" + strconv.FormatInt(p.Revision, 10) + "/" + strconv.FormatInt(scope.Revision, 10), err
	}
}

// partMark changes with each start of an execution, and is another one if a pipeline of
// the same name is created later. A part has no revision of its own: its creation is
// forgotten if it is changed or deleted.
func partMark(p *definition.Pipeline) mark {
	return func(ctx context.Context, r store.Reader) (string, error) {
		newest, _, err := r.PipelineState(ctx, p.ID)
		return p.ID + "/" + strconv.FormatInt(newest, 10), err
	}
}

// ruleMark changes with a rule, and is another one if a rule of the same name is created
// later.
func ruleMark(rule *approval.Rule) mark {
	return func(context.Context, store.Reader) (string, error) { return rule.Etag(), nil }
}

// adoptPipeline tells whether the create of a pipeline is answered with the one that exists.
func adoptPipeline(ctx context.Context, tx store.Tx, create request, asked *definition.Pipeline, at time.Time) (bool, error) {
	if !create.confirms() {
		return false, nil
	}
	existing, err := tx.Pipeline(ctx, asked.Account, asked.Name)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil || existing.Composed != asked.Composed || existing.Etag() != asked.Etag() {
		return false, err
	}
	return create.adopt(ctx, tx, pipelineMark(&existing), at)
}

// adoptRule tells whether the create of a rule is answered with the one that exists.
func adoptRule(ctx context.Context, tx store.Tx, create request, asked approval.Rule, at time.Time) (bool, error) {
	if !create.confirms() {
		return false, nil
	}
	existing, err := tx.ApprovalRule(ctx, asked.Account, asked.Name)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil || !sameRule(existing, asked) {
		return false, err
	}
	return create.adopt(ctx, tx, ruleMark(&existing), at)
}

// sameRule tells whether a rule that exists is what a create asks for.
func sameRule(existing, asked approval.Rule) bool {
	asked.Revision, asked.CreatedAt, asked.UpdatedAt = existing.Revision, existing.CreatedAt, existing.UpdatedAt
	return reflect.DeepEqual(existing, asked)
}
