package rpc_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

func TestTokensAndAccountsComeInPages(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	b.Account("dev")
	c := b.Admin()
	for i := range 5 {
		b.Account(fmt.Sprintf("other%d", i))
		b.Token(fmt.Sprintf("dev%d", i), nil, backendtest.Binding("dev", viewer))
		b.Token(fmt.Sprintf("other%d", i), nil, backendtest.Binding("other0", viewer))
	}
	lead := b.Client(b.Token("lead", nil, backendtest.Binding("dev", admin), backendtest.Binding("other3", viewer)))
	tokens := func(c *client.Client, size int32) (principals []string) {
		request := &v1.ListTokensRequest{PageSize: size}
		for {
			page, err := c.Accounts.ListTokens(t.Context(), request)
			require.NoError(t, err)
			if size > 0 {
				require.LessOrEqual(t, len(page.GetTokens()), int(size))
			}
			for _, token := range page.GetTokens() {
				principals = append(principals, token.GetPrincipal())
			}
			if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
				return principals
			}
		}
	}
	want := []string{"dev0", "dev1", "dev2", "dev3", "dev4"}
	for _, size := range []int32{0, 1, 2, 5} {
		require.Equal(t, want, tokens(lead, size), "what is not theirs is passed over, and makes no gap")
		require.Len(t, tokens(c, size), 12)
	}
	var names []string
	request := &v1.ListAccountsRequest{PageSize: 1}
	for {
		page, err := lead.Accounts.ListAccounts(t.Context(), request)
		require.NoError(t, err)
		for _, account := range page.GetAccounts() {
			names = append(names, account.GetName())
		}
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			break
		}
	}
	require.Equal(t, []string{"accounts/dev", "accounts/other3"}, names)
}

func TestNamesOfPeopleAndGroupsAreReadable(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	for _, name := range []string{"a", "Ann Lee", "ann@example.com", "ci/web:deploy+1", strings.Repeat("a", 200)} {
		_, err := c.Accounts.CreateToken(t.Context(), &v1.CreateTokenRequest{Token: &v1.Token{
			Principal: name, Groups: []string{name}, Bindings: []*v1.RoleBinding{backendtest.Binding("default", viewer)},
		}})
		require.NoError(t, err, "%q", name)
	}
	// The like of these would let one look like another, or fill the log.
	for _, name := range []string{"", " ann", "ann ", "ann\n", "a\x1b[2Jb", "an\u202en", "änn", "-ann", strings.Repeat("a", 201)} {
		_, err := c.Accounts.CreateToken(t.Context(), &v1.CreateTokenRequest{Token: &v1.Token{
			Principal: name, Groups: []string{name}, Bindings: []*v1.RoleBinding{backendtest.Binding("default", viewer)},
		}})
		require.Equal(t, []string{"token.principal", "token.groups[0]"}, fields(err), "%q", name)
		require.Regexp(t, "begin and end with a letter or a digit|at most 200 characters", err.Error())
		require.NotContains(t, err.Error(), "\x1b", "it is not shown as it is")
		_, err = c.ApprovalRules.CreateApprovalRule(t.Context(), &v1.CreateApprovalRuleRequest{ApprovalRule: &v1.ApprovalRule{
			Name: "accounts/default/approvalRules/prod", MinimumCount: 1, Users: []string{name}, Groups: []string{name},
			Selector: &v1.ApprovalSelector{Pipelines: []string{"*"}},
		}})
		require.Equal(t, []string{"approval_rule.users[0]", "approval_rule.groups[0]"}, fields(err), "%q", name)
	}
}

func TestTextsOfRequestsAreBounded(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	long := strings.Repeat("x", 1<<20)
	_, err := c.Pipelines.GetPipeline(t.Context(), &v1.GetPipelineRequest{Name: long})
	require.Equal(t, []string{"name"}, fields(err))
	_, err = c.Pipelines.ListPipelines(t.Context(), &v1.ListPipelinesRequest{Parent: "accounts/default", PageToken: long})
	require.Equal(t, []string{"page_token"}, fields(err))
	_, err = c.Pipelines.DeletePipeline(t.Context(), &v1.DeletePipelineRequest{Name: "accounts/default/pipelines/web", Etag: long})
	require.Equal(t, []string{"etag"}, fields(err))
	execution := "accounts/default/pipelines/web/executions/x"
	_, err = c.Executions.DecideApproval(t.Context(), &v1.DecideApprovalRequest{Name: execution, Stage: long, Action: long})
	require.Equal(t, []string{"stage", "action"}, fields(err))
	_, err = c.Executions.ListExecutions(t.Context(), &v1.ListExecutionsRequest{
		Parent: "accounts/default/pipelines/-", Statuses: slices.Repeat([]v1.ExecutionStatus{v1.ExecutionStatus_EXECUTION_STATUS_FAILED}, 1000),
	})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	tail, err := c.Executions.TailLog(t.Context(), &v1.TailLogRequest{Name: execution, ActionExecutionId: long})
	require.NoError(t, err)
	_, err = tail.Recv()
	require.Equal(t, []string{"action_execution_id"}, fields(err), "requests of streams are checked too")
}

