package service_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// maker creates one object, always an equal one, and does to it what others may do.
type maker struct {
	create  func(ctx context.Context, who auth.Identity, requestID string) error
	confirm func(ctx context.Context, who auth.Identity, requestID string) error
	// other creates one of the same name that is not equal.
	other  func(ctx context.Context, who auth.Identity, requestID string) error
	change func(ctx context.Context) error
	remove func(ctx context.Context) error
}

// colleague is another admin.
func colleague() auth.Identity {
	other := admin
	other.Principal = "colleague"
	return other
}

// makers returns a maker of each kind of object, in whose account the rest is there.
func makers(t *testing.T, s *server) map[string]maker {
	t.Helper()
	ctx := t.Context()
	_, err := s.Create(ctx, admin, service.PipelineInput{Account: "default", Name: "parts", Publish: service.PublishExplicit})
	require.NoError(t, err)
	_, err = s.parts.CreateStage(ctx, admin, service.StagePart{Account: "default", Pipeline: "parts", Order: 1, Stage: pipeline.Stage{Name: "First"}}, "", false)
	require.NoError(t, err)
	rules := service.NewApprovalRules(service.ApprovalRulesConfig{Store: s.store, Reports: s.reports, Clock: func() time.Time { return s.clock() }})
	confirm := func(method, resource string) func(context.Context, auth.Identity, string) error {
		return func(ctx context.Context, who auth.Identity, id string) error {
			return s.ConfirmCreate(ctx, who, service.Created{Account: "default", Method: method, Resource: resource, RequestID: id})
		}
	}
	const name = "accounts/default/pipelines/"
	return map[string]maker{
		"inline pipeline": pipelineMaker(s, confirm("CreatePipeline", name+"inline"), service.PipelineInput{
			Account: "default", Name: "inline", Definition: fetchThen("Deploy"),
		}),
		"composed pipeline": pipelineMaker(s, confirm("CreatePipeline", name+"composed"), service.PipelineInput{
			Account: "default", Name: "composed", Publish: service.PublishExplicit,
		}),
		"stage":  stageMaker(s, confirm("CreateStage", name+"parts/stages/Build")),
		"action": actionMaker(s, confirm("CreateAction", name+"parts/stages/First/actions/Wait")),
		"rule":   ruleMaker(rules, confirm("CreateApprovalRule", "accounts/default/approvalRules/release")),
	}
}

func pipelineMaker(s *server, confirm func(context.Context, auth.Identity, string) error, in service.PipelineInput) maker {
	create := func(description string) func(context.Context, auth.Identity, string) error {
		return func(ctx context.Context, who auth.Identity, id string) error {
			asked := in
			asked.RequestID, asked.Definition.Description = id, description
			_, err := s.Create(ctx, who, asked)
			return err
		}
	}
	return maker{
		create: create(""), other: create("other"), confirm: confirm,
		change: func(ctx context.Context) error {
			changed := in
			changed.Definition.Description = "changed"
			if _, err := s.Update(ctx, colleague(), changed); err != nil {
				return err
			}
			_, err := s.Update(ctx, colleague(), in)
			return err
		},
		remove: func(ctx context.Context) error {
			_, err := s.Delete(ctx, colleague(), in.Account, in.Name, "", false)
			return err
		},
	}
}

func stageMaker(s *server, confirm func(context.Context, auth.Identity, string) error) maker {
	part := func(order int) service.StagePart {
		return service.StagePart{Account: "default", Pipeline: "parts", Order: order, Stage: pipeline.Stage{Name: "Build"}}
	}
	create := func(order int) func(context.Context, auth.Identity, string) error {
		return func(ctx context.Context, who auth.Identity, id string) error {
			_, err := s.parts.CreateStage(ctx, who, part(order), id, false)
			return err
		}
	}
	return maker{
		create: create(2), other: create(3), confirm: confirm,
		change: func(ctx context.Context) error {
			_, err := s.parts.UpdateStage(ctx, colleague(), part(4), "", false, nil)
			if err == nil {
				_, err = s.parts.UpdateStage(ctx, colleague(), part(2), "", false, nil)
			}
			return err
		},
		remove: func(ctx context.Context) error {
			_, err := s.parts.DeleteStage(ctx, colleague(), "default", "parts", "Build", "")
			return err
		},
	}
}

