package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

func (a *app) serverInfoCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "server-info",
		Short:   "Show the server's version, store, isolation and capabilities (needs no token)",
		Example: `  headrace server-info`,
		Args:    cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			info, err := c.Server.GetServerInfo(ctx, &headracev1.GetServerInfoRequest{})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(info)
			}
			a.out.fields("Endpoint", c.Endpoint, "Version", info.GetVersion(), "Contract", revisions(info), "Store", info.GetStore(),
				"Isolation", isolation(info), "Capabilities", strings.Join(info.GetCapabilities(), ", "))
			return nil
		}),
	}
}

// isolation returns how the server isolates commands, with what follows if it cannot.
func isolation(info *headracev1.GetServerInfoResponse) string {
	if info.GetIsolation() == "unavailable" {
		return "unavailable: actions and rules that run commands fail; install bubblewrap, or start headraced with --isolation none"
	}
	return info.GetIsolation()
}

// revisions returns the server's revision of the contract, with that of this program if
// they differ.
func revisions(info *headracev1.GetServerInfoResponse) string {
	server, own := contract.RevisionOf(info), contract.Revision()
	if server == own {
		return fmt.Sprintf("revision %d", server)
	}
	return fmt.Sprintf("revision %d (this program has %d)", server, own)
}

func (a *app) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "whoami",
		Short:   "Show the principal, groups and roles of the token",
		Example: `  headrace whoami`,
		Args:    cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			me, err := c.Server.WhoAmI(ctx, &headracev1.WhoAmIRequest{})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(me)
			}
			a.out.fields("Principal", me.GetPrincipal(), "Groups", strings.Join(me.GetGroups(), ", "),
				"Roles", bindingsText(me.GetBindings()))
			return nil
		}),
	}
}

func (a *app) accountCommand() *cobra.Command {
	return group("account", "Create, list and configure accounts", &cobra.Command{
		Use:     "create ACCOUNT",
		Short:   "Create an account",
		Example: `  headrace account create staging`,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			response, err := c.Accounts.CreateAccount(ctx, &headracev1.CreateAccountRequest{
				Account: &headracev1.Account{Name: client.AccountName(args[0])},
			})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			a.out.linef("created account %s", client.Segment(response.GetAccount().GetName(), "accounts"))
			return nil
		}),
	}, a.accountShowCommand(), a.accountSetCommand(), &cobra.Command{
		Use:     "list",
		Short:   "List the accounts in which the token has a role",
		Example: `  headrace account list`,
		Args:    cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			response := &headracev1.ListAccountsResponse{}
			for request := (&headracev1.ListAccountsRequest{}); ; {
				page, err := c.Accounts.ListAccounts(ctx, request)
				if err != nil {
					return err
				}
				response.Accounts = append(response.Accounts, page.GetAccounts()...)
				if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
					break
				}
			}
			if a.json() {
				return a.out.document(response)
			}
			var rows [][]string
			for _, account := range response.GetAccounts() {
				rows = append(rows, []string{client.Segment(account.GetName(), "accounts"), timeText(account.GetCreateTime())})
			}
			a.out.table([]string{"ACCOUNT", "CREATED"}, rows)
			return nil
		}),
	})
}

func (a *app) accountShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show ACCOUNT",
		Short:   "Show an account with its settings",
		Example: `  headrace account show prod`,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			response, err := c.Accounts.GetAccount(ctx, &headracev1.GetAccountRequest{Name: client.AccountName(args[0])})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			a.showAccount(response.GetAccount(), response.GetWarnings())
			return nil
		}),
	}
}

func (a *app) accountSetCommand() *cobra.Command {
	const flag = "require-approval-rule"
	var required bool
	command := &cobra.Command{
		Use:   "set ACCOUNT --" + flag + "[=false]",
		Short: "Change settings of an account",
		Long: `Change settings of an account. It requires the admin role in the account.

With --require-approval-rule, a manual approval action that no approval rule matches
fails instead of waiting for any approver. Open approvals are not affected. The command
warns of each action that will fail.`,
		Example: `  headrace account set prod --require-approval-rule`,
		Args:    cobra.ExactArgs(1),
	}
	command.Flags().BoolVar(&required, flag, false, "fail manual approvals that no approval rule matches")
	command.RunE = a.call(func(ctx context.Context, c *client.Client, args []string) error {
		if !command.Flags().Changed(flag) {
			return usagef("nothing to change: use --%s or --%s=false", flag, flag)
		}
		response, err := c.Accounts.UpdateAccount(ctx, &headracev1.UpdateAccountRequest{
			Account: &headracev1.Account{
				Name: client.AccountName(args[0]), Settings: &headracev1.AccountSettings{RequireApprovalRule: required},
			},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"settings.require_approval_rule"}},
		})
		if err != nil {
			return err
		}
		if a.json() {
			return a.out.document(response)
		}
		a.showAccount(response.GetAccount(), response.GetWarnings())
		return nil
	})
	return command
}

func (a *app) showAccount(account *headracev1.Account, warnings []*headracev1.Warning) {
	rules := "optional: without one, an approver who did not start the execution"
	if account.GetSettings().GetRequireApprovalRule() {
		rules = "required: a manual approval that no rule matches fails"
	}
	a.out.fields("Account", client.Segment(account.GetName(), "accounts"), "Created", timeText(account.GetCreateTime()),
		"Approval rules", rules)
	a.warnings(warnings)
}

