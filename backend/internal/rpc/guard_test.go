package rpc_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// guardedBackend has rules for the entry of the stage Deploy and for the action
// Sign of the pipeline web.
func guardedBackend(t *testing.T) (b *backendtest.Backend, adm, dep *client.Client) {
	t.Helper()
	b = backendtest.Start(t)
	adm, dep = b.Admin(), b.Client(b.Token("dan", nil, backendtest.Binding("default", deployer)))
	for name, selector := range map[string]*v1.ApprovalSelector{
		"prod": {Pipelines: []string{"web"}, Stages: []string{"Deploy"}},
		"sign": {Pipelines: []string{"web"}, Actions: []string{"Sign"}},
	} {
		_, err := adm.ApprovalRules.CreateApprovalRule(t.Context(), &v1.CreateApprovalRuleRequest{ApprovalRule: &v1.ApprovalRule{
			Name: client.ApprovalRuleName("default", name), MinimumCount: 1, Selector: selector,
		}})
		require.NoError(t, err)
	}
	return b, adm, dep
}

func TestRenamingIsNoWayAroundApprovalRules(t *testing.T) {
	t.Parallel()
	_, adm, dep := guardedBackend(t)
	def := func(stageName string, actions ...*v1.Action) *v1.Pipeline {
		p := inline("default", "web")
		p.Definition.Stages = append(p.Definition.Stages, stage(stageName, append(actions, commands("Ship", "true"))...))
		return p
	}
	update := func(c *client.Client, p *v1.Pipeline, dry bool) error {
		_, err := c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: p, ValidateOnly: dry})
		return err
	}
	remove := func(c *client.Client) error {
		_, err := c.Pipelines.DeletePipeline(t.Context(), &v1.DeletePipelineRequest{Name: client.PipelineName("default", "web")})
		return err
	}
	create(t, dep, def("Deploy", manual("Sign")))
	for _, dry := range []bool{true, false} {
		refused(t, update(dep, def("Live", manual("Sign")), dry), codes.PermissionDenied, pipeline.ReasonGuardRequiresAdmin,
			`approval rule "prod" guards stage Deploy of pipeline web`, "removes or renames it", "1 more", "role admin")
		refused(t, update(dep, def("Deploy", manual("Wave")), dry), codes.PermissionDenied, pipeline.ReasonGuardRequiresAdmin,
			`approval rule "sign" guards action Sign of stage Deploy of pipeline web`)
		refused(t, update(dep, def("Deploy"), dry), codes.PermissionDenied, pipeline.ReasonGuardRequiresAdmin)
	}
	refused(t, remove(dep), codes.PermissionDenied, pipeline.ReasonGuardRequiresAdmin, `"prod"`)
	require.EqualValues(t, 1, get(t, adm, "web").GetVersion(), "what is refused leaves nothing")

	require.NoError(t, update(dep, def("Deploy", manual("Sign"), manual("More")), false), "more is nobody's loss")
	require.NoError(t, update(adm, def("Live"), false))
	require.NoError(t, update(dep, def("Other"), false), "what is guarded no more is free")
	require.NoError(t, remove(dep))
	create(t, dep, def("Deploy", manual("Sign")))
	require.NoError(t, remove(adm))
}

func TestPartsOfComposedPipelinesStayGuarded(t *testing.T) {
	t.Parallel()
	for _, policy := range []v1.PublishPolicy{v1.PublishPolicy_PUBLISH_POLICY_AUTO, v1.PublishPolicy_PUBLISH_POLICY_EXPLICIT} {
		_, adm, dep := guardedBackend(t)
		parent := client.PipelineName("default", "web")
		create(t, dep, composed("web", policy))
		for i, s := range []*v1.Stage{
			stage("Source", git("Fetch")), stage("Build", commands("Compile", "true")), stage("Deploy", manual("Sign"), commands("Ship", "true")),
		} {
			name := parent + "/stages/" + s.GetName()
			_, err := dep.Pipelines.CreateStage(t.Context(), &v1.CreateStageRequest{Stage: &v1.PipelineStage{Name: name, Order: int32(i + 1)}})
			require.NoError(t, err)
			for _, a := range s.GetActions() {
				_, err := dep.Pipelines.CreateAction(t.Context(), &v1.CreateActionRequest{Action: &v1.PipelineAction{Name: name + "/actions/" + a.GetName(), Action: a}})
				require.NoError(t, err)
			}
		}
		publish := func(c *client.Client) error {
			_, err := c.Pipelines.PublishPipelineVersion(t.Context(), &v1.PublishPipelineVersionRequest{Name: parent})
			return err
		}
		require.NoError(t, publish(dep))
		before := get(t, adm, "web").GetVersion()
		deleteSign := func(c *client.Client) error {
			_, err := c.Pipelines.DeleteAction(t.Context(), &v1.DeleteActionRequest{Name: parent + "/stages/Deploy/actions/Sign"})
			return err
		}
		if policy == v1.PublishPolicy_PUBLISH_POLICY_AUTO {
			refused(t, deleteSign(dep), codes.PermissionDenied, pipeline.ReasonGuardRequiresAdmin, `"sign"`, "action Sign of stage Deploy")
			require.NoError(t, deleteSign(adm))
		} else {
			require.NoError(t, deleteSign(dep), "a draft is free")
			refused(t, publish(dep), codes.PermissionDenied, pipeline.ReasonGuardRequiresAdmin, `"sign"`, "action Sign of stage Deploy")
			require.Equal(t, before, get(t, adm, "web").GetVersion())
			require.NoError(t, publish(adm))
		}
		require.Equal(t, before+1, get(t, adm, "web").GetVersion())
		require.NoError(t, publish(dep))
	}
}