func actionMaker(s *server, confirm func(context.Context, auth.Identity, string) error) maker {
	part := func(order int) service.ActionPart {
		return service.ActionPart{Account: "default", Pipeline: "parts", Stage: "First", Action: pipeline.Action{
			Name: "Wait", RunOrder: order, Category: noop.ID.Category, Owner: noop.ID.Owner, Provider: noop.ID.Provider, Version: noop.ID.Version,
		}}
	}
	create := func(order int) func(context.Context, auth.Identity, string) error {
		return func(ctx context.Context, who auth.Identity, id string) error {
			_, err := s.parts.CreateAction(ctx, who, part(order), id, false)
			return err
		}
	}
	return maker{
		create: create(1), other: create(2), confirm: confirm,
		change: func(ctx context.Context) error {
			_, err := s.parts.UpdateAction(ctx, colleague(), part(3), "", false, nil)
			if err == nil {
				_, err = s.parts.UpdateAction(ctx, colleague(), part(1), "", false, nil)
			}
			return err
		},
		remove: func(ctx context.Context) error {
			_, err := s.parts.DeleteAction(ctx, colleague(), "default", "parts", "First", "Wait", "")
			return err
		},
	}
}

func ruleMaker(s *service.ApprovalRules, confirm func(context.Context, auth.Identity, string) error) maker {
	rule := func(count int) approval.Rule {
		return approval.Rule{
			Account: "default", Name: "release", Pipelines: []string{"web"}, Requirement: execution.Requirement{Rule: "release", MinimumCount: count},
		}
	}
	create := func(count int) func(context.Context, auth.Identity, string) error {
		return func(ctx context.Context, who auth.Identity, id string) error {
			_, err := s.Create(ctx, who, rule(count), id, false)
			return err
		}
	}
	return maker{
		create: create(1), other: create(2), confirm: confirm,
		change: func(ctx context.Context) error {
			_, err := s.Update(ctx, colleague(), rule(2), "", false, nil)
			if err == nil {
				_, err = s.Update(ctx, colleague(), rule(1), "", false, nil)
			}
			return err
		},
		remove: func(ctx context.Context) error { return s.Delete(ctx, colleague(), "default", "release", "") },
	}
}

// TestLostCreate repeats a create whose answer was lost, as a client does that starts
// anew: with an id of another session.
func TestLostCreate(t *testing.T) {
	t.Parallel()
	type create = func(context.Context, auth.Identity, string) error
	tests := map[string]struct {
		// between happens after the create of session one and before that of session two.
		between func(ctx context.Context, m maker, later func(time.Duration)) error
		// first and second are the ids of the creates, if they are not of two sessions.
		first, second string
		who           auth.Identity
		with          func(m maker) create
		adopted       bool
	}{
		"adopted":         {adopted: true},
		"within the hour": {adopted: true, between: func(_ context.Context, _ maker, later func(time.Duration)) error { later(time.Hour); return nil }},
		"after the hour": {between: func(_ context.Context, _ maker, later func(time.Duration)) error {
			later(time.Hour + time.Second)
			return nil
		}},
		"confirmed": {between: func(ctx context.Context, m maker, _ func(time.Duration)) error { return m.confirm(ctx, admin, "one/1") }},
		"confirmed twice": {between: func(ctx context.Context, m maker, _ func(time.Duration)) error {
			if err := m.confirm(ctx, admin, "one/1"); err != nil {
				return err
			}
			return m.confirm(ctx, admin, "one/1")
		}},
		"confirmed by somebody else": {adopted: true, between: func(ctx context.Context, m maker, _ func(time.Duration)) error {
			return m.confirm(ctx, colleague(), "one/1")
		}},
		"another request is confirmed": {adopted: true, between: func(ctx context.Context, m maker, _ func(time.Duration)) error {
			return m.confirm(ctx, admin, "one/2")
		}},
		"changed and changed back":   {between: func(ctx context.Context, m maker, _ func(time.Duration)) error { return m.change(ctx) }},
		"of somebody else":           {who: colleague()},
		"in the same session":        {second: "one/2"},
		"not to be confirmed":        {first: "one"},
		"not to be confirmed itself": {second: "two"},
		"without an id":              {second: ""},
		"not equal":                  {with: func(m maker) create { return m.other }},
		"deleted and created again by somebody who confirms": {between: func(ctx context.Context, m maker, _ func(time.Duration)) error {
			if err := m.remove(ctx); err != nil {
				return err
			}
			return m.create(ctx, colleague(), "three/1")
		}},
		"deleted and created again by somebody who does not": {between: func(ctx context.Context, m maker, _ func(time.Duration)) error {
			if err := m.remove(ctx); err != nil {
				return err
			}
			return m.create(ctx, admin, "")
		}},
	}
	for _, kind := range []string{"inline pipeline", "composed pipeline", "stage", "action", "rule"} {
		for name, test := range tests {
			t.Run(kind+" "+name, func(t *testing.T) {
				t.Parallel()
				s := oneServer(t)[0]
				now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
				s.clock = func() time.Time { return now }
				m := makers(t, s)[kind]
				ids := []string{"one/1", "two/1"}
				if test.first != "" {
					ids[0] = test.first
				}
				if test.second != "" || name == "without an id" {
					ids[1] = test.second
				}
				require.NoError(t, m.create(t.Context(), admin, ids[0]))
				if test.between != nil {
					require.NoError(t, test.between(t.Context(), m, func(d time.Duration) { now = now.Add(d) }))
				}
				second, who := m.create, admin
				if test.with != nil {
					second = test.with(m)
				}
				if test.who.Principal != "" {
					who = test.who
				}
				err := second(t.Context(), who, ids[1])
				if test.adopted {
					require.NoError(t, err)
					// It belongs to the second create now.
					requireRefused(t, m.confirm(t.Context(), admin, ids[0]), service.KindAlreadyExists, pipeline.ReasonAlreadyExists)
					require.NoError(t, m.confirm(t.Context(), admin, ids[1]))
					requireRefused(t, m.create(t.Context(), admin, "three/1"), service.KindAlreadyExists, pipeline.ReasonAlreadyExists)
					return
				}
				requireRefused(t, err, service.KindAlreadyExists, pipeline.ReasonAlreadyExists)
			})
		}
	}
}

