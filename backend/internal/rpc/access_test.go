package rpc_test

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/hashicorp/go-hclog"
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
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/listen"
	"github.com/headrace/terraform-provider-headrace/backend/internal/rpc"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

const (
	admin    = v1.Role_ROLE_ADMIN
	deployer = v1.Role_ROLE_DEPLOYER
	approver = v1.Role_ROLE_APPROVER
	viewer   = v1.Role_ROLE_VIEWER
	runner   = v1.Role_ROLE_RUNNER
	// stranger is an admin of another account.
	stranger = v1.Role(-1)
)

func allRoles() []v1.Role { return []v1.Role{admin, deployer, approver, viewer, runner} }

// caller makes one call and returns its code.
type caller func(t *testing.T, token, method string, m protoreflect.MethodDescriptor, request proto.Message) codes.Code

// byGRPC returns a caller by a connection of gRPC.
func byGRPC(conn *grpc.ClientConn) caller {
	return func(t *testing.T, token, method string, m protoreflect.MethodDescriptor, request proto.Message) codes.Code {
		t.Helper()
		return call(t, conn, token, method, m, request)
	}
}

// bearer shows a token itself.
func bearer(_ *testing.T, token string, header http.Header) {
	header.Set("Authorization", "Bearer "+token)
}

// bySession shows the cookie and the key of a session of the token instead, as browsers do. If the
// token is not valid, it is the value of both.
func bySession(address string) func(t *testing.T, token string, header http.Header) {
	type shown struct{ cookie, key string }
	known := make(map[string]shown)
	return func(t *testing.T, token string, header http.Header) {
		t.Helper()
		if known[token] == (shown{}) {
			known[token] = shown{cookie: "__Host-headrace=" + token, key: token}
			if answer := logIn(t, address, token); answer.code == http.StatusOK {
				known[token] = shown{cookie: answer.cookies[0].Name + "=" + answer.cookies[0].Value, key: keyOf(t, answer)}
			}
		}
		header.Set("Cookie", known[token].cookie)
		header.Set("Headrace-Session-Key", known[token].key)
	}
}

