package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func (a *app) connectionCommand() *cobra.Command {
	return group("connection", "Manage and check connections to forges and git servers", a.listConnectionsCommand(), a.showConnectionCommand(),
		a.createConnectionCommand(), a.setCredentialCommand(), a.deleteConnectionCommand(), a.doctorCommand())
}

func (a *app) listConnectionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the connections of the account, without their credentials",
		Example: `  headrace connection list`,
		Args:    cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			all := &headracev1.ListConnectionsResponse{}
			request := &headracev1.ListConnectionsRequest{Parent: client.AccountName(c.Account)}
			for {
				page, err := c.Connections.ListConnections(ctx, request)
				if err != nil {
					return err
				}
				all.Connections = append(all.Connections, page.GetConnections()...)
				if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
					break
				}
			}
			if a.json() {
				return a.out.document(all)
			}
			var rows [][]string
			for _, connection := range all.GetConnections() {
				kind, endpoint := typeOf(connection)
				rows = append(rows, []string{client.Segment(connection.GetName(), "connections"), kind, endpoint, connection.GetDescription()})
			}
			a.out.table([]string{"CONNECTION", "TYPE", "ENDPOINT", "DESCRIPTION"}, rows)
			return nil
		}),
	}
}

// typeOf returns the type of a connection, as Terraform names it, and its endpoint.
func typeOf(connection *headracev1.Connection) (kind, endpoint string) {
	switch of := connection.GetType().(type) {
	case *headracev1.Connection_GithubApp:
		return "github_app", of.GithubApp.GetEndpoint()
	case *headracev1.Connection_GithubToken:
		return "github_token", of.GithubToken.GetEndpoint()
	case *headracev1.Connection_Gitlab:
		return "gitlab", of.Gitlab.GetEndpoint()
	case *headracev1.Connection_Gitea:
		return "gitea", of.Gitea.GetEndpoint()
	case *headracev1.Connection_Git:
		return "git", of.Git.GetEndpoint()
	}
	return "", ""
}

func (a *app) showConnectionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME",
		Short:   "Show a connection without its credentials",
		Example: `  headrace connection show github`,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			name, err := connectionName(c, args[0])
			if err != nil {
				return err
			}
			response, err := c.Connections.GetConnection(ctx, &headracev1.GetConnectionRequest{Name: name.String()})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			a.showConnection(response.GetConnection())
			return nil
		}),
	}
}

func (a *app) showConnection(connection *headracev1.Connection) {
	kind, endpoint := typeOf(connection)
	fields := []string{
		"Connection", client.Segment(connection.GetName(), "connections"), "Description", connection.GetDescription(),
		"Type", kind, "Endpoint", endpoint,
	}
	if app := connection.GetGithubApp(); app != nil {
		fields = append(fields, "App", app.GetAppId(), "Installation", fmt.Sprint(app.GetInstallationId()))
	}
	fields = append(fields, "User", connection.GetGit().GetUsername(), "ARN", connection.GetArn(), "Allowed hosts", strings.Join(connection.GetAllowedHosts(), ", "),
		"Created", timeText(connection.GetCreateTime()), "Updated", timeText(connection.GetUpdateTime()))
	a.out.fields(fields...)
	var rows [][]string
	for _, credential := range connection.GetCredentials() {
		rows = append(rows, []string{credential.GetName(), timeText(credential.GetSetTime()), credential.GetFingerprint()})
	}
	if len(rows) > 0 {
		a.out.linef("")
		a.out.table([]string{"CREDENTIAL", "SET", "FINGERPRINT OF THE PUBLIC KEY"}, rows)
	}
}

func (a *app) createConnectionCommand() *cobra.Command {
	var flags connectionFlags
	command := &cobra.Command{
		Use:   "create NAME --type TYPE",
		Short: "Create a connection",
		Long: "Create a connection with one credential: the private key of a GitHub App, a token, a password, or the private\n" +
			"key for an SSH endpoint.\n\n" +
			"The credential is read from standard input, without the newline at its end. In a terminal, headrace asks for it\n" +
			"and does not show what is typed. With --from-file the credential is the file. Nobody can read it again.",
		Example: "  headrace connection create github --type github-app --app-id Iv23liAbCdEf --installation-id 12345678 --from-file app.pem\n" +
			"  printf %s \"$TOKEN\" | headrace connection create gitlab --type gitlab --endpoint https://gitlab.example.com\n" +
			"  headrace connection create git --type git --endpoint ssh://git@git.example.com --known-hosts hosts --from-file id_ed25519",
		Args: cobra.ExactArgs(1),
	}
	set := command.Flags()
	set.StringVar(&flags.kind, "type", "", "github-app, github-token, gitlab, gitea or git")
	set.StringVar(&flags.endpoint, "endpoint", "", "address of the forge, or of the git server with the path that its repositories have in common. "+
		"If not set, https://github.com or https://gitlab.com")
	set.StringVar(&flags.description, "description", "", "what the connection is for")
	set.StringVar(&flags.app, "app-id", "", "client id or app id of the GitHub App")
	set.Int64Var(&flags.installation, "installation-id", 0, "installation of the GitHub App")
	set.StringVar(&flags.username, "username", "", "user of a git server with an HTTPS endpoint")
	set.StringVar(&flags.knownHosts, "known-hosts", "", "file with the keys of a git server with an SSH endpoint, as ssh-keyscan prints them")
	set.StringVar(&flags.certificate, "ca-certificate", "", "file with certificates to trust in addition to those of the server's system")
	set.StringSliceVar(&flags.hosts, "allowed-host", nil, "host that submodules and LFS objects may come from, in addition to the endpoint's; may be repeated")
	set.StringVar(&flags.file, "from-file", "", "file that holds the credential")
	command.RunE = a.call(func(ctx context.Context, c *client.Client, args []string) error {
		name, err := connectionName(c, args[0])
		if err != nil {
			return err
		}
		connection, credential, err := flags.connection(name)
		if err != nil {
			return err
		}
		request := &headracev1.CreateConnectionRequest{Connection: connection}
		if credential != "" {
			if request.Credentials, err = a.credentials(ctx, credential, name.Connection, flags.file); err != nil {
				return err
			}
		}
		created, err := c.Connections.CreateConnection(ctx, request)
		if err != nil {
			return err
		}
		if a.json() {
			return a.out.document(created)
		}
		a.out.linef("created connection %s; check it with: headrace connection doctor %s", name.Connection, name.Connection)
		return nil
	})
	return command
}