// TestLostCreateOfWhatIsUsed does not answer a create with what somebody uses already.
func TestLostCreateOfWhatIsUsed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		kind string
		use  func(ctx context.Context, s *server) error
	}{
		"started": {kind: "inline pipeline", use: func(ctx context.Context, s *server) error {
			_, err := s.executions.Start(ctx, admin, "default", "inline", service.StartInput{})
			return err
		}},
		"frozen": {kind: "inline pipeline", use: func(ctx context.Context, s *server) error {
			_, err := s.stages.SetTransition(ctx, admin, "default", "inline", service.TransitionInput{Stage: "Deploy", Reason: "Freeze"})
			return err
		}},
		"a stage was added": {kind: "composed pipeline", use: func(ctx context.Context, s *server) error {
			_, err := s.parts.CreateStage(ctx, admin, service.StagePart{
				Account: "default", Pipeline: "composed", Order: 1, Stage: pipeline.Stage{Name: "More"},
			}, "", false)
			return err
		}},
		"an action was added": {kind: "stage", use: func(ctx context.Context, s *server) error {
			_, err := s.parts.CreateAction(ctx, admin, service.ActionPart{Account: "default", Pipeline: "parts", Stage: "Build", Action: pipeline.Action{
				Name: "More", Category: noop.ID.Category, Owner: noop.ID.Owner, Provider: noop.ID.Provider, Version: noop.ID.Version,
			}}, "", false)
			return err
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := oneServer(t)[0]
			m := makers(t, s)[test.kind]
			require.NoError(t, m.create(t.Context(), admin, "one/1"))
			require.NoError(t, test.use(t.Context(), s))
			requireRefused(t, m.create(t.Context(), admin, "two/1"), service.KindAlreadyExists, pipeline.ReasonAlreadyExists)
		})
	}
}

// TestLostCreateIsAdoptedOnce repeats a create in many sessions at once, at two servers.
// Of those that are answered, one is confirmed.
func TestLostCreateIsAdoptedOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"inline pipeline", "composed pipeline", "stage", "action", "rule"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			servers := twoServers(t)
			first := makers(t, servers[0])[kind]
			require.NoError(t, first.create(t.Context(), admin, "lost/1"))
			confirmed := make([]bool, 8)
			var group errgroup.Group
			for i := range confirmed {
				group.Go(func() error {
					id := fmt.Sprintf("session%d/1", i)
					err := first.create(t.Context(), admin, id)
					if err == nil {
						err = first.confirm(t.Context(), admin, id)
					}
					confirmed[i] = err == nil
					var refused *service.Error
					if errors.As(err, &refused) && refused.Reason == pipeline.ReasonAlreadyExists {
						return nil
					}
					return err
				})
			}
			require.NoError(t, group.Wait())
			require.Len(t, slices.DeleteFunc(confirmed, func(ok bool) bool { return !ok }), 1)
		})
	}
}
