package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

// start is the time at which everything in the fake happened.
var start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// fake is a server of prepared answers. It stands in for the real one because a
// test has to cut streams at a chosen event, page through chosen numbers and
// answer with chosen errors, which the real server cannot be told to do.
type fake struct {
	headracev1.UnimplementedPipelineServiceServer
	headracev1.UnimplementedApprovalRuleServiceServer
	headracev1.UnimplementedExecutionServiceServer
	headracev1.UnimplementedAccountServiceServer
	headracev1.UnimplementedServerServiceServer

	endpoint string
	// waiting is closed once an approval was decided; nil where nothing waits.
	waiting chan struct{}

	mu sync.Mutex
	// executions are sorted newest first.
	executions []*headracev1.Execution
	events     []*headracev1.Event
	reasons    []*headracev1.WaitReason
	// steps and refusals are what the server says of executions, by name, besides the
	// reasons, which are those of all executions that are in progress.
	steps    map[string][]*headracev1.NextStep
	refusals map[string][]*headracev1.StepRefusal
	notes    []string
	// changes are what a call gets that asks for them.
	changes []*headracev1.SourceChange
	state   *headracev1.PipelineState
	logs    map[string]string
	// artifact answers GetArtifact.
	artifact *lying
	// cuts are the positions after which a watch breaks off, one a stream; a
	// negative one breaks off every stream before its first event.
	cuts []int64
	// logCuts are how many bytes a tail gives before it breaks off.
	logCuts []int64
	// fail answers the method with an error.
	fail map[string]error
	// requests are all requests that came, by method.
	requests map[string][]proto.Message
}

// newFake starts a fake server that ends with the test.
func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{
		logs: map[string]string{}, fail: map[string]error{}, requests: map[string][]proto.Message{},
		steps: map[string][]*headracev1.NextStep{}, refusals: map[string][]*headracev1.StepRefusal{},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f.endpoint = listener.Addr().String()
	server := grpc.NewServer(grpc.UnaryInterceptor(f.record))
	headracev1.RegisterPipelineServiceServer(server, f)
	headracev1.RegisterApprovalRuleServiceServer(server, f)
	headracev1.RegisterExecutionServiceServer(server, f)
	headracev1.RegisterAccountServiceServer(server, f)
	headracev1.RegisterServerServiceServer(server, f)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		// It may be stopped before it served: not every command calls it.
		if err := <-done; !errors.Is(err, grpc.ErrServerStopped) {
			require.NoError(t, err)
		}
	})
	return f
}

func (f *fake) record(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	method := info.FullMethod[strings.LastIndexByte(info.FullMethod, '/')+1:]
	f.mu.Lock()
	message, ok := request.(proto.Message)
	if ok {
		f.requests[method] = append(f.requests[method], proto.Clone(message))
	}
	err := f.fail[method]
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return handle(ctx, request)
}

// sent returns the last request of a method.
func sent[T proto.Message](t *testing.T, f *fake, method string) T {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	require.NotEmpty(t, f.requests[method], "%s was not called", method)
	request, ok := f.requests[method][len(f.requests[method])-1].(T)
	require.True(t, ok)
	return request
}

func (f *fake) find(name string) (*headracev1.Execution, error) {
	for _, e := range f.executions {
		if e.GetName() == name || strings.HasSuffix(name, "/-/executions/"+e.GetId()) {
			return proto.CloneOf(e), nil
		}
	}
	return nil, status.Errorf(codes.NotFound, "there is no execution %s", name)
}

func (f *fake) GetExecution(_ context.Context, r *headracev1.GetExecutionRequest) (*headracev1.GetExecutionResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.find(r.GetName())
	return &headracev1.GetExecutionResponse{Execution: e}, err
}

func (f *fake) ListExecutions(_ context.Context, r *headracev1.ListExecutionsRequest) (*headracev1.ListExecutionsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var matching []*headracev1.Execution
	for _, e := range f.executions {
		inParent := strings.HasSuffix(r.GetParent(), "/-") || strings.HasPrefix(e.GetName(), r.GetParent()+"/")
		if inParent && (len(r.GetStatuses()) == 0 || slices.Contains(r.GetStatuses(), e.GetStatus())) {
			matching = append(matching, e)
		}
	}
	from := 0
	if r.GetPageToken() != "" {
		if _, err := fmt.Sscan(r.GetPageToken(), &from); err != nil {
			return nil, err
		}
	}
	to := min(from+int(r.GetPageSize()), len(matching))
	response := &headracev1.ListExecutionsResponse{Executions: matching[from:to]}
	if to < len(matching) {
		response.NextPageToken = fmt.Sprint(to)
	}
	return response, nil
}

