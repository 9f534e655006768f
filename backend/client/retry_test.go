package client

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

func TestRetriedMethods(t *testing.T) {
	t.Parallel()
	var config struct {
		MethodConfig []struct {
			Name        []struct{ Service, Method string }
			RetryPolicy struct{ MaxAttempts int }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(serviceConfig()), &config))
	require.Len(t, config.MethodConfig, 1)
	require.Equal(t, 4, config.MethodConfig[0].RetryPolicy.MaxAttempts)
	retried := make(map[string]bool)
	for _, name := range config.MethodConfig[0].Name {
		retried["/"+name.Service+"/"+name.Method] = true
	}
	for path, want := range map[string]bool{
		v1.PipelineService_GetPipeline_FullMethodName:     true,
		v1.ServerService_GetServerInfo_FullMethodName:     true,
		v1.ExecutionService_StartExecution_FullMethodName: true,
		// The reader of a stream knows how far it came, and continues from there.
		v1.ExecutionService_TailLog_FullMethodName: false,
		// The second one is refused where the first was done, or retries what failed anew.
		v1.ExecutionService_RetryStage_FullMethodName: false,
		// The second one may undo what somebody else set in between.
		v1.PipelineService_SetStageTransition_FullMethodName: false,
		v1.AccountService_UpdateAccount_FullMethodName:       false,
	} {
		require.Equal(t, want, retried[path], path)
	}
	for _, m := range contract.Methods() {
		require.Equal(t, m.Repeatable(), retried[m.Path()], m.Path())
	}
}

func TestRequestsAreIdentified(t *testing.T) {
	t.Parallel()
	ids, identified := newRequestIDs(), 0
	for _, m := range contract.Methods() {
		request := proto.Message(dynamicpb.NewMessage(m.Input()))
		field := m.Input().Fields().ByName("request_id")
		if field == nil {
			require.Same(t, request, ids.identified(m.Path(), request), "%s", m.Name())
			continue
		}
		identified++
		idOf := func(m any) string { return m.(protoreflect.ProtoMessage).ProtoReflect().Get(field).String() }
		first, second := ids.identified(m.Path(), request), ids.identified(m.Path(), request)
		require.NotEmpty(t, idOf(first))
		require.NotEqual(t, idOf(first), idOf(second), "two calls are two requests")
		require.Empty(t, idOf(request), "the caller's message stays as it is")
		require.Same(t, first, ids.identified(m.Path(), first), "a given id is kept")
	}
	require.NotZero(t, identified)
}