// TestRollbacksSkipNoGuardsByADeployer: on_rollback in a guarded stage takes the role
// admin, in whatever way its version comes to be.
func TestRollbacksSkipNoGuardsByADeployer(t *testing.T) {
	t.Parallel()
	_, adm, dep := guardedBackend(t)
	def := func(approvals, conditions bool) *v1.Pipeline {
		p := inline("default", "web")
		s := stage("Deploy", commands("Ship", "true"))
		s.OnFailure = &v1.OnFailure{Result: "ROLLBACK"}
		s.OnRollback = &v1.OnRollback{SkipApprovals: approvals, SkipConditions: conditions}
		p.Definition.Stages = append(p.Definition.Stages, s)
		return p
	}
	update := func(c *client.Client, p *v1.Pipeline, dry bool) error {
		_, err := c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: p, ValidateOnly: dry})
		return err
	}
	_, err := dep.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: def(true, false)})
	refused(t, err, codes.PermissionDenied, pipeline.ReasonGuardRequiresAdmin, `approval rule "prod" guards stage Deploy of pipeline web`,
		"on_rollback.skip_approvals", "skip its approvals", "role admin")
	create(t, dep, def(false, false))
	for _, dry := range []bool{true, false} {
		refused(t, update(dep, def(false, true), dry), codes.PermissionDenied, pipeline.ReasonGuardRequiresAdmin,
			"on_rollback.skip_conditions", "skip its conditions")
		refused(t, update(dep, def(true, true), dry), codes.PermissionDenied, pipeline.ReasonGuardRequiresAdmin, "and 1 more")
	}
	require.EqualValues(t, 1, get(t, adm, "web").GetVersion(), "what is refused leaves nothing")
	require.NoError(t, update(adm, def(true, false), false))
	edited := def(true, false)
	edited.Definition.Description = "the same gates"
	require.NoError(t, update(dep, edited, false), "a deployer keeps what an admin allowed")
	refused(t, update(dep, def(true, true), false), codes.PermissionDenied, pipeline.ReasonGuardRequiresAdmin, "skip_conditions")
	require.NoError(t, update(dep, def(false, false), false), "anyone may skip less")
	refused(t, update(dep, def(true, false), false), codes.PermissionDenied, pipeline.ReasonGuardRequiresAdmin, "skip_approvals")
}

// TestRollbacksOfPartsSkipNoGuardsByADeployer is the same for the stages of composed
// pipelines.
func TestRollbacksOfPartsSkipNoGuardsByADeployer(t *testing.T) {
	t.Parallel()
	for _, policy := range []v1.PublishPolicy{v1.PublishPolicy_PUBLISH_POLICY_AUTO, v1.PublishPolicy_PUBLISH_POLICY_EXPLICIT} {
		_, adm, dep := guardedBackend(t)
		parent := client.PipelineName("default", "web")
		create(t, dep, composed("web", policy))
		var deploy *v1.PipelineStage
		for i, s := range []*v1.Stage{stage("Source", git("Fetch")), stage("Deploy", commands("Ship", "true"))} {
			name := parent + "/stages/" + s.GetName()
			deploy = &v1.PipelineStage{Name: name, Order: int32(i + 1)}
			_, err := dep.Pipelines.CreateStage(t.Context(), &v1.CreateStageRequest{Stage: deploy})
			require.NoError(t, err)
			for _, a := range s.GetActions() {
				_, err := dep.Pipelines.CreateAction(t.Context(), &v1.CreateActionRequest{Action: &v1.PipelineAction{Name: name + "/actions/" + a.GetName(), Action: a}})
				require.NoError(t, err)
			}
		}
		publish := func(c *client.Client) error {
			_, err := c.Pipelines.PublishPipelineVersion(t.Context(), &v1.PublishPipelineVersionRequest{Name: parent})
			return err
		}
		require.NoError(t, publish(dep))
		before := get(t, adm, "web").GetVersion()
		deploy.OnFailure, deploy.OnRollback = &v1.OnFailure{Result: "ROLLBACK"}, &v1.OnRollback{SkipApprovals: true}
		skip := func(c *client.Client) error {
			_, err := c.Pipelines.UpdateStage(t.Context(), &v1.UpdateStageRequest{Stage: deploy})
			return err
		}
		if policy == v1.PublishPolicy_PUBLISH_POLICY_AUTO {
			refused(t, skip(dep), codes.PermissionDenied, pipeline.ReasonGuardRequiresAdmin, `"prod"`, "stage Deploy", "on_rollback.skip_approvals")
			require.NoError(t, skip(adm))
		} else {
			require.NoError(t, skip(dep), "a draft is free")
			refused(t, publish(dep), codes.PermissionDenied, pipeline.ReasonGuardRequiresAdmin, `"prod"`, "stage Deploy", "on_rollback.skip_approvals")
			require.Equal(t, before, get(t, adm, "web").GetVersion())
			require.NoError(t, publish(adm))
		}
		require.Equal(t, before+1, get(t, adm, "web").GetVersion())
	}
}