func (f *fake) StartExecution(_ context.Context, r *headracev1.StartExecutionRequest) (*headracev1.StartExecutionResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.executions) == 0 || !strings.HasPrefix(f.executions[0].GetName(), r.GetPipeline()+"/") {
		return nil, refusal(codes.NotFound, pipeline.ReasonNotFound, "there is no pipeline "+r.GetPipeline())
	}
	return &headracev1.StartExecutionResponse{Execution: f.executions[0]}, nil
}

func (f *fake) StopExecution(_ context.Context, r *headracev1.StopExecutionRequest) (*headracev1.StopExecutionResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.find(r.GetName())
	if err == nil {
		e.Status = headracev1.ExecutionStatus_EXECUTION_STATUS_STOPPING
	}
	return &headracev1.StopExecutionResponse{Execution: e}, err
}

func (f *fake) RetryStage(_ context.Context, r *headracev1.RetryStageRequest) (*headracev1.RetryStageResponse, error) {
	e, err := f.resumed(r.GetName())
	return &headracev1.RetryStageResponse{Execution: e}, err
}

func (f *fake) OverrideCondition(
	_ context.Context, r *headracev1.OverrideConditionRequest,
) (*headracev1.OverrideConditionResponse, error) {
	e, err := f.resumed(r.GetName())
	return &headracev1.OverrideConditionResponse{Execution: e}, err
}

// resumed returns an execution as it is once it was brought back.
func (f *fake) resumed(name string) (*headracev1.Execution, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.find(name)
	if err == nil {
		e.Status, e.Attempt = headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS, 2
	}
	return e, err
}

func (f *fake) RollbackStage(_ context.Context, r *headracev1.RollbackStageRequest) (*headracev1.RollbackStageResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	target, err := f.find(r.GetTargetExecution())
	if err != nil {
		return nil, err
	}
	e := proto.CloneOf(f.executions[0])
	e.ExecutionType = headracev1.ExecutionType_EXECUTION_TYPE_ROLLBACK
	e.Rollback = &headracev1.RollbackMetadata{TargetExecution: target.GetName(), TargetNumber: target.GetNumber()}
	return &headracev1.RollbackStageResponse{Execution: e}, nil
}

func (f *fake) GetPipelineState(
	_ context.Context, _ *headracev1.GetPipelineStateRequest,
) (*headracev1.GetPipelineStateResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &headracev1.GetPipelineStateResponse{State: f.state}, nil
}

func (f *fake) SetStageTransition(
	_ context.Context, r *headracev1.SetStageTransitionRequest,
) (*headracev1.SetStageTransitionResponse, error) {
	return &headracev1.SetStageTransitionResponse{Stage: &headracev1.StageState{
		Stage: r.GetStage(), InboundExecutions: []string{runName},
		Transition: &headracev1.StageTransition{
			Enabled: r.GetEnabled(), DisabledReason: r.GetReason(), Principal: "ann", ChangeTime: at(0),
		},
	}}, nil
}

func (f *fake) DecideApproval(_ context.Context, _ *headracev1.DecideApprovalRequest) (*headracev1.DecideApprovalResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting == nil {
		return nil, refusal(codes.FailedPrecondition, pipeline.ReasonApprovalNotFound, "nothing waits for an approval")
	}
	f.executions[0].Status = headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED
	f.executions[0].EndTime = timestamppb.New(start.Add(12 * time.Second))
	approval := proto.CloneOf(f.reasons[0].GetApproval())
	approval.Requirements[0].ApprovedCount = 1
	f.reasons = nil
	close(f.waiting)
	return &headracev1.DecideApprovalResponse{Approval: approval, Stage: "Approve", Action: "Approve"}, nil
}

func (f *fake) ExplainExecution(
	_ context.Context, r *headracev1.ExplainExecutionRequest,
) (*headracev1.ExplainExecutionResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, err := f.find(r.GetName())
	response := &headracev1.ExplainExecutionResponse{
		Status: e.GetStatus(), Summary: "it waits for people", NextSteps: f.steps[r.GetName()], Refusals: f.refusals[r.GetName()],
		Notes: f.notes,
	}
	if e.GetStatus() == headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS {
		response.Reasons = f.reasons
	}
	if r.GetChanges() {
		response.Changes = f.changes
	}
	return response, err
}

