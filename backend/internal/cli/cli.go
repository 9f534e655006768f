// Package cli is the operator's command line, headrace: it turns arguments into
// calls of the server and answers into text or JSON. It must never keep state
// of its own nor decide what the server should: it asks, shows and exits.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// The exit codes that scripts can rely on.
const (
	// ExitOK: done, and a followed execution succeeded.
	ExitOK = 0
	// ExitFailed: the server refused the request, or a followed execution ended
	// otherwise than Succeeded.
	ExitFailed = 1
	// ExitUsage: wrong arguments, flags or configuration, or a name that matches several
	// objects; nothing was changed.
	ExitUsage = 2
	// ExitNoAccess: the server cannot be reached, or refuses the token or its roles.
	ExitNoAccess = 3
	// ExitInterrupted: ended by a signal. A started execution goes on.
	ExitInterrupted = 130
)

// Process is the world around one run of the command.
type Process struct {
	// Args are the arguments without the program's name.
	Args           []string
	Stdout, Stderr io.Writer
	// Stdin is read for answers to questions, which are asked only where InTerminal says
	// that it is a terminal.
	Stdin      io.Reader
	InTerminal bool
	// ReadHidden reads a line of Stdin, which is a terminal, without showing it. Nil where
	// that cannot be done.
	ReadHidden func(ctx context.Context) ([]byte, error)
	Getenv     func(string) string
	// Terminal returns the size of the terminal that Stdout is, and false where
	// it is none. Nil means none.
	Terminal func() (width, height int, ok bool)
	// OnTerminal says that Stdout is a terminal of any kind, also one of which
	// Terminal cannot tell the size: what others wrote must not command it.
	OnTerminal bool
	// Version of the program, for the server's log.
	Version string
	// Now is the clock; time.Now where nil.
	Now func() time.Time
	// Backoff returns how long to wait before the numbered try, from 1, to
	// connect again to a server that went away; a default where nil.
	Backoff func(try int) time.Duration
}

// Run carries out one command and returns the exit code.
func Run(ctx context.Context, process Process) int {
	if process.Now == nil {
		process.Now = time.Now
	}
	if process.Backoff == nil {
		process.Backoff = backoff
	}
	a := &app{Process: process, out: &printer{w: process.Stdout}, err: &printer{w: process.Stderr}}
	root := a.root()
	root.SetArgs(process.Args)
	root.SetOut(process.Stdout)
	root.SetErr(process.Stderr)
	command, err := root.ExecuteContextC(ctx)
	return a.exit(ctx, command, err)
}

// app is what all commands share.
type app struct {
	Process
	out, err *printer
	// output is text or json.
	output string
	// flags is the configuration that flags gave.
	flags client.Config
}

// usageError is a mistake in how the command was called.
type usageError struct{ error }

// runError is the failure of a command that was called rightly.
type runError struct{ error }

// Unwrap returns the cause.
func (e runError) Unwrap() error { return e.error }

// endError is a followed execution that did not succeed. The command did its
// duty and said what there is to say.
type endError struct{ status string }

// Error tells how the execution ended.
func (e endError) Error() string { return "the execution ended as " + e.status }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// exit reports an error to the user and returns its exit code.
func (a *app) exit(ctx context.Context, command *cobra.Command, err error) int {
	if err == nil {
		return ExitOK
	}
	var (
		usage  usageError
		failed runError
		ended  endError
	)
	switch {
	case errors.As(err, &ended):
		return ExitFailed
	case errors.As(err, &usage), !errors.As(err, &failed):
		a.err.linef("headrace: %s", harmless(err.Error()))
		a.err.linef("See %q.", command.CommandPath()+" --help")
		return ExitUsage
	case ctx.Err() != nil:
		a.err.linef("headrace: interrupted")
		return ExitInterrupted
	}
	a.err.linef("headrace: %s", harmless(client.Describe(failed.error)))
	return exitCode(failed.error)
}

func exitCode(err error) int {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Unauthenticated:
		return ExitNoAccess
	case codes.PermissionDenied:
		// The token is good; the rule does not want this person.
		if client.Reason(err) == pipeline.ReasonApprovalNotEligible {
			return ExitFailed
		}
		return ExitNoAccess
	default:
		return ExitFailed
	}
}

// Groups of the commands in headrace --help.
const (
	groupDaily      = "daily"
	groupRelease    = "release"
	groupAdminister = "administer"
)

