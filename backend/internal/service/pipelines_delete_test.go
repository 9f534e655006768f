package service_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// TestDeleteBesideItsParts deletes a composed pipeline while its stages and actions are
// deleted, as Terraform does for a configuration without references. Nothing but that a
// stage still has actions may be refused: what is gone is what the caller wanted.
func TestDeleteBesideItsParts(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) []*server{"sqlite": oneServer, "postgres": twoServers} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servers := start(t)
			for range 30 {
				deleteAtOnce(t, servers)
			}
		})
	}
}

func deleteAtOnce(t *testing.T, servers []*server) {
	t.Helper()
	ctx, first, last := t.Context(), servers[0], servers[len(servers)-1]
	view, err := first.Create(ctx, admin, service.PipelineInput{Account: "default", Name: "web", Publish: service.PublishExplicit})
	require.NoError(t, err)
	var deletes []func() error
	for i, stage := range []string{"Source", "Build", "Deploy"} {
		_, err = first.parts.CreateStage(ctx, admin, service.StagePart{
			Account: "default", Pipeline: "web", Order: i + 1, Stage: pipeline.Stage{Name: stage},
		}, "", false)
		require.NoError(t, err)
		deletes = append(deletes, func() error {
			_, err := last.parts.DeleteStage(ctx, admin, "default", "web", stage, "")
			return err
		})
		for _, action := range []string{"One", "Two"} {
			part, err := first.parts.CreateAction(ctx, admin, service.ActionPart{
				Account: "default", Pipeline: "web", Stage: stage, Action: pipeline.Action{
					Name: action, Category: noop.ID.Category, Owner: noop.ID.Owner, Provider: noop.ID.Provider, Version: noop.ID.Version,
				},
			}, "", false)
			require.NoError(t, err)
			deletes = append(deletes, func() error {
				_, err := first.parts.DeleteAction(ctx, admin, "default", "web", stage, action, part.Etag())
				return err
			})
		}
	}
	var group errgroup.Group
	group.Go(func() error {
		_, err := last.Delete(ctx, admin, "default", "web", view.Etag(), false)
		return err
	})
	for _, remove := range deletes {
		group.Go(func() error {
			err := remove()
			var refused *service.Error
			if errors.As(err, &refused) && (refused.Reason == pipeline.ReasonNotFound || refused.Reason == pipeline.ReasonStageNotEmpty) {
				return nil
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	_, err = first.Get(ctx, admin, "default", "web")
	requireRefused(t, err, service.KindNotFound, pipeline.ReasonNotFound)
}
