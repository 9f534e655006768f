package client

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

const (
	// callTimeout ends unary calls whose context has no deadline.
	callTimeout = 30 * time.Second
	// connectTimeout ends an attempt to connect to a machine that does not answer.
	connectTimeout = 20 * time.Second
	// maxRequestSize and maxAnswerSize are the server's limits of one message.
	maxRequestSize = 4 << 20
	maxAnswerSize  = 16 << 20
	// keepaliveTime and keepaliveTimeout find a dead connection under a watch
	// within 40 seconds. The server has to allow pings this often.
	keepaliveTime    = 30 * time.Second
	keepaliveTimeout = 10 * time.Second
)

// Client is a connection to one headraced. Its methods are safe for concurrent
// use. Errors of calls are of type *Error.
type Client struct {
	// Endpoint is where the server listens.
	Endpoint string
	// Account is the account that the caller works in.
	Account string

	Pipelines     headracev1.PipelineServiceClient
	ApprovalRules headracev1.ApprovalRuleServiceClient
	Secrets       headracev1.SecretServiceClient
	Connections   headracev1.ConnectionServiceClient
	Triggers      headracev1.TriggerServiceClient
	Webhooks      headracev1.WebhookServiceClient
	Executions    headracev1.ExecutionServiceClient
	Accounts      headracev1.AccountServiceClient
	Retention     headracev1.RetentionServiceClient
	Catalog       headracev1.CatalogServiceClient
	Watch         headracev1.WatchServiceClient
	Server        headracev1.ServerServiceClient

	conn *grpc.ClientConn
	rim  rim
	age  *age
}

// Dial returns a client for the server that cfg names, which is best taken from
// FromEnvironment. The connection is made at the first call: an error here is
// about the configuration or its files, never about the network. userAgent
// names the program and its version, as in "headrace/1.2.3".
func Dial(cfg Config, userAgent string) (*Client, error) {
	if cfg.Endpoint == "" {
		cfg.Endpoint = DefaultEndpoint
	}
	if cfg.Account == "" {
		cfg.Account = DefaultAccount
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	transport, err := cfg.transport()
	if err != nil {
		return nil, err
	}
	rim := rim{endpoint: cfg.Endpoint, hasToken: cfg.Token != ""}
	age := &age{endpoint: cfg.Endpoint}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithUserAgent(userAgent),
		grpc.WithDefaultServiceConfig(serviceConfig()),
		grpc.WithConnectParams(reconnect()),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(maxAnswerSize),
			grpc.MaxCallSendMsgSize(maxRequestSize),
		),
		grpc.WithChainUnaryInterceptor(rim.unary, deadline, age.unary, newRequestIDs().unary),
		grpc.WithChainStreamInterceptor(rim.stream, age.stream),
	}
	if cfg.Token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer{token: cfg.Token, secure: !cfg.plaintext()}))
	}
	conn, err := grpc.NewClient(cfg.Endpoint, options...)
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", cfg.Endpoint, err)
	}
	return &Client{
		Endpoint:      cfg.Endpoint,
		Account:       cfg.Account,
		Pipelines:     headracev1.NewPipelineServiceClient(conn),
		ApprovalRules: headracev1.NewApprovalRuleServiceClient(conn),
		Secrets:       headracev1.NewSecretServiceClient(conn),
		Connections:   headracev1.NewConnectionServiceClient(conn),
		Triggers:      headracev1.NewTriggerServiceClient(conn),
		Webhooks:      headracev1.NewWebhookServiceClient(conn),
		Executions:    headracev1.NewExecutionServiceClient(conn),
		Accounts:      headracev1.NewAccountServiceClient(conn),
		Retention:     headracev1.NewRetentionServiceClient(conn),
		Catalog:       headracev1.NewCatalogServiceClient(conn),
		Watch:         headracev1.NewWatchServiceClient(conn),
		Server:        headracev1.NewServerServiceClient(conn),
		conn:          conn,
		rim:           rim,
		age:           age,
	}, nil
}

// Close ends the connection and every call on it.
func (c *Client) Close() error {
	return c.conn.Close()
}

// deadline gives unary calls without one a deadline, so that no caller waits
// forever for a server that accepts and never answers.
func deadline(
	ctx context.Context, method string, req, reply any,
	conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	return invoke(ctx, method, req, reply, conn, options...)
}