func (f *fake) WatchExecution(
	r *headracev1.WatchExecutionRequest, stream grpc.ServerStreamingServer[headracev1.WatchExecutionResponse],
) error {
	cut := int64(0)
	f.mu.Lock()
	if len(f.cuts) > 0 {
		if cut = f.cuts[0]; cut > 0 {
			f.cuts = f.cuts[1:]
		}
	}
	f.mu.Unlock()
	gone := status.Error(codes.Unavailable, "the server restarts")
	if cut < 0 {
		return gone
	}
	for _, event := range f.events {
		if event.GetPosition() <= r.GetAfterPosition() {
			continue
		}
		if err := stream.Send(&headracev1.WatchExecutionResponse{Event: event}); err != nil {
			return err
		}
		if event.GetPosition() == cut {
			return gone
		}
	}
	if f.waiting != nil {
		select {
		case <-f.waiting:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
	return nil
}

func (f *fake) TailLog(r *headracev1.TailLogRequest, stream grpc.ServerStreamingServer[headracev1.TailLogResponse]) error {
	f.mu.Lock()
	rest := f.logs[r.GetActionExecutionId()][r.GetOffset():]
	broken := false
	if len(f.logCuts) > 0 {
		rest, broken = rest[:f.logCuts[0]], true
		f.logCuts = f.logCuts[1:]
	}
	f.mu.Unlock()
	if err := stream.Send(&headracev1.TailLogResponse{Offset: r.GetOffset(), Data: []byte(rest)}); err != nil {
		return err
	}
	if broken {
		return status.Error(codes.Unavailable, "the server restarts")
	}
	return nil
}

func (f *fake) GetArtifact(r *headracev1.GetArtifactRequest, stream grpc.ServerStreamingServer[headracev1.GetArtifactResponse]) error {
	return f.artifact.GetArtifact(r, stream)
}

func (f *fake) ListPipelines(_ context.Context, r *headracev1.ListPipelinesRequest) (*headracev1.ListPipelinesResponse, error) {
	if r.GetPageToken() == "" {
		return &headracev1.ListPipelinesResponse{Pipelines: []*headracev1.Pipeline{webPipeline()}, NextPageToken: "more"}, nil
	}
	return &headracev1.ListPipelinesResponse{Pipelines: []*headracev1.Pipeline{
		{Name: r.GetParent() + "/pipelines/zeta", UnpublishedChanges: true, Composition: headracev1.Composition_COMPOSITION_COMPOSED},
	}}, nil
}

func (f *fake) GetPipeline(_ context.Context, r *headracev1.GetPipelineRequest) (*headracev1.GetPipelineResponse, error) {
	if r.GetName() != webPipeline().GetName() {
		return nil, refusal(codes.NotFound, pipeline.ReasonNotFound, "there is no pipeline "+r.GetName())
	}
	return &headracev1.GetPipelineResponse{Pipeline: webPipeline()}, nil
}

func (f *fake) CreateToken(_ context.Context, r *headracev1.CreateTokenRequest) (*headracev1.CreateTokenResponse, error) {
	token := proto.CloneOf(r.GetToken())
	token.Name = "tokens/t1"
	return &headracev1.CreateTokenResponse{Token: token, Secret: "hr_secret"}, nil
}

func (f *fake) ListTokens(_ context.Context, r *headracev1.ListTokensRequest) (*headracev1.ListTokensResponse, error) {
	if r.GetPageToken() == "" {
		return &headracev1.ListTokensResponse{NextPageToken: "more"}, nil
	}
	return &headracev1.ListTokensResponse{Tokens: []*headracev1.Token{{
		Name: "tokens/t1", Principal: "alice", Groups: []string{"ops"},
		Bindings: []*headracev1.RoleBinding{{Account: "*", Role: headracev1.Role_ROLE_APPROVER}},
	}}}, nil
}

func (f *fake) RevokeToken(context.Context, *headracev1.RevokeTokenRequest) (*headracev1.RevokeTokenResponse, error) {
	return &headracev1.RevokeTokenResponse{}, nil
}

func (f *fake) CreateAccount(_ context.Context, r *headracev1.CreateAccountRequest) (*headracev1.CreateAccountResponse, error) {
	return &headracev1.CreateAccountResponse{Account: r.GetAccount()}, nil
}

func (f *fake) GetAccount(_ context.Context, r *headracev1.GetAccountRequest) (*headracev1.GetAccountResponse, error) {
	return &headracev1.GetAccountResponse{Account: &headracev1.Account{Name: r.GetName(), Settings: &headracev1.AccountSettings{}}}, nil
}

func (f *fake) UpdateAccount(_ context.Context, r *headracev1.UpdateAccountRequest) (*headracev1.UpdateAccountResponse, error) {
	return &headracev1.UpdateAccountResponse{Account: r.GetAccount()}, nil
}

func (f *fake) ListAccounts(_ context.Context, r *headracev1.ListAccountsRequest) (*headracev1.ListAccountsResponse, error) {
	if r.GetPageToken() == "" {
		return &headracev1.ListAccountsResponse{NextPageToken: "more"}, nil
	}
	return &headracev1.ListAccountsResponse{Accounts: []*headracev1.Account{{Name: "accounts/dev"}}}, nil
}

func (f *fake) WhoAmI(context.Context, *headracev1.WhoAmIRequest) (*headracev1.WhoAmIResponse, error) {
	return &headracev1.WhoAmIResponse{
		Principal: "alice", Groups: []string{"ops"},
		Bindings: []*headracev1.RoleBinding{{Account: "default", Role: headracev1.Role_ROLE_DEPLOYER}},
	}, nil
}

func (f *fake) GetServerInfo(context.Context, *headracev1.GetServerInfoRequest) (*headracev1.GetServerInfoResponse, error) {
	return &headracev1.GetServerInfoResponse{
		Version: "1.2.3", Store: "sqlite", Isolation: "none", Capabilities: []string{"watch"}, ContractRevision: contract.Revision(),
	}, nil
}

func (f *fake) ListApprovalRules(
	_ context.Context, r *headracev1.ListApprovalRulesRequest,
) (*headracev1.ListApprovalRulesResponse, error) {
	return &headracev1.ListApprovalRulesResponse{ApprovalRules: []*headracev1.ApprovalRule{prodRule(r.GetParent())}}, nil
}

func (f *fake) GetApprovalRule(
	_ context.Context, r *headracev1.GetApprovalRuleRequest,
) (*headracev1.GetApprovalRuleResponse, error) {
	account, _, _ := strings.Cut(r.GetName(), "/approvalRules/")
	return &headracev1.GetApprovalRuleResponse{ApprovalRule: prodRule(account)}, nil
}

func prodRule(account string) *headracev1.ApprovalRule {
	return &headracev1.ApprovalRule{
		Name:         account + "/approvalRules/prod",
		Selector:     &headracev1.ApprovalSelector{Pipelines: []string{"web*"}, Actions: []string{"Approve"}},
		MinimumCount: 2, Users: []string{"alice"}, Groups: []string{"ops"}, RequireComment: true, ExpireAfterMinutes: 60,
		Warnings: []*headracev1.Warning{{Field: "approval_rule.selector.actions[0]", Message: "rule prod: action \"Aprove\" matches nothing"}},
	}
}

func webPipeline() *headracev1.Pipeline {
	return &headracev1.Pipeline{
		Name: "accounts/default/pipelines/web", Version: 4, Composition: headracev1.Composition_COMPOSITION_INLINE,
		Definition: &headracev1.PipelineDefinition{
			Description: "the web shop", ExecutionMode: headracev1.ExecutionMode_EXECUTION_MODE_QUEUED,
			Variables: []*headracev1.Variable{{Name: "Color"}, {Name: "Size", DefaultValue: proto.String("XL")}},
			Stages: []*headracev1.Stage{{Name: "Source", Actions: []*headracev1.Action{{
				Name: "Checkout", Category: "Source", Provider: "Git", OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
			}}}},
		},
	}
}

// refusal is an error as the server sends it.
func refusal(code codes.Code, reason pipeline.Reason, message string) error {
	s, err := status.New(code, message).WithDetails(&errdetails.ErrorInfo{Reason: string(reason), Domain: pipeline.ErrorDomain})
	if err != nil {
		return err
	}
	return s.Err()
}

// result is what one run of the command left behind.
type result struct {
	code           int
	stdout, stderr string
}

// run runs the command against the fake.
func (f *fake) run(t *testing.T, args ...string) result {
	t.Helper()
	return f.runIn(t.Context(), cli.Process{Args: args})
}

// runIn runs the command with what the caller sets, and the fake's endpoint.
func (f *fake) runIn(ctx context.Context, p cli.Process) result {
	var stdout, stderr bytes.Buffer
	p.Stdout, p.Stderr = &stdout, &stderr
	env := map[string]string{"HEADRACE_ENDPOINT": f.endpoint, "HEADRACE_TOKEN": "secret-token"}
	p.Getenv = func(name string) string { return env[name] }
	p.Version = "test"
	p.Now = func() time.Time { return start.Add(time.Minute) }
	p.Backoff = func(int) time.Duration { return time.Millisecond }
	code := cli.Run(ctx, p)
	return result{code: code, stdout: stdout.String(), stderr: stderr.String()}
}
