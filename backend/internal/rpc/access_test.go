package rpc_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// access says who gets past the door of a method. Behind it they may still find
// nothing.
type access struct {
	// roles of the account that the request is about.
	roles []v1.Role
	// stranger tells that a token of another account alone gets past too.
	stranger bool
	// request is one that passes validation.
	request proto.Message
}

const (
	admin    = v1.Role_ROLE_ADMIN
	deployer = v1.Role_ROLE_DEPLOYER
	approver = v1.Role_ROLE_APPROVER
	viewer   = v1.Role_ROLE_VIEWER
	runner   = v1.Role_ROLE_RUNNER
)

func allRoles() []v1.Role { return []v1.Role{admin, deployer, approver, viewer, runner} }

// accesses is the table of all methods that need a token. A new method fails the
// test until somebody decides who may call it.
func accesses() map[string]access {
	const (
		pipelineName = "accounts/default/pipelines/ghost"
		stage        = pipelineName + "/stages/Build"
		action       = stage + "/actions/Compile"
		execution    = pipelineName + "/executions/0193b0a0-0000-7000-8000-000000000000"
		rule         = "accounts/default/approvalRules/ghost"
	)
	var (
		readers   = []v1.Role{admin, deployer, approver, viewer}
		deployers = []v1.Role{admin, deployer}
		approvers = []v1.Role{admin, approver}
		admins    = []v1.Role{admin}

		definition = &v1.Pipeline{Name: pipelineName, Definition: &v1.PipelineDefinition{}}
		stagePart  = &v1.PipelineStage{Name: stage, Order: 1}
		actionPart = &v1.PipelineAction{Name: action, Action: &v1.Action{}}
		ruleObject = &v1.ApprovalRule{Name: rule, MinimumCount: 1, Selector: &v1.ApprovalSelector{Pipelines: []string{"*"}}}
		token      = &v1.Token{Principal: "x", Bindings: []*v1.RoleBinding{{Account: "default", Role: viewer}}}
	)
	return map[string]access{
		"CreatePipeline":         {roles: deployers, request: &v1.CreatePipelineRequest{Pipeline: definition, ValidateOnly: true}},
		"GetPipeline":            {roles: readers, request: &v1.GetPipelineRequest{Name: pipelineName}},
		"ListPipelines":          {roles: readers, request: &v1.ListPipelinesRequest{Parent: "accounts/default"}},
		"UpdatePipeline":         {roles: deployers, request: &v1.UpdatePipelineRequest{Pipeline: definition}},
		"DeletePipeline":         {roles: deployers, request: &v1.DeletePipelineRequest{Name: pipelineName}},
		"CreateStage":            {roles: deployers, request: &v1.CreateStageRequest{Stage: stagePart}},
		"GetStage":               {roles: readers, request: &v1.GetStageRequest{Name: stage}},
		"UpdateStage":            {roles: deployers, request: &v1.UpdateStageRequest{Stage: stagePart}},
		"DeleteStage":            {roles: deployers, request: &v1.DeleteStageRequest{Name: stage}},
		"CreateAction":           {roles: deployers, request: &v1.CreateActionRequest{Action: actionPart}},
		"GetAction":              {roles: readers, request: &v1.GetActionRequest{Name: action}},
		"UpdateAction":           {roles: deployers, request: &v1.UpdateActionRequest{Action: actionPart}},
		"DeleteAction":           {roles: deployers, request: &v1.DeleteActionRequest{Name: action}},
		"PublishPipelineVersion": {roles: deployers, request: &v1.PublishPipelineVersionRequest{Name: pipelineName}},
		"GetPipelineVersion":     {roles: readers, request: &v1.GetPipelineVersionRequest{Name: pipelineName + "/versions/1"}},
		"ListPipelineVersions":   {roles: readers, request: &v1.ListPipelineVersionsRequest{Parent: pipelineName}},
		"GetPipelineState":       {roles: readers, request: &v1.GetPipelineStateRequest{Name: pipelineName}},
		"SetStageTransition":     {roles: deployers, request: &v1.SetStageTransitionRequest{Pipeline: pipelineName, Stage: "Build", Enabled: true}},

		"CreateApprovalRule": {roles: admins, request: &v1.CreateApprovalRuleRequest{ApprovalRule: ruleObject}},
		"GetApprovalRule":    {roles: readers, request: &v1.GetApprovalRuleRequest{Name: rule}},
		"ListApprovalRules":  {roles: readers, request: &v1.ListApprovalRulesRequest{Parent: "accounts/default"}},
		"UpdateApprovalRule": {roles: admins, request: &v1.UpdateApprovalRuleRequest{ApprovalRule: ruleObject}},
		"DeleteApprovalRule": {roles: admins, request: &v1.DeleteApprovalRuleRequest{Name: rule}},

		"StartExecution": {roles: deployers, request: &v1.StartExecutionRequest{Pipeline: pipelineName}},
		"GetExecution":   {roles: readers, request: &v1.GetExecutionRequest{Name: execution}},
		"ListExecutions": {roles: readers, request: &v1.ListExecutionsRequest{Parent: pipelineName}},
		"StopExecution":  {roles: deployers, request: &v1.StopExecutionRequest{Name: execution}},
		"RetryStage":     {roles: deployers, request: &v1.RetryStageRequest{Name: execution}},
		"RollbackStage": {roles: deployers, request: &v1.RollbackStageRequest{
			Pipeline: pipelineName, Stage: "Build", TargetExecution: execution,
		}},
		"OverrideCondition": {roles: deployers, request: &v1.OverrideConditionRequest{
			Name: execution, Stage: "Build", Condition: v1.ConditionKind_CONDITION_KIND_BEFORE_ENTRY, Reason: "x",
		}},
		"DecideApproval":   {roles: approvers, request: &v1.DecideApprovalRequest{Name: execution}},
		"ExplainExecution": {roles: readers, request: &v1.ExplainExecutionRequest{Name: execution}},
		"WatchExecution":   {roles: readers, request: &v1.WatchExecutionRequest{Name: execution}},
		"TailLog":          {roles: readers, request: &v1.TailLogRequest{Name: execution, ActionExecutionId: "x"}},
		"SearchLogs":       {roles: readers, request: &v1.SearchLogsRequest{Parent: pipelineName, Pattern: "x"}},

		// These are for admins of all accounts, who are not in this table.
		"ApplyRetention": {request: &v1.ApplyRetentionRequest{ValidateOnly: true}},
		"CreateAccount":  {request: &v1.CreateAccountRequest{Account: &v1.Account{Name: "accounts/new"}}},
		"GetAccount":     {roles: allRoles(), request: &v1.GetAccountRequest{Name: "accounts/default"}},
		"UpdateAccount": {roles: admins, request: &v1.UpdateAccountRequest{
			Account: &v1.Account{Name: "accounts/default"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"*"}},
		}},
		// What a stranger gets from these is their own and nothing of the account.
		"ListAccounts": {roles: allRoles(), stranger: true, request: &v1.ListAccountsRequest{}},
		"ListTokens":   {roles: admins, stranger: true, request: &v1.ListTokensRequest{}},
		"RevokeToken":  {roles: admins, stranger: true, request: &v1.RevokeTokenRequest{Name: "tokens/ghost"}},
		"CreateToken":  {roles: admins, request: &v1.CreateTokenRequest{Token: token}},
		"WhoAmI":       {roles: allRoles(), stranger: true, request: &v1.WhoAmIRequest{}},
	}
}

