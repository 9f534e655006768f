package client

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// TestRetriedMethods makes whoever adds a method say whether it may be sent
// again: one that reads or that carries a request id must be, others must not.
func TestRetriedMethods(t *testing.T) {
	t.Parallel()
	files := []protoreflect.FileDescriptor{
		headracev1.File_headrace_v1_account_proto, headracev1.File_headrace_v1_approval_proto,
		headracev1.File_headrace_v1_execution_proto, headracev1.File_headrace_v1_pipeline_proto,
	}
	reads := []string{"Get", "List", "Explain", "WhoAmI"}
	var want []string
	for _, file := range files {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				read := slices.ContainsFunc(reads, func(prefix string) bool { return strings.HasPrefix(string(method.Name()), prefix) })
				carries := method.Input().Fields().ByName("request_id") != nil
				if read || carries {
					want = append(want, "/"+string(service.FullName())+"/"+string(method.Name()))
				}
			}
		}
	}
	require.ElementsMatch(t, want, retried())
	require.True(t, json.Valid([]byte(serviceConfig())))
}

func TestRequestsAreIdentified(t *testing.T) {
	t.Parallel()
	requests := []proto.Message{
		&headracev1.StartExecutionRequest{Pipeline: "accounts/default/pipelines/web"},
		&headracev1.RollbackStageRequest{}, &headracev1.CreatePipelineRequest{}, &headracev1.CreateStageRequest{},
		&headracev1.CreateActionRequest{}, &headracev1.CreateApprovalRuleRequest{},
	}
	for _, request := range requests {
		name := string(request.ProtoReflect().Descriptor().Name())
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			carrier := func(m any) string { return m.(interface{ GetRequestId() string }).GetRequestId() }
			first, second := identified(request), identified(request)
			require.NotEmpty(t, carrier(first))
			require.NotEqual(t, carrier(first), carrier(second), "two calls are two requests")
			require.Empty(t, carrier(request), "the caller's message stays as it is")
			require.Equal(t, first, identified(first), "a given id is kept")
		})
	}
}
