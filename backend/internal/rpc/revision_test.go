package rpc_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

// ofRevision returns an admin's connection that says the given of its revision, which
// the clients of this repository do not do. Nothing is said of an empty one.
func ofRevision(t *testing.T, b *backendtest.Backend, revision string) *grpc.ClientConn {
	t.Helper()
	say := func(ctx context.Context) context.Context {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+b.AdminToken)
		if revision != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, contract.Header, revision)
		}
		return ctx
	}
	conn, err := grpc.NewClient(b.Endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return invoke(say(ctx), method, req, reply, cc, opts...)
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return open(say(ctx), desc, cc, method, opts...)
		}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// later adds a field that no contract has yet to a message.
func later(m proto.Message) {
	m.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 999, protowire.BytesType), "later"))
}

func TestUnknownFieldsAreRefused(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	create(t, b.Admin(), inline("default", "web"))
	conn := ofRevision(t, b, "9")
	pipelines := v1.NewPipelineServiceClient(conn)

	changed := inline("default", "web")
	changed.Definition.Description = "changed"
	later(changed.Definition.Stages[1].Actions[0])
	_, err := pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: changed})
	refused(t, err, codes.InvalidArgument, pipeline.ReasonUnknownField,
		"field 999 of Action (pipeline.definition.stages[1].actions[0])", "headraced test has contract revision", "the client has 9", "upgrade headraced")
	require.Empty(t, get(t, b.Admin(), "web").GetDefinition().GetDescription())

	read := &v1.GetPipelineRequest{Name: client.PipelineName("default", "web")}
	later(read)
	_, err = pipelines.GetPipeline(t.Context(), read)
	refused(t, err, codes.InvalidArgument, pipeline.ReasonUnknownField, "field 999 of GetPipelineRequest,")

	watch := &v1.WatchExecutionRequest{Name: client.ExecutionName("default", "web", "0193b0a0-0000-7000-8000-000000000000")}
	later(watch)
	stream, err := v1.NewExecutionServiceClient(conn).WatchExecution(t.Context(), watch)
	require.NoError(t, err)
	_, err = stream.Recv()
	refused(t, err, codes.InvalidArgument, pipeline.ReasonUnknownField, "field 999 of WatchExecutionRequest,")
}

// TestUnknownEnumValuesAreRefused sends a value of a later contract in every enum of
// every request.
func TestUnknownEnumValuesAreRefused(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	create(t, b.Admin(), inline("default", "ghost"))
	conn := ofRevision(t, b, "9")
	sample := samplesOf("default", "ghost", "0193b0a0-0000-7000-8000-000000000000")
	sent := 0
	for _, m := range contract.Methods() {
		for _, path := range enumsIn(m.Input(), nil) {
			for _, request := range sample.requests(t, m) {
				setEnum(request.ProtoReflect(), path)
				err := conn.Invoke(t.Context(), m.Path(), request, dynamicpb.NewMessage(m.Output()))
				require.Error(t, err, "%s %s", m.Name(), names(path))
				require.NotContains(t, []codes.Code{codes.OK, codes.NotFound, codes.Internal}, status.Code(err), "%s %s: %v", m.Name(), names(path), err)
				sent++
			}
		}
	}
	require.Greater(t, sent, 5)
}