// connectionFlags are the flags of create.
type connectionFlags struct {
	kind, endpoint, description, app, username, knownHosts, certificate, file string
	installation                                                              int64
	hosts                                                                     []string
}

// connection returns the connection that the flags say, and the name of its credential.
func (f *connectionFlags) connection(name pipeline.ConnectionName) (connection *headracev1.Connection, credential string, err error) {
	connection = &headracev1.Connection{Name: name.String(), Description: f.description, AllowedHosts: f.hosts}
	if connection.CaCertificate, err = fileText(f.certificate); err != nil {
		return nil, "", err
	}
	knownHosts, err := fileText(f.knownHosts)
	if err != nil {
		return nil, "", err
	}
	endpoint := func(usual string) string {
		if f.endpoint == "" {
			return usual
		}
		return f.endpoint
	}
	switch strings.ReplaceAll(f.kind, "_", "-") {
	case "github-app":
		connection.Type = &headracev1.Connection_GithubApp{GithubApp: &headracev1.GithubAppConnection{
			Endpoint: endpoint("https://github.com"), AppId: f.app, InstallationId: f.installation,
		}}
		return connection, "app_private_key", nil
	case "github-token":
		connection.Type = &headracev1.Connection_GithubToken{GithubToken: &headracev1.GithubTokenConnection{Endpoint: endpoint("https://github.com")}}
	case "gitlab":
		connection.Type = &headracev1.Connection_Gitlab{Gitlab: &headracev1.GitlabConnection{Endpoint: endpoint("https://gitlab.com")}}
	case "gitea":
		connection.Type = &headracev1.Connection_Gitea{Gitea: &headracev1.GiteaConnection{Endpoint: f.endpoint}}
	case "git":
		connection.Type = &headracev1.Connection_Git{Git: &headracev1.GitConnection{
			Endpoint: f.endpoint, Username: f.username, KnownHosts: knownHosts,
		}}
		switch {
		case strings.HasPrefix(f.endpoint, "ssh://"):
			return connection, "ssh_private_key", nil
		case f.username == "":
			return connection, "", nil
		}
		return connection, "password", nil
	case "":
		return nil, "", usagef("--type is missing; use github-app, github-token, gitlab, gitea or git")
	default:
		return nil, "", usagef("--type %s does not exist; use github-app, github-token, gitlab, gitea or git", f.kind)
	}
	return connection, "token", nil
}

// fileText returns the content of a file, empty for no file.
func fileText(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	content, err := readBounded(file)
	if err != nil {
		return "", usageError{err}
	}
	return string(content), nil
}

// credentials reads the value of a credential.
func (a *app) credentials(ctx context.Context, credential, connection, file string) (*headracev1.ConnectionCredentials, error) {
	value, err := a.secretValue(ctx, fmt.Sprintf("credential %s of connection %s", credential, connection), file)
	if err != nil {
		return nil, err
	}
	text := string(value)
	switch credential {
	case "token":
		return &headracev1.ConnectionCredentials{Token: trimmed(text)}, nil
	case "password":
		return &headracev1.ConnectionCredentials{Password: trimmed(text)}, nil
	case "app_private_key":
		return &headracev1.ConnectionCredentials{AppPrivateKey: &text}, nil
	case "ssh_private_key":
		return &headracev1.ConnectionCredentials{SshPrivateKey: &text}, nil
	default:
		return nil, usagef("--credential %s does not exist; use token, app_private_key, password or ssh_private_key", credential)
	}
}

// trimmed returns a value without the newline at its end, which editors add to files.
func trimmed(text string) *string {
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	return &text
}