// byHTTP returns a caller as browsers are: by the HTTP listener, with a protocol of theirs.
func byHTTP(address string, show func(*testing.T, string, http.Header), options ...connect.ClientOption) caller {
	return func(t *testing.T, token, method string, m protoreflect.MethodDescriptor, request proto.Message) codes.Code {
		t.Helper()
		c := connect.NewClient[dynamicpb.Message, dynamicpb.Message](http.DefaultClient, "http://"+address+method, append(options,
			connect.WithSchema(m), connect.WithResponseInitializer(func(_ connect.Spec, message any) error {
				into, ok := message.(*dynamicpb.Message)
				require.True(t, ok)
				*into = *dynamicpb.NewMessage(m.Output())
				return nil
			}))...)
		sent := connect.NewRequest(dynamicpb.NewMessage(m.Input()))
		data, err := proto.Marshal(request)
		require.NoError(t, err)
		require.NoError(t, proto.Unmarshal(data, sent.Msg))
		if token != "" {
			show(t, token, sent.Header())
		}
		if !m.IsStreamingServer() {
			_, err := c.CallUnary(t.Context(), sent)
			return codeOf(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stream, err := c.CallServerStream(ctx, sent)
		if err != nil {
			return codeOf(err)
		}
		if stream.Receive() {
			return codes.OK
		}
		return codeOf(stream.Err())
	}
}

func codeOf(err error) codes.Code {
	if err == nil {
		return codes.OK
	}
	return codes.Code(connect.CodeOf(err))
}

// doors returns a caller for each way into a backend.
func doors(t *testing.T, b *backendtest.Backend) map[string]caller {
	t.Helper()
	return map[string]caller{
		"gRPC": byGRPC(dial(t, b.Endpoint)), "Connect": byHTTP(b.HTTPAddr, bearer),
		"gRPC-Web by session": byHTTP(b.HTTPAddr, bySession(b.HTTPAddr), connect.WithGRPCWeb()),
		"Connect by session":  byHTTP(b.HTTPAddr, bySession(b.HTTPAddr)),
	}
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

// try calls a method with each of the requests until one is not invalid, and returns its
// code: the requests name objects of all kinds, and a method takes one kind.
func try(t *testing.T, by caller, token string, m contract.Method, requests []proto.Message) codes.Code {
	t.Helper()
	code := codes.InvalidArgument
	for _, request := range requests {
		if code = by(t, token, m.Path(), m, request); code != codes.InvalidArgument {
			break
		}
	}
	return code
}

// dial returns a connection that sends no token by itself.
func dial(t *testing.T, endpoint string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// tokens returns a token for each role in the account "default", and that of an admin of
// another account, as a role that does not exist.
func tokens(b *backendtest.Backend) map[v1.Role]string {
	b.Account("other")
	all := map[v1.Role]string{stranger: b.Token("stranger", nil, backendtest.Binding("other", admin))}
	for _, role := range allRoles() {
		all[role] = b.Token(role.String(), nil, backendtest.Binding("default", role))
	}
	return all
}

// TestMethodsAreOpenToThoseWhomTheyDeclare calls each method of the contract with each role,
// by each door. Those that may call it may still find nothing.
func TestMethodsAreOpenToThoseWhomTheyDeclare(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	secrets := tokens(b)
	sample := samplesOf("default", "ghost", "0193b0a0-0000-7000-8000-000000000000")
	for door, by := range doors(t, b) {
		for _, m := range contract.Methods() {
			requests := sample.requests(t, m)
			for _, secret := range []string{"", "hr_wrong", "hr_" + strings.Repeat("x", 1000)} {
				want := codes.Unauthenticated
				if m.Permission == v1.Permission_PERMISSION_OPEN {
					want = codes.OK
				}
				require.Equal(t, want, by(t, secret, m.Path(), m, requests[0]), "%s by %s with the token %.10q", m.Name(), door, secret)
			}
			for role, secret := range secrets {
				code := try(t, by, secret, m, requests)
				if allows(m, role) {
					require.NotContains(t, []codes.Code{codes.PermissionDenied, codes.Unauthenticated, codes.Internal, codes.Unimplemented}, code,
						"%s of %s by %s", m.Name(), role, door)
				} else {
					require.Equal(t, codes.PermissionDenied, code, "%s of %s by %s", m.Name(), role, door)
				}
			}
		}
	}
}

// TestUseCasesAuthorizeAsTheGateDoes calls each method without the gate's authorization.
// Whom the gate refuses, the use case refuses too: it is also called from elsewhere. Whom
// the gate lets pass, the use case lets pass: TestMethodsAreOpenToThoseWhomTheyDeclare.
func TestUseCasesAuthorizeAsTheGateDoes(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	secrets := tokens(b)
	_, err := b.Admin().Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: inline("default", "web")})
	require.NoError(t, err)
	started, err := b.Admin().Executions.StartExecution(t.Context(), &v1.StartExecutionRequest{Pipeline: client.PipelineName("default", "web")})
	require.NoError(t, err)
	b.Stop()
	by := byGRPC(dial(t, serveWithoutAuthorization(t, filepath.Join(b.DataDir, "headrace.db"))))
	sample := samplesOf("default", "web", started.GetExecution().GetId())
	refused := 0
	for _, m := range contract.Methods() {
		for role, secret := range secrets {
			if !allows(m, role) {
				refused++
				require.Equal(t, codes.PermissionDenied, try(t, by, secret, m, sample.requests(t, m)), "%s by %s", m.Name(), role)
			}
		}
	}
	require.Greater(t, refused, len(contract.Methods()))
}

// serveWithoutAuthorization serves the use cases on a database, with a gate that
// authenticates and does not authorize, and returns where.
func serveWithoutAuthorization(t *testing.T, path string) string {
	t.Helper()
	st, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	reports := service.NewReports(st, time.Now)
	// A refused call needs nothing but the store.
	executions := service.ExecutionsConfig{Store: st, Clock: time.Now}
	definitions := service.PipelinesConfig{Store: st, Clock: time.Now, Reports: reports, Catalog: catalog.Builtin()}
	s := rpc.New(rpc.Config{
		Accounts:      service.NewAccounts(service.AccountsConfig{Store: st, Clock: time.Now, Reports: reports}),
		Pipelines:     service.NewPipelines(definitions),
		Parts:         service.NewParts(definitions),
		Versions:      service.NewVersions(definitions),
		Stages:        service.NewStages(executions),
		Explanations:  service.NewExplanations(executions),
		Streams:       service.NewStreams(executions),
		Artifacts:     service.NewArtifacts(service.ArtifactsConfig{Store: st}),
		ApprovalRules: service.NewApprovalRules(service.ApprovalRulesConfig{Store: st, Clock: time.Now, Reports: reports}),
		Secrets:       service.NewSecrets(service.SecretsConfig{Store: st, Clock: time.Now}),
		Connections:   service.NewConnections(service.ConnectionsConfig{Store: st, Clock: time.Now, Catalog: catalog.Builtin()}),
		Triggers:      service.NewTriggers(service.TriggersConfig{Store: st, Clock: time.Now}),
		Decisions:     service.NewDecisions(service.DecisionsConfig{Store: st, Clock: time.Now}),
		Webhooks:      service.NewWebhooks(service.WebhooksConfig{Store: st, Clock: time.Now}),
		Deliveries:    service.NewDeliveries(service.WebhooksConfig{Store: st, Clock: time.Now}, nil),
		Executions:    service.NewExecutions(executions),
		Retention:     service.NewRetention(service.RetentionConfig{Store: st, Clock: time.Now}),
		Types:         service.NewTypes(st, catalog.Builtin()),
		Log:           hclog.NewNullLogger(), Clock: time.Now, Observe: func(string, codes.Code, time.Duration) {},
		Closed: func(string, listen.Reason) {},
	})
	s.AuthorizeNothing()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- s.Serve(listener) }()
	t.Cleanup(func() {
		s.Shutdown(context.Background())
		require.NoError(t, <-done)
	})
	return listener.Addr().String()
}

// TestMethodsOfGRPC calls the methods that are not the contract's.
func TestMethodsOfGRPC(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	conn, viewing := dial(t, b.Endpoint), b.Token("ann", nil, backendtest.Binding("default", viewer))
	health := grpc_health_v1.File_grpc_health_v1_health_proto.Services().Get(0).Methods()
	for i := range health.Len() {
		m := health.Get(i)
		require.Equal(t, codes.OK, call(t, conn, "", "/grpc.health.v1.Health/"+string(m.Name()), m, dynamicpb.NewMessage(m.Input())), "%s is open", m.Name())
	}
	reflection := grpc_reflection_v1.File_grpc_reflection_v1_reflection_proto.Services().Get(0).Methods().Get(0)
	for _, path := range []string{grpc_reflection_v1.ServerReflection_ServerReflectionInfo_FullMethodName, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"} {
		request := &grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}}
		require.Equal(t, codes.Unauthenticated, call(t, conn, "", path, reflection, request))
		require.Equal(t, codes.OK, call(t, conn, viewing, path, reflection, request))
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