// open are the methods that need no token.
func open() map[string]proto.Message {
	return map[string]proto.Message{
		v1.ServerService_GetServerInfo_FullMethodName: &v1.GetServerInfoRequest{},
		grpc_health_v1.Health_Check_FullMethodName:    &grpc_health_v1.HealthCheckRequest{},
		grpc_health_v1.Health_List_FullMethodName:     &grpc_health_v1.HealthListRequest{},
		grpc_health_v1.Health_Watch_FullMethodName:    &grpc_health_v1.HealthCheckRequest{},
	}
}

// methods returns every method that the server has.
func methods(t *testing.T, conn *grpc.ClientConn, token string) map[string]protoreflect.MethodDescriptor {
	t.Helper()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	require.NoError(t, err)
	require.NoError(t, stream.Send(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
	}))
	resp, err := stream.Recv()
	require.NoError(t, err)
	found := make(map[string]protoreflect.MethodDescriptor)
	for _, service := range resp.GetListServicesResponse().GetService() {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service.GetName()))
		require.NoError(t, err)
		descriptor, ok := d.(protoreflect.ServiceDescriptor)
		require.True(t, ok)
		for i := range descriptor.Methods().Len() {
			m := descriptor.Methods().Get(i)
			found["/"+service.GetName()+"/"+string(m.Name())] = m
		}
	}
	return found
}