func (a *app) tokenCommand() *cobra.Command {
	return group("token", "Create, list and revoke tokens", a.tokenCreateCommand(), &cobra.Command{
		Use:     "list",
		Short:   "List tokens, without their secrets",
		Example: `  headrace token list`,
		Args:    cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			response := &headracev1.ListTokensResponse{}
			for request := (&headracev1.ListTokensRequest{}); ; {
				page, err := c.Accounts.ListTokens(ctx, request)
				if err != nil {
					return err
				}
				response.Tokens = append(response.Tokens, page.GetTokens()...)
				if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
					break
				}
			}
			if a.json() {
				return a.out.document(response)
			}
			var rows [][]string
			for _, token := range response.GetTokens() {
				rows = append(rows, []string{
					client.Segment(token.GetName(), "tokens"), token.GetPrincipal(), strings.Join(token.GetGroups(), ", "),
					bindingsText(token.GetBindings()), timeText(token.GetCreateTime()), expiryText(token.GetExpireTime()),
				})
			}
			a.out.table([]string{"ID", "PRINCIPAL", "GROUPS", "ROLES", "CREATED", "EXPIRES"}, rows)
			return nil
		}),
	}, &cobra.Command{
		Use:     "revoke ID",
		Short:   "Revoke a token immediately",
		Example: `  headrace token revoke 6f1c2d3e-0000-4000-8000-000000000003`,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			name := "tokens/" + strings.TrimPrefix(args[0], "tokens/")
			response, err := c.Accounts.RevokeToken(ctx, &headracev1.RevokeTokenRequest{Name: name})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			a.out.linef("revoked token %s", client.Segment(name, "tokens"))
			return nil
		}),
	})
}

func (a *app) tokenCreateCommand() *cobra.Command {
	var (
		principal, expires string
		groups, roles      []string
	)
	command := &cobra.Command{
		Use:   "create --principal NAME --role ACCOUNT=ROLE",
		Short: "Create a token and print its secret once",
		Long: `Create a token and print its secret once. The server does not keep the secret.

Standard output holds only the secret, so you can write it to a file:

  (umask 077 && headrace token create --principal alice --role dev=approver > alice.token)

The roles are admin, deployer, approver, viewer and runner. Use * as the account to
grant a role in all accounts.`,
		Example: `  headrace token create --principal ci --role default=deployer --expires 90d`,
		Args:    cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			token := &headracev1.Token{Principal: principal, Groups: groups}
			for _, text := range roles {
				binding, err := parseBinding(text)
				if err != nil {
					return err
				}
				token.Bindings = append(token.Bindings, binding)
			}
			if expires != "" {
				at, err := parseExpiry(expires, a.Now())
				if err != nil {
					return err
				}
				token.ExpireTime = timestamppb.New(at)
			}
			response, err := c.Accounts.CreateToken(ctx, &headracev1.CreateTokenRequest{Token: token})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			created := response.GetToken()
			a.err.linef("created token %s for %s (%s), expires %s; the secret is shown this once",
				client.Segment(created.GetName(), "tokens"), oneLine(created.GetPrincipal()),
				bindingsText(created.GetBindings()), expiryText(created.GetExpireTime()))
			a.out.linef("%s", response.GetSecret())
			return nil
		}),
	}
	flags := command.Flags()
	flags.StringVar(&principal, "principal", "", "person or machine that the token identifies")
	flags.StringArrayVar(&groups, "group", nil, "`GROUP` of the principal, for approval rules (repeatable)")
	flags.StringArrayVar(&roles, "role", nil, "role in an account, as `ACCOUNT=ROLE` (repeatable)")
	flags.StringVar(&expires, "expires", "", "when the token expires: 12h, 30d or an RFC 3339 time (default never)")
	required(command, "principal", "role")
	return command
}

// roleNames are the roles that a token can have, as users write them.
func roleNames() []string {
	var names []string
	for number := range headracev1.Role_name {
		if number != 0 {
			names = append(names, enumText(headracev1.Role(number), "ROLE_"))
		}
	}
	slices.Sort(names)
	return names
}

func parseBinding(text string) (*headracev1.RoleBinding, error) {
	account, role, ok := strings.Cut(text, "=")
	number := headracev1.Role_value["ROLE_"+strings.ToUpper(role)]
	if !ok || account == "" || number == 0 {
		return nil, usagef("--role is %q: use ACCOUNT=ROLE, where ROLE is one of %s", text, strings.Join(roleNames(), ", "))
	}
	return &headracev1.RoleBinding{Account: account, Role: headracev1.Role(number)}, nil
}

func parseExpiry(text string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	var length time.Duration
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n < 36500 {
			length = time.Duration(n) * 24 * time.Hour
		}
	} else if d, err := time.ParseDuration(text); err == nil {
		length = d
	}
	if length <= 0 {
		return time.Time{}, usagef("--expires is %q: use a time to come, as 12h, 30d or 2027-01-31T00:00:00Z", text)
	}
	return now.Add(length), nil
}

func expiryText(t *timestamppb.Timestamp) string {
	if t == nil {
		return "never"
	}
	return timeText(t)
}

func bindingsText(bindings []*headracev1.RoleBinding) string {
	texts := make([]string, len(bindings))
	for i, b := range bindings {
		texts[i] = fmt.Sprintf("%s=%s", b.GetAccount(), enumText(b.GetRole(), "ROLE_"))
	}
	return strings.Join(texts, ", ")
}
