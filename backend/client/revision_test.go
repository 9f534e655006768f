package client_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

// aged is a server of a revision. A real one of each is tried in the provider's tests.
type aged struct {
	scripted
	info *headracev1.GetServerInfoResponse
	// asked counts the questions for info; got are the requests that came.
	asked int
	got   []proto.Message
}

func (a *aged) GetServerInfo(ctx context.Context, _ *headracev1.GetServerInfoRequest) (*headracev1.GetServerInfoResponse, error) {
	a.asked++
	return a.info, a.next(ctx)
}

func (a *aged) CreatePipeline(ctx context.Context, r *headracev1.CreatePipelineRequest) (*headracev1.CreatePipelineResponse, error) {
	a.got = append(a.got, r)
	return &headracev1.CreatePipelineResponse{}, a.next(ctx)
}

func (a *aged) GetPipeline(ctx context.Context, r *headracev1.GetPipelineRequest) (*headracev1.GetPipelineResponse, error) {
	a.got = append(a.got, r)
	return &headracev1.GetPipelineResponse{}, a.next(ctx)
}

func rollingBack() *headracev1.CreatePipelineRequest {
	return &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{Definition: &headracev1.PipelineDefinition{
		OnUpdate: headracev1.OnUpdate_ON_UPDATE_FINISH,
		Stages:   []*headracev1.Stage{{Name: "Deploy", OnRollback: &headracev1.OnRollback{SkipApprovals: true}}},
	}}}
}

func TestClientSendsNothingThatItsServerWouldLose(t *testing.T) {
	t.Parallel()
	server := &aged{info: &headracev1.GetServerInfoResponse{Version: "0.1.0", Capabilities: []string{"tokens"}}}
	c := dial(t, client.Config{Endpoint: serve(t, server), Token: "secret"})

	for range 3 {
		_, err := c.Pipelines.CreatePipeline(t.Context(), rollingBack())
		require.Equal(t, codes.FailedPrecondition, status.Code(err), "%v", err)
		require.Equal(t, pipeline.ReasonServerTooOld, client.Reason(err))
		require.Equal(t, []client.Violation{{
			Field: "pipeline.definition.stages[0].on_rollback",
			Description: `on_rollback of stage "Deploy" needs headraced with contract revision 3 or later; the one at ` + c.Endpoint +
				" has version 0.1.0 (contract revision 1): upgrade it, or remove on_rollback",
		}}, client.Violations(err))
		require.ErrorContains(t, err, "headraced at "+c.Endpoint+" is older than this program (version 0.1.0, contract revision 1)")
	}
	require.Empty(t, server.got)
	_, err := c.Pipelines.SetStageTransition(t.Context(), &headracev1.SetStageTransitionRequest{Pipeline: "p", Enabled: true})
	require.EqualError(t, err, "SetStageTransition needs headraced with contract revision 2 or later; the one at "+c.Endpoint+
		" has version 0.1.0 (contract revision 1): upgrade it")
	stream, err := c.Executions.TailLog(t.Context(), &headracev1.TailLogRequest{Name: "n", TailLines: 3})
	if err == nil {
		_, err = stream.Recv()
	}
	require.Equal(t, pipeline.ReasonServerTooOld, client.Reason(err), "%v", err)
	require.Equal(t, pipeline.ReasonServerTooOld, client.Reason(c.Supported(t.Context(), rollingBack())))
	require.Equal(t, 1, server.asked, "a client asks once")

	// What means nothing there is left out, since a server refuses what it does not know.
	plain := rollingBack()
	plain.Pipeline.Definition.Stages = nil
	_, err = c.Pipelines.CreatePipeline(t.Context(), plain)
	require.NoError(t, err)
	_, err = c.Pipelines.GetPipeline(t.Context(), &headracev1.GetPipelineRequest{Name: "n", ConfirmRequestId: "x"})
	require.NoError(t, err)
	require.Len(t, server.got, 2)
	require.Zero(t, server.got[0].(*headracev1.CreatePipelineRequest).GetPipeline().GetDefinition().GetOnUpdate())
	require.Empty(t, server.got[1].(*headracev1.GetPipelineRequest).GetConfirmRequestId())
	require.Equal(t, headracev1.OnUpdate_ON_UPDATE_FINISH, plain.GetPipeline().GetDefinition().GetOnUpdate(), "the caller's message stays as it is")
}

func TestClientOfAServerOfItsAge(t *testing.T) {
	t.Parallel()
	server := &aged{info: &headracev1.GetServerInfoResponse{ContractRevision: contract.Revision()}}
	c := dial(t, client.Config{Endpoint: serve(t, server), Token: "secret"})
	_, err := c.Pipelines.GetPipeline(t.Context(), &headracev1.GetPipelineRequest{Name: "n"})
	require.NoError(t, err)
	require.Zero(t, server.asked, "what is as old as the contract needs no question")
	require.Equal(t, []string{strconv.FormatUint(uint64(contract.Revision()), 10)}, server.header.Get(contract.Header))
	_, err = c.Pipelines.CreatePipeline(t.Context(), rollingBack())
	require.NoError(t, err)
	require.Equal(t, headracev1.OnUpdate_ON_UPDATE_FINISH, server.got[1].(*headracev1.CreatePipelineRequest).GetPipeline().GetDefinition().GetOnUpdate())
}

// TestServerThatDoesNotTellItsAge sends nothing, and asks again with the next call.
func TestServerThatDoesNotTellItsAge(t *testing.T) {
	t.Parallel()
	denied := status.Error(codes.Internal, "broken")
	server := &aged{info: &headracev1.GetServerInfoResponse{ContractRevision: contract.Revision()}}
	server.fail = []error{denied}
	c := dial(t, client.Config{Endpoint: serve(t, server), Token: "secret"})
	_, err := c.Pipelines.CreatePipeline(t.Context(), rollingBack())
	require.Equal(t, codes.Internal, status.Code(err))
	require.Empty(t, server.got)
	_, err = c.Pipelines.CreatePipeline(t.Context(), rollingBack())
	require.NoError(t, err)
	require.Equal(t, 2, server.asked)
}