// A definition beyond all measure is refused before its rules are looked at, and
// one that is a little too large gets the words of its own rule.
func TestHugeDefinitionsAreRefusedEarly(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	validate := func(stages int) error {
		p := inline("default", "web")
		for range stages - len(p.GetDefinition().GetStages()) {
			p.Definition.Stages = append(p.Definition.Stages, &v1.Stage{})
		}
		_, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: p, ValidateOnly: true})
		return err
	}
	require.ErrorContains(t, validate(51), "50")
	require.Equal(t, []string{"pipeline"}, fields(validate(100000)))
	_, err := c.Pipelines.CreateAction(t.Context(), &v1.CreateActionRequest{Action: &v1.PipelineAction{
		Name:   client.ActionName("default", "web", "Build", "Compile"),
		Action: &v1.Action{EnvironmentVariables: slices.Repeat([]*v1.EnvironmentVariable{{}}, 100000)},
	}})
	require.Equal(t, []string{"action"}, fields(err))
	require.Equal(t, []string{"pipeline.definition.stages"}, fields(validate(1000)))
	p := inline("default", "web")
	p.Definition.Stages[1].Actions = slices.Repeat(p.Definition.Stages[1].Actions[:1], 1000)
	_, err = c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: p, ValidateOnly: true})
	require.Equal(t, []string{"pipeline.definition.stages[1].actions"}, fields(err))
	p.Definition.Stages[1].Actions = p.Definition.Stages[1].Actions[:1]
	p.Definition.Stages[1].Actions[0].Commands = make([]string, 1000)
	_, err = c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: p, ValidateOnly: true})
	require.Equal(t, []string{"pipeline.definition.stages[1].actions[0].commands"}, fields(err))
}

// Whoever sends too much hears the limit: from the client, and from the server where
// another client sends it.
func TestMessagesOverTheLimitAreRefused(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	huge := inline("default", "web")
	huge.Definition.Stages[1].Actions[0].Commands = []string{strings.Repeat("x", 5<<20)}
	_, err := b.Admin().Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: huge})
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.ErrorContains(t, err, "4 MiB for a request")

	conn, err := grpc.NewClient(b.Endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+b.AdminToken)
	_, err = v1.NewPipelineServiceClient(conn).CreatePipeline(ctx, &v1.CreatePipelineRequest{Pipeline: huge})
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.ErrorContains(t, err, "4194304", "the server says how much it takes")
	_, err = b.Admin().Pipelines.ListPipelines(t.Context(), &v1.ListPipelinesRequest{Parent: "accounts/default"})
	require.NoError(t, err)
}

// The HTTP listener takes what gRPC takes.
func TestMessagesOfBrowsersOverTheLimitAreRefused(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	// post sends the body of a call, without saying how long it is if it is chunked.
	post := func(body []byte, chunked bool, header map[string]string) (code int, text string) {
		var reader io.Reader = bytes.NewReader(body)
		if chunked {
			reader = io.MultiReader(reader)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+b.HTTPAddr+v1.PipelineService_CreatePipeline_FullMethodName, reader)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+b.AdminToken)
		request.Header.Set("Connect-Protocol-Version", "1")
		request.Header.Set("Content-Type", "application/proto")
		for name, value := range header {
			request.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(request)
		if err != nil {
			// The server ends a connection whose request is far too large.
			return 0, err.Error()
		}
		data, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode, string(data)
	}
	message := func(size int) []byte {
		p := inline("default", "web")
		p.Definition.Stages[1].Actions[0].Commands = []string{strings.Repeat("x", size)}
		data, err := proto.Marshal(&v1.CreatePipelineRequest{Pipeline: p, ValidateOnly: true})
		require.NoError(t, err)
		return data
	}
	for _, size := range []int{4 << 20, 5 << 20} {
		for _, chunked := range []bool{false, true} {
			code, text := post(message(size), chunked, nil)
			require.Equal(t, http.StatusTooManyRequests, code, text)
			require.Contains(t, text, "resource_exhausted")
		}
	}
	code, text := post(message(20<<20), false, nil)
	require.Contains(t, []int{0, http.StatusTooManyRequests}, code, text)
	code, text = post(message(20<<20), true, nil)
	require.NotEqual(t, http.StatusOK, code, text)

	var bomb bytes.Buffer
	compressed := gzip.NewWriter(&bomb)
	for range 64 {
		_, err := compressed.Write(make([]byte, 1<<20))
		require.NoError(t, err)
	}
	require.NoError(t, compressed.Close())
	code, text = post(bomb.Bytes(), false, map[string]string{"Content-Encoding": "gzip"})
	require.Equal(t, http.StatusTooManyRequests, code, text)
	require.Contains(t, text, "decompressed")

	code, text = post([]byte(`{"new_field": 1}`), false, map[string]string{"Content-Type": "application/json"})
	require.Equal(t, http.StatusBadRequest, code, text)
	require.Contains(t, text, "new_field")
	code, text = post(message(1<<20), false, nil)
	require.Equal(t, http.StatusBadRequest, code, text)
	require.Contains(t, text, "commands", "a message within the limit is looked at")
}