// TestUpdatesKeepWhatAnOlderClientDoesNotKnow holds that every method that replaces an
// object refuses to clear what is newer than its client, and writes nothing.
func TestUpdatesKeepWhatAnOlderClientDoesNotKnow(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	adm := b.Admin()
	parts := client.PipelineName("default", "parts")
	create(t, adm, composed("parts", v1.PublishPolicy_PUBLISH_POLICY_AUTO))
	withNewer := inline("default", "web")
	withNewer.Definition.OnUpdate = v1.OnUpdate_ON_UPDATE_CANCEL
	withNewer.Definition.Stages[1].BeforeEntry = &v1.Condition{Result: "FAIL", Rules: []*v1.Rule{{
		Name: "Check", Provider: "Commands", Version: "1", Commands: []string{"true"}, InputArtifacts: []string{"source"},
		EnvironmentVariables: []*v1.EnvironmentVariable{{Name: "GATE", Value: "1"}},
	}}}
	create(t, adm, withNewer)
	stagePart := &v1.PipelineStage{
		Name: parts + "/stages/Build", Order: 1, BeforeEntry: proto.CloneOf(withNewer.Definition.Stages[1].BeforeEntry),
	}
	_, err := adm.Pipelines.CreateStage(t.Context(), &v1.CreateStageRequest{Stage: stagePart})
	require.NoError(t, err)
	rule := &v1.ApprovalRule{
		Name: client.ApprovalRuleName("default", "prod"), MinimumCount: 1, Selector: &v1.ApprovalSelector{Pipelines: []string{"*"}},
		NewerExecution: v1.NewerExecution_NEWER_EXECUTION_SUPERSEDE,
	}
	_, err = adm.ApprovalRules.CreateApprovalRule(t.Context(), &v1.CreateApprovalRuleRequest{ApprovalRule: rule})
	require.NoError(t, err)

	pipelineWithout := proto.CloneOf(withNewer)
	pipelineWithout.Definition.OnUpdate, pipelineWithout.Definition.Stages[1].BeforeEntry.Rules[0].EnvironmentVariables = 0, nil
	stageWithout := proto.CloneOf(stagePart)
	stageWithout.BeforeEntry.Rules[0].EnvironmentVariables = nil
	ruleWithout := proto.CloneOf(rule)
	ruleWithout.NewerExecution = 0
	ruleWithout.MinimumCount = 2

	tests := map[string]struct {
		update func(c *grpc.ClientConn) error
		words  []string
	}{
		"UpdatePipeline": {
			func(c *grpc.ClientConn) error {
				_, err := v1.NewPipelineServiceClient(c).UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: pipelineWithout})
				return err
			},
			[]string{
				`this update would clear environment_variables of rule "Check" of before_entry of stage "Build", on_update of pipeline "web"`,
				`which this client (contract revision 1) does not know; upgrade the client to contract revision 2 or later`,
				`or use such a client to remove environment_variables first`,
			},
		},
		"UpdateStage": {
			func(c *grpc.ClientConn) error {
				_, err := v1.NewPipelineServiceClient(c).UpdateStage(t.Context(), &v1.UpdateStageRequest{Stage: stageWithout})
				return err
			},
			[]string{`environment_variables of rule "Check" of before_entry of stage "Build" of pipeline "parts"`},
		},
		"UpdateApprovalRule": {
			func(c *grpc.ClientConn) error {
				_, err := v1.NewApprovalRuleServiceClient(c).UpdateApprovalRule(t.Context(), &v1.UpdateApprovalRuleRequest{ApprovalRule: ruleWithout})
				return err
			},
			[]string{`would clear newer_execution of approval rule "prod"`},
		},
	}
	for _, revision := range []string{"", "1", "0", "-1", "new", "2x"} {
		for method, test := range tests {
			refused(t, test.update(ofRevision(t, b, revision)), codes.FailedPrecondition, pipeline.ReasonClientTooOld, test.words...)
			_ = method
		}
	}
	require.Equal(t, v1.OnUpdate_ON_UPDATE_CANCEL, get(t, adm, "web").GetDefinition().GetOnUpdate())
	found, err := adm.ApprovalRules.GetApprovalRule(t.Context(), &v1.GetApprovalRuleRequest{Name: rule.GetName()})
	require.NoError(t, err)
	require.EqualValues(t, 1, found.GetApprovalRule().GetMinimumCount(), "what is refused leaves nothing")

	// A client that sends a newer field knows the others of its revision.
	knows := proto.CloneOf(pipelineWithout)
	knows.Definition.OnUpdate = v1.OnUpdate_ON_UPDATE_CANCEL
	_, err = v1.NewPipelineServiceClient(ofRevision(t, b, "")).UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: knows})
	require.NoError(t, err)
	for method, test := range tests {
		require.NoError(t, test.update(ofRevision(t, b, "2")), method)
	}
}

// TestEveryUpdateIsChecked fails when a method that replaces an object is added, until
// it is decided how it keeps what an older client does not know.
func TestEveryUpdateIsChecked(t *testing.T) {
	t.Parallel()
	decided := map[string]string{
		"UpdatePipeline": "keeps", "UpdateStage": "keeps", "UpdateAction": "keeps", "UpdateApprovalRule": "keeps",
		"UpdateTrigger": "keeps", "UpdateWebhook": "keeps",
		"UpdateSecret": "keeps", "UpdateConnection": "keeps",
		"UpdateAccount":      "its mask names what it changes, and settings are as old as the method",
		"SetStageTransition": "it replaces a transition as a whole, and its request holds all that one has",
	}
	for _, name := range client.Methods() {
		if strings.HasPrefix(name, "Update") || strings.HasPrefix(name, "Set") || strings.HasPrefix(name, "Replace") {
			require.Contains(t, decided, name, "let its handler make the check that keeps returns, and add it here")
		}
	}
	// What the last two reasons rest on.
	contract.Range(func(d protoreflect.Descriptor, since uint32) {
		switch d.Parent().Name() {
		case "SetStageTransitionRequest", "StageTransition":
			require.EqualValues(t, 2, since, "%s: SetStageTransition has to keep it for older clients", d.FullName())
		case "AccountSettings":
			require.EqualValues(t, 3, since, "%s: UpdateAccount has to keep it for older clients whose mask is settings or *", d.FullName())
		}
	})
}

func TestServerTellsItsRevision(t *testing.T) {
	t.Parallel()
	info, err := backendtest.Start(t).Client("").Server.GetServerInfo(t.Context(), &v1.GetServerInfoRequest{})
	require.NoError(t, err)
	require.Equal(t, contract.Revision(), info.GetContractRevision())
}

// enumsIn returns the paths of all enum fields below a message.
func enumsIn(m protoreflect.MessageDescriptor, at []protoreflect.FieldDescriptor) (paths [][]protoreflect.FieldDescriptor) {
	for i := range m.Fields().Len() {
		field := m.Fields().Get(i)
		here := slices.Concat(at, []protoreflect.FieldDescriptor{field})
		switch {
		case field.Enum() != nil:
			paths = append(paths, here)
		case field.Message() != nil && !field.IsMap():
			paths = append(paths, enumsIn(field.Message(), here)...)
		}
	}
	return paths
}

// setEnum sets the enum at the end of a path to a value that it does not have.
func setEnum(m protoreflect.Message, path []protoreflect.FieldDescriptor) {
	for _, field := range path[:len(path)-1] {
		if field.IsList() {
			m = m.Mutable(field).List().AppendMutable().Message()
		} else {
			m = m.Mutable(field).Message()
		}
	}
	last := path[len(path)-1]
	value := protoreflect.ValueOfEnum(99)
	if last.IsList() {
		m.Mutable(last).List().Append(value)
		return
	}
	m.Set(last, value)
}

func names(path []protoreflect.FieldDescriptor) (all []string) {
	for _, field := range path {
		all = append(all, string(field.Name()))
	}
	return all
}
