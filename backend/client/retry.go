package client

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/protobuf/proto"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// retried returns the methods that may be sent again when a server went away:
// those that only read, and those whose request_id makes the second one return
// the answer of the first. Streams are not among them: whoever reads one knows
// how far it came and goes on from there. Nor are RetryStage and OverrideCondition,
// whose second one is refused where the first was done, or would retry what failed
// anew, and SetStageTransition and UpdateAccount, which may undo what somebody else set
// in between,
// nor ApplyRetention, which may take long and goes on where it is called again.
func retried() []string {
	return []string{
		headracev1.AccountService_GetAccount_FullMethodName,
		headracev1.AccountService_ListAccounts_FullMethodName,
		headracev1.AccountService_ListTokens_FullMethodName,
		headracev1.ApprovalRuleService_CreateApprovalRule_FullMethodName,
		headracev1.ApprovalRuleService_GetApprovalRule_FullMethodName,
		headracev1.ApprovalRuleService_ListApprovalRules_FullMethodName,
		headracev1.ExecutionService_ExplainExecution_FullMethodName,
		headracev1.ExecutionService_GetExecution_FullMethodName,
		headracev1.ExecutionService_ListExecutions_FullMethodName,
		headracev1.ExecutionService_RollbackStage_FullMethodName,
		headracev1.ExecutionService_StartExecution_FullMethodName,
		headracev1.PipelineService_CreateAction_FullMethodName,
		headracev1.PipelineService_CreatePipeline_FullMethodName,
		headracev1.PipelineService_CreateStage_FullMethodName,
		headracev1.PipelineService_GetAction_FullMethodName,
		headracev1.PipelineService_GetPipeline_FullMethodName,
		headracev1.PipelineService_GetPipelineState_FullMethodName,
		headracev1.PipelineService_GetPipelineVersion_FullMethodName,
		headracev1.PipelineService_GetStage_FullMethodName,
		headracev1.PipelineService_ListPipelineVersions_FullMethodName,
		headracev1.PipelineService_ListPipelines_FullMethodName,
		headracev1.ServerService_GetServerInfo_FullMethodName,
		headracev1.ServerService_WhoAmI_FullMethodName,
	}
}

// serviceConfig returns gRPC's service config with the retry policy: four tries
// within less than a second. That carries a call over a dropped connection; a
// server that is down is said to be down soon, since a plan asks it for every
// object. Who waits for a restart, as a watch does, tries longer itself.
func serviceConfig() string {
	var names []string
	for _, method := range retried() {
		service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
		names = append(names, `{"service":"`+service+`","method":"`+name+`"}`)
	}
	return `{"methodConfig":[{"name":[` + strings.Join(names, ",") + `],"retryPolicy":{` +
		`"maxAttempts":4,"initialBackoff":"0.1s","maxBackoff":"0.4s","backoffMultiplier":2,` +
		`"retryableStatusCodes":["UNAVAILABLE"]}}]}`
}

// reconnect lets a connection be tried as often as calls are sent again: with
// gRPC's own second of pause most tries would never leave this machine.
func reconnect() grpc.ConnectParams {
	return grpc.ConnectParams{
		Backoff: backoff.Config{
			BaseDelay: 100 * time.Millisecond, Multiplier: backoff.DefaultConfig.Multiplier,
			Jitter: backoff.DefaultConfig.Jitter, MaxDelay: time.Second,
		},
		MinConnectTimeout: connectTimeout,
	}
}

// requestID gives creating calls a request id where the caller set none, since
// all of them may be sent again.
func requestID(
	ctx context.Context, method string, req, reply any,
	conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	return invoke(ctx, method, identified(req), reply, conn, options...)
}

// identified returns the request with a request id. The caller's message stays
// as it is: a second call with the same message is a second request.
func identified(req any) any {
	carrier, ok := req.(interface{ GetRequestId() string })
	if !ok || carrier.GetRequestId() != "" {
		return req
	}
	id := uuid.NewString()
	switch r := req.(type) {
	case *headracev1.StartExecutionRequest:
		r = proto.CloneOf(r)
		r.RequestId = id
		return r
	case *headracev1.RollbackStageRequest:
		r = proto.CloneOf(r)
		r.RequestId = id
		return r
	case *headracev1.CreatePipelineRequest:
		r = proto.CloneOf(r)
		r.RequestId = id
		return r
	case *headracev1.CreateStageRequest:
		r = proto.CloneOf(r)
		r.RequestId = id
		return r
	case *headracev1.CreateActionRequest:
		r = proto.CloneOf(r)
		r.RequestId = id
		return r
	case *headracev1.CreateApprovalRuleRequest:
		r = proto.CloneOf(r)
		r.RequestId = id
		return r
	}
	return req
}