func (a *app) setCredentialCommand() *cobra.Command {
	var credential, file string
	command := &cobra.Command{
		Use:   "set-credential NAME",
		Short: "Give a connection a new credential",
		Long: "Give a connection a new credential, for example before a token expires. Everything that uses the connection gets\n" +
			"the new one from then on. The credential is read as by headrace connection create.\n\n" +
			"If Terraform manages the connection, increase the _wo_version of the argument there instead.",
		Example: "  printf %s \"$TOKEN\" | headrace connection set-credential gitlab\n" +
			"  headrace connection set-credential github --from-file app.pem",
		Args: cobra.ExactArgs(1),
	}
	command.Flags().StringVar(&credential, "credential", "", "token, app_private_key, password or ssh_private_key. If not set, the one that the connection has")
	command.Flags().StringVar(&file, "from-file", "", "file that holds the credential")
	command.RunE = a.call(func(ctx context.Context, c *client.Client, args []string) error {
		name, err := connectionName(c, args[0])
		if err != nil {
			return err
		}
		found, err := c.Connections.GetConnection(ctx, &headracev1.GetConnectionRequest{Name: name.String()})
		if err != nil {
			return err
		}
		has := found.GetConnection().GetCredentials()
		switch {
		case credential != "":
		case len(has) == 1:
			credential = has[0].GetName()
		default:
			return usagef("connection %s has %d credentials; say which with --credential", name.Connection, len(has))
		}
		request := &headracev1.UpdateConnectionRequest{Connection: found.GetConnection()}
		if request.Credentials, err = a.credentials(ctx, credential, name.Connection, file); err != nil {
			return err
		}
		updated, err := c.Connections.UpdateConnection(ctx, request)
		if err != nil {
			return err
		}
		if a.json() {
			return a.out.document(updated)
		}
		a.out.linef("set %s of connection %s; check it with: headrace connection doctor %s", credential, name.Connection, name.Connection)
		return nil
	})
	return command
}

func (a *app) deleteConnectionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a connection with its credentials",
		Long: "Delete a connection with its credentials. The server refuses it while a trigger, a webhook or the newest version of\n" +
			"a pipeline uses the connection.",
		Example: `  headrace connection delete github`,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			name, err := connectionName(c, args[0])
			if err != nil {
				return err
			}
			if _, err := c.Connections.DeleteConnection(ctx, &headracev1.DeleteConnectionRequest{Name: name.String()}); err != nil {
				return err
			}
			if !a.json() {
				a.out.linef("deleted connection %s", name.Connection)
			}
			return nil
		}),
	}
}

func (a *app) doctorCommand() *cobra.Command {
	var repository string
	command := &cobra.Command{
		Use:   "doctor NAME",
		Short: "Check a connection and say what is missing",
		Long: "Check whether the server reaches the endpoint of a connection, whether the credentials are accepted, and which\n" +
			"permissions are missing and what they are for. With --repository also check whether the API and git read that\n" +
			"repository, and the state of its webhooks. Nothing is changed.\n\n" +
			"The exit code is 1 if a check failed. Warnings do not count.",
		Example: "  headrace connection doctor github\n  headrace connection doctor github --repository acme/web",
		Args:    cobra.ExactArgs(1),
	}
	command.Flags().StringVar(&repository, "repository", "", "repository to check too, such as acme/web")
	command.RunE = a.call(func(ctx context.Context, c *client.Client, args []string) error {
		name, err := connectionName(c, args[0])
		if err != nil {
			return err
		}
		response, err := c.Connections.CheckConnection(ctx, &headracev1.CheckConnectionRequest{Name: name.String(), Repository: repository})
		if err != nil {
			return err
		}
		failed := false
		for _, check := range response.GetChecks() {
			failed = failed || check.GetStatus() == headracev1.ConnectionCheckStatus_CONNECTION_CHECK_STATUS_FAILED
		}
		if a.json() {
			err = a.out.document(response)
		} else {
			a.showChecks(response.GetChecks())
		}
		if err == nil && failed {
			return endError{}
		}
		return err
	})
	return command
}

// showChecks prints each check on its line, and below it what to do.
func (a *app) showChecks(checks []*headracev1.ConnectionCheck) {
	for _, check := range checks {
		status := strings.TrimPrefix(check.GetStatus().String(), "CONNECTION_CHECK_STATUS_")
		a.out.linef("%-8s %s", strings.ToLower(status), oneLine(check.GetMessage()))
		if check.GetNextStep() != "" {
			a.out.linef("         -> %s", oneLine(check.GetNextStep()))
		}
	}
}

// connectionName reads the name of a connection, alone or as a resource name.
func connectionName(c *client.Client, text string) (pipeline.ConnectionName, error) {
	name := pipeline.ConnectionName{Account: c.Account, Connection: text}
	if client.Segment(text, "connections") != "" {
		var err error
		if name, err = pipeline.ParseConnectionName(text); err != nil {
			return name, usageError{err}
		}
	}
	if err := pipeline.CheckConnection(name.Connection); err != nil {
		return name, usageError{err}
	}
	return name, nil
}