// helpNotes follows the commands and flags in headrace --help.
const helpNotes = `
An EXECUTION is one of:
  web#3            execution 3 of the pipeline web
  web              the latest execution of the pipeline web; commands that change an
                   execution accept it only if exactly one execution qualifies
  6f1c2d3e-…       the id of an execution
  accounts/…       the full name of an execution

Environment variables (a flag takes precedence):
  HEADRACE_ENDPOINT          --endpoint
  HEADRACE_TOKEN_FILE        --token-file
  HEADRACE_TOKEN             the token itself; set this or HEADRACE_TOKEN_FILE, not both.
                             It has no flag, because process lists show arguments
  HEADRACE_ACCOUNT           --account
  HEADRACE_CA_CERT_FILE      --ca-cert-file
  HEADRACE_CLIENT_CERT_FILE  --client-cert-file
  HEADRACE_CLIENT_KEY_FILE   --client-key-file
  HEADRACE_INSECURE          --insecure

JSON output (-o json) is the protocol buffers JSON of the API's messages. States have
their full names (EXECUTION_STATUS_SUCCEEDED for Succeeded), 64-bit numbers are strings,
times are in UTC and bytes are base64. Commands that follow an execution print one object
per line.

Exit codes:
  0    success; a followed execution succeeded
  1    the server refused the request, or a followed execution did not succeed
  2    invalid arguments or configuration, or a name that matches several executions
       or actions; nothing was changed
  3    the server cannot be reached, or refuses the token or its roles
  130  interrupted; an execution that was started continues
`

// root returns the command tree.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "headrace",
		Short:         "Run and watch the release pipelines of a headraced server",
		Version:       a.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(command *cobra.Command, args []string) error {
			if err := checkUTF8(command, args); err != nil {
				return err
			}
			if a.output != "text" && a.output != "json" {
				return usagef("--output is %q: use text or json", a.output)
			}
			return nil
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	flags := root.PersistentFlags()
	flags.StringVar(&a.flags.Endpoint, "endpoint", "", "server, as host:port or unix:/path (default 127.0.0.1:7480)")
	flags.StringVar(&a.flags.TokenFile, "token-file", "", "file that holds the token")
	flags.StringVar(&a.flags.Account, "account", "", "account to use (default \"default\")")
	flags.StringVar(&a.flags.CACertFile, "ca-cert-file", "", "PEM file of the certificate authorities that the server's certificate is checked against")
	flags.StringVar(&a.flags.ClientCertFile, "client-cert-file", "", "PEM file of the client certificate")
	flags.StringVar(&a.flags.ClientKeyFile, "client-key-file", "", "PEM file of the client certificate's key")
	flags.BoolVar(&a.flags.Insecure, "insecure", false, "allow a connection without TLS to another machine; anyone who sees the traffic can read the token")
	flags.StringVarP(&a.output, "output", "o", "text", "output format: text or json")
	root.AddGroup(
		&cobra.Group{ID: groupDaily, Title: "Daily commands:"},
		&cobra.Group{ID: groupRelease, Title: "Pipelines and releases:"},
		&cobra.Group{ID: groupAdminister, Title: "Administration:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, command := range commands {
			command.GroupID = group
			root.AddCommand(command)
		}
	}
	add(groupDaily, a.runCommand(), a.executionCommand(), a.explainCommand(), a.logsCommand(), a.decideCommand(true), a.decideCommand(false))
	add(groupRelease, a.pipelineCommand(), a.rollbackCommand(), a.transitionCommand(), a.searchCommand(), a.artifactCommand(), a.approvalRuleCommand(), a.secretCommand(),
		a.connectionCommand(), a.triggerCommand(), a.webhookCommand(), a.actionTypeCommand(), a.ruleTypeCommand())
	add(groupAdminister, a.accountCommand(), a.tokenCommand(), a.retentionCommand(), a.serverInfoCommand(), a.whoamiCommand(), a.apiCommand())
	root.SetHelpTemplate(root.HelpTemplate() + "{{if not .HasParent}}" + helpNotes + "{{end}}")
	return root
}

// group returns a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	command := &cobra.Command{
		Use:   use,
		Short: short,
		RunE: func(command *cobra.Command, args []string) error {
			names := make([]string, 0, len(commands))
			for _, c := range command.Commands() {
				names = append(names, c.Name())
			}
			if len(args) > 0 {
				return usagef("%s has no command %q: use one of %s", command.CommandPath(), args[0], strings.Join(names, ", "))
			}
			return usagef("%s needs a command: one of %s", command.CommandPath(), strings.Join(names, ", "))
		},
	}
	command.AddCommand(commands...)
	return command
}

// call returns the RunE of a command that talks to the server.
func (a *app) call(do func(ctx context.Context, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) (err error) {
		cfg, err := client.FromEnvironment(a.Getenv, a.flags)
		if err != nil {
			return usageError{err}
		}
		if err := pipeline.CheckAccount(cfg.Account); err != nil {
			return usagef("%w; it comes from --account or %s", err, client.EnvAccount)
		}
		c, err := client.Dial(cfg, "headrace/"+a.Version)
		if err != nil {
			return usageError{err}
		}
		err = do(command.Context(), c, args)
		err = errors.Join(err, c.Close(), a.out.failure)
		var usage usageError
		if err == nil || errors.As(err, &usage) {
			return err
		}
		return runError{unjoin(err)}
	}
}

// unjoin returns the only error of a join, so that its type stays visible.
func unjoin(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) == 1 {
		return joined.Unwrap()[0]
	}
	return err
}

// backoff waits half a second, then twice as long each time, up to five seconds.
func backoff(try int) time.Duration {
	const first, longest = 500 * time.Millisecond, 5 * time.Second
	if try > 4 {
		return longest
	}
	return min(first<<(try-1), longest)
}