// call makes one call and returns its code.
func call(t *testing.T, conn *grpc.ClientConn, token, method string, m protoreflect.MethodDescriptor, request proto.Message) codes.Code {
	t.Helper()
	ctx := t.Context()
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	response := dynamicpb.NewMessage(m.Output())
	if !m.IsStreamingServer() {
		return status.Code(conn.Invoke(ctx, method, request, response))
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: m.IsStreamingClient()}, method)
	require.NoError(t, err)
	// A server that refuses may be gone before the request is sent.
	_ = stream.SendMsg(request)
	return status.Code(stream.RecvMsg(response))
}

func TestEveryMethodIsClosedToWhoMayNotCallIt(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	b.Account("other")
	conn, err := grpc.NewClient(b.Endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	stranger := b.Token("stranger", nil, backendtest.Binding("other", admin))
	tokens := make(map[v1.Role]string)
	for _, role := range allRoles() {
		tokens[role] = b.Token(role.String(), nil, backendtest.Binding("default", role))
	}
	table := accesses()

	for method, m := range methods(t, conn, b.AdminToken) {
		if request, ok := open()[method]; ok {
			require.Equal(t, codes.OK, call(t, conn, "", method, m, request), "%s is open", method)
			continue
		}
		rule, ok := table[string(m.Name())]
		if strings.HasPrefix(method, "/grpc.reflection.") {
			rule, ok = access{roles: allRoles(), stranger: true, request: &grpc_reflection_v1.ServerReflectionRequest{
				MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
			}}, true
		}
		require.True(t, ok, "%s: say in the table who may call it", method)
		for _, secret := range []string{"", "hr_wrong", "hr_" + strings.Repeat("x", 1000)} {
			require.Equal(t, codes.Unauthenticated, call(t, conn, secret, method, m, rule.request), "%s with the token %.10q", method, secret)
		}
		expect := func(who, token string, allowed bool) {
			code := call(t, conn, token, method, m, rule.request)
			if allowed {
				require.NotContains(t, []codes.Code{codes.PermissionDenied, codes.Unauthenticated, codes.Internal, codes.Unimplemented}, code,
					"%s by %s", method, who)
			} else {
				require.Equal(t, codes.PermissionDenied, code, "%s by %s", method, who)
			}
		}
		expect("an admin of another account", stranger, rule.stranger)
		for _, role := range allRoles() {
			allowed := false
			for _, r := range rule.roles {
				allowed = allowed || r == role
			}
			expect(role.String(), tokens[role], allowed)
		}
	}
}

func TestStrangersLearnNothingOfWhatExists(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	b.Account("other")
	b.Account("secret")
	_, err := b.Admin().Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: inline("secret", "web")})
	require.NoError(t, err)
	c := b.Client(b.Token("stranger", nil, backendtest.Binding("other", admin)))

	answer := func(name string) string {
		_, err := c.Pipelines.GetPipeline(t.Context(), &v1.GetPipelineRequest{Name: name})
		require.Equal(t, codes.PermissionDenied, status.Code(err))
		return err.Error()
	}
	there := answer("accounts/secret/pipelines/web")
	require.Equal(t, there, answer("accounts/secret/pipelines/ghost"))
	require.Equal(t, strings.ReplaceAll(there, "secret", "ghost"), answer("accounts/ghost/pipelines/web"))
	require.Contains(t, there, "admin", "it names the roles that would do")
	require.Contains(t, there, "stranger", "it names who was refused")

	accounts, err := c.Accounts.ListAccounts(t.Context(), &v1.ListAccountsRequest{})
	require.NoError(t, err)
	require.Len(t, accounts.GetAccounts(), 1)
	require.Equal(t, "accounts/other", accounts.GetAccounts()[0].GetName())
}
