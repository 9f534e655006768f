package pipeline

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// ConnectionType is what a connection reaches. Its text is the name of the type's block.
type ConnectionType string

// The types of connections.
const (
	ConnectionGitHubApp   ConnectionType = "github_app"
	ConnectionGitHubToken ConnectionType = "github_token"
	ConnectionGitLab      ConnectionType = "gitlab"
	ConnectionGitea       ConnectionType = "gitea"
	ConnectionGit         ConnectionType = "git"
)

// ConnectionTypes returns all types, in the order of the contract.
func ConnectionTypes() []ConnectionType {
	return []ConnectionType{ConnectionGitHubApp, ConnectionGitHubToken, ConnectionGitLab, ConnectionGitea, ConnectionGit}
}

// The limits of a connection.
const (
	maxEndpoint      = 2048
	maxAllowedHosts  = 100
	maxHost          = 255
	maxRepository    = 500
	maxUsername      = 255
	maxConnectionKey = 100
)

// Connection is what a connection declares, without its credentials.
type Connection struct {
	Type        ConnectionType
	Description string
	// Endpoint is the address of the forge, or what the addresses of the repositories of a
	// git server begin with.
	Endpoint string
	// AppID and InstallationID are of a GitHub App. AppID may be its client id.
	AppID          string
	InstallationID int64
	// Username and KnownHosts are of a git server.
	Username   string
	KnownHosts string
	// SSH is set if the repositories of a forge are cloned over SSH.
	SSH           *ConnectionSSH
	CACertificate string
	// AllowedHosts are hosts that submodules and LFS objects may come from, beside those of
	// the endpoints.
	AllowedHosts []string
}

// ConnectionSSH is how repositories of a forge are cloned over SSH.
type ConnectionSSH struct {
	// Endpoint is ssh://USER@HOST:PORT, empty for git@ the host of the forge.
	Endpoint   string
	KnownHosts string
}

// ValidateConnection checks a connection without its credentials. It returns a
// *ValidationError, with paths as in a connection of the contract, or nil. Texts and the
// installation id may be unknown, see Unknown.
func ValidateConnection(c *Connection) error {
	check := &checker{}
	block := Path(nil).Field(string(c.Type))
	switch c.Type {
	case ConnectionGitHubApp:
		check.forgeEndpoint(block.Field("endpoint"), c)
		if c.AppID != Unknown {
			check.check(block.Field("app_id"), checkWord("app_id", c.AppID, accountExtra, maxConnectionKey))
		}
		if c.InstallationID <= 0 && c.InstallationID != UnknownInt {
			check.refuse(block.Field("installation_id"), "installation_id is %d; take the number at the end of the address of the "+
				"installation's settings, such as 12345678", c.InstallationID)
		}
	case ConnectionGitHubToken, ConnectionGitLab, ConnectionGitea:
		check.forgeEndpoint(block.Field("endpoint"), c)
		check.ssh(block.Field("ssh"), c.SSH)
	case ConnectionGit:
		check.gitServer(block, c)
	default:
		check.refuse(nil, "no type; set exactly one of %s", joinTypes(ConnectionTypes()))
	}
	check.hosts(c.AllowedHosts)
	return check.err()
}

func joinTypes(types []ConnectionType) string {
	words := make([]string, len(types))
	for i, t := range types {
		words[i] = string(t)
	}
	return strings.Join(words, ", ")
}

// forgeEndpoint checks the address of a forge.
func (c *checker) forgeEndpoint(path Path, conn *Connection) {
	if conn.Endpoint == Unknown {
		return
	}
	address, err := parseEndpoint(conn.Endpoint, "https")
	if err != nil {
		c.check(path, err)
		return
	}
	github := conn.Type == ConnectionGitHubApp || conn.Type == ConnectionGitHubToken
	switch host := strings.ToLower(address.Hostname()); {
	case github && strings.Trim(address.Path, "/") != "":
		c.refuse(path, "%q has a path; write only https:// and the host, such as https://github.com", conn.Endpoint)
	case github && strings.HasPrefix(host, "api.") && (host == "api.github.com" || strings.HasSuffix(host, ".ghe.com")):
		c.refuse(path, "%q is the address of the API; write https://%s", conn.Endpoint, strings.TrimPrefix(host, "api."))
	}
}

// ssh checks how repositories of a forge are cloned over SSH.
func (c *checker) ssh(path Path, ssh *ConnectionSSH) {
	if ssh == nil {
		return
	}
	if ssh.Endpoint != "" && ssh.Endpoint != Unknown {
		address, err := parseEndpoint(ssh.Endpoint, "ssh")
		if err == nil && strings.Trim(address.Path, "/") != "" {
			err = fmt.Errorf("%q has a path; write ssh://USER@HOST or ssh://USER@HOST:PORT", ssh.Endpoint)
		}
		c.check(path.Field("endpoint"), err)
	}
	if ssh.KnownHosts == "" {
		c.refuse(path.Field("known_hosts"), "known_hosts is empty; add the keys of the SSH server, such as the output of: ssh-keyscan HOST")
	}
}

// gitServer checks a git server without an API.
func (c *checker) gitServer(block Path, conn *Connection) {
	if conn.Endpoint == Unknown {
		return
	}
	address, err := parseEndpoint(conn.Endpoint, "https", "ssh")
	if err != nil {
		c.check(block.Field("endpoint"), err)
		return
	}
	if address.Scheme == "ssh" {
		if conn.Username != "" {
			c.refuse(block.Field("username"), "username is for https; with ssh write the user into the endpoint: ssh://USER@HOST")
		}
		if conn.KnownHosts == "" {
			c.refuse(block.Field("known_hosts"), "known_hosts is empty; add the keys of the SSH server, such as the output of: ssh-keyscan %s",
				address.Hostname())
		}
		return
	}
	if conn.KnownHosts != "" {
		c.refuse(block.Field("known_hosts"), "known_hosts is for ssh, but the endpoint is %s; remove it, or change the endpoint", address.Scheme)
	}
	if conn.Username != Unknown {
		c.check(block.Field("username"), checkUsername(conn.Username))
	}
}

func checkUsername(name string) error {
	if err := checkText("the username", name, 0, maxUsername); err != nil {
		return err
	}
	if err := CheckLine("the username", name); err != nil {
		return err
	}
	if strings.Contains(name, ":") {
		return errors.New("the username holds a colon, which HTTP Basic does not allow; put the password into the credential password")
	}
	return nil
}

// hosts checks the further hosts of submodules and LFS objects.
func (c *checker) hosts(hosts []string) {
	known, complete := knownStrings(hosts)
	c.count(Path(nil).Field("allowed_hosts"), "hosts", known, complete, 0, maxAllowedHosts)
	for i, host := range hosts {
		if host != Unknown {
			c.check(Path(nil).At("allowed_hosts", i), checkHost(host))
		}
	}
}

// checkHost checks a host with an optional port.
func checkHost(host string) error {
	if err := checkText("the host", host, 1, maxHost); err != nil {
		return err
	}
	address, err := url.Parse("https://" + host)
	if err != nil || address.Host != host || address.Hostname() == "" || !validPort(address) || strings.ContainsAny(host, "*/@ ") {
		return fmt.Errorf("%q is not a host; write HOST or HOST:PORT without a scheme and a path, such as git.example.com", host)
	}
	return nil
}

// parseEndpoint reads an address with one of the schemes. Instead of https, http is allowed
// for this machine.
func parseEndpoint(endpoint string, schemes ...string) (*url.URL, error) {
	if endpoint == "" {
		return nil, fmt.Errorf("the endpoint is missing; write %s://HOST", schemes[0])
	}
	if err := checkText("the endpoint", endpoint, 1, maxEndpoint); err != nil {
		return nil, err
	}
	forms := make([]string, len(schemes))
	for i, scheme := range schemes {
		forms[i] = scheme + "://HOST"
	}
	form := strings.Join(forms, " or ")
	address, err := url.Parse(endpoint)
	// The address is not quoted before it is known to hold no password.
	if err != nil || address.Hostname() == "" || address.Opaque != "" {
		return nil, fmt.Errorf("the endpoint is not an address of the form %s", form)
	}
	if _, has := address.User.Password(); has || address.User != nil && address.Scheme != "ssh" {
		return nil, fmt.Errorf("the endpoint for %s has a user or a password in it; remove it, and set the credential", address.Hostname())
	}
	switch {
	case address.Scheme == "http" && slices.Contains(schemes, "https"):
		if !loopback(address.Hostname()) {
			return nil, fmt.Errorf("%q is not encrypted, so anyone on the way could read the credentials; use https, "+
				"with ca_certificate for a certificate of your own", endpoint)
		}
	case !slices.Contains(schemes, address.Scheme):
		return nil, fmt.Errorf("%q does not begin with %s", endpoint, form)
	}
	switch {
	case address.RawQuery != "" || address.Fragment != "" || address.ForceQuery:
		return nil, fmt.Errorf("%q has a query or a fragment; write %s", endpoint, form)
	case !validPort(address):
		return nil, fmt.Errorf("%q: the port must be 1 to 65535", endpoint)
	case address.User != nil && !sshUser(address.User.Username()):
		return nil, fmt.Errorf("%q: the user must be of A-Z a-z 0-9 . _ - and must not begin with -", endpoint)
	case strings.HasPrefix(address.Hostname(), "-"):
		return nil, fmt.Errorf("%q: the host must not begin with -", endpoint)
	}
	return address, nil
}

func sshUser(user string) bool {
	return user != "" && user[0] != '-' && strings.Trim(user, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

func validPort(address *url.URL) bool {
	if address.Port() == "" {
		return !strings.HasSuffix(address.Host, ":")
	}
	port, err := strconv.ParseUint(address.Port(), 10, 16)
	return err == nil && port > 0
}

func loopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}

// Forge tells whether the connection reaches a forge with an API.
func (t ConnectionType) Forge() bool { return t != ConnectionGit }

// UsesSSH tells whether git reaches the repositories over SSH.
func (c *Connection) UsesSSH() bool {
	return c.SSH != nil || c.Type == ConnectionGit && strings.HasPrefix(c.Endpoint, "ssh://")
}

// RepositoryPath returns the name of a repository that is given by its name, or by an address
// on the host of the connection, such as https://github.com/acme/web.git.
func (c *Connection) RepositoryPath(repository string) (string, error) {
	address, err := repositoryAddress(repository)
	if err != nil || address == nil {
		return repository, err
	}
	for _, endpoint := range []string{c.Endpoint, c.gitEndpoint()} {
		base, err := url.Parse(endpoint)
		if err != nil {
			return "", fmt.Errorf("endpoint of the connection: %w", err)
		}
		if !strings.EqualFold(base.Hostname(), address.Hostname()) || base.Scheme == address.Scheme && hostOf(base) != hostOf(address) {
			continue
		}
		// A git server without an API is known by its one address only.
		if !c.Type.Forge() && (base.Scheme != address.Scheme || hostOf(base) != hostOf(address)) {
			continue
		}
		root := strings.TrimRight(base.Path, "/") + "/"
		if address.Scheme == "ssh" && c.Type.Forge() {
			root = "/"
		}
		if path, ok := strings.CutPrefix(address.Path, root); ok {
			return path, nil
		}
	}
	return "", fmt.Errorf("the repository is not on the host of the connection; use an address that begins with %s, or only its path", c.Endpoint)
}

// repositoryAddress reads the address of a repository, nil if it is only a path. Its errors
// never hold the address, which may hold credentials.
func repositoryAddress(repository string) (*url.URL, error) {
	if !strings.Contains(repository, "://") {
		user, rest, ok := strings.Cut(repository, "@")
		host, path, colon := strings.Cut(rest, ":")
		if !ok || !colon || strings.Contains(user, "/") {
			return nil, nil //nolint:nilnil // A path is no address.
		}
		return &url.URL{Scheme: "ssh", User: url.User(user), Host: host, Path: "/" + strings.TrimPrefix(path, "/")}, nil
	}
	address, err := url.Parse(repository)
	if err != nil {
		return nil, errors.New("the address of the repository cannot be read")
	}
	if _, has := address.User.Password(); has || address.User != nil && address.Scheme != "ssh" {
		return nil, errors.New("the address of the repository has a user or a password in it; remove it, since the connection has the credentials")
	}
	return address, nil
}

// CloneURL returns the address of a repository for git, without a credential.
func (c *Connection) CloneURL(repository string) (string, error) {
	if err := CheckRepository(c.Type, repository); err != nil {
		return "", err
	}
	base, err := url.Parse(c.gitEndpoint())
	if err != nil {
		return "", fmt.Errorf("endpoint of the connection: %w", err)
	}
	name := strings.Trim(repository, "/")
	if c.Type.Forge() {
		name = strings.TrimSuffix(name, ".git") + ".git"
	}
	return base.JoinPath(strings.Split(name, "/")...).String(), nil
}

// gitEndpoint returns what the addresses of the repositories begin with.
func (c *Connection) gitEndpoint() string {
	switch {
	case c.SSH == nil:
		return c.Endpoint
	case c.SSH.Endpoint != "":
		return c.SSH.Endpoint
	}
	address, err := url.Parse(c.Endpoint)
	if err != nil {
		return ""
	}
	return "ssh://git@" + bracketed(address.Hostname())
}

// bracketed returns a host as it stands in an address.
func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// Hosts returns the hosts that submodules and LFS objects may come from: those of the
// endpoints and the allowed ones, in lower case, with the port if it is not the scheme's.
func (c *Connection) Hosts() []string {
	hosts := make([]string, 0, len(c.AllowedHosts)+2)
	for _, endpoint := range []string{c.Endpoint, c.gitEndpoint()} {
		if address, err := url.Parse(endpoint); err == nil && address.Host != "" {
			hosts = append(hosts, hostOf(address))
		}
	}
	for _, host := range c.AllowedHosts {
		hosts = append(hosts, strings.ToLower(host))
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// hostOf returns the host of an address, with the port if it is not the scheme's.
func hostOf(address *url.URL) string {
	host, port := bracketed(strings.ToLower(address.Hostname())), address.Port()
	if port == "" || port == map[string]string{"https": "443", "http": "80", "ssh": "22"}[address.Scheme] {
		return host
	}
	return host + ":" + port
}

// SameHosts tells whether two connections have the same type and send their credentials to
// the same places.
func (c *Connection) SameHosts(other *Connection) bool {
	return c.Type == other.Type && origin(c.Endpoint) == origin(other.Endpoint) && origin(c.gitEndpoint()) == origin(other.gitEndpoint())
}

// origin returns the scheme and the host of an address.
func origin(endpoint string) string {
	address, err := url.Parse(endpoint)
	if err != nil {
		return endpoint
	}
	return address.Scheme + "://" + hostOf(address)
}

// CheckRepository says what is wrong with the name of a repository of a connection.
func CheckRepository(of ConnectionType, repository string) error {
	if err := checkText("the repository", repository, 1, maxRepository); err != nil {
		return err
	}
	if err := CheckLine("the repository", repository); err != nil {
		return err
	}
	if strings.Contains(repository, "://") {
		return fmt.Errorf("repository %q is an address; write only its path, such as acme/web", repository)
	}
	parts := strings.Split(strings.TrimSuffix(strings.Trim(repository, "/"), ".git"), "/")
	for _, part := range parts {
		if part == "" || part == "." || part == ".." || strings.ContainsAny(part, `\?#%:`) {
			return fmt.Errorf("repository %q is not a path of names; write it as acme/web", repository)
		}
	}
	switch of {
	case ConnectionGitHubApp, ConnectionGitHubToken, ConnectionGitea:
		if len(parts) != 2 {
			return fmt.Errorf("repository %q is not OWNER/NAME; write it as acme/web", repository)
		}
	case ConnectionGitLab:
		if len(parts) < 2 {
			return fmt.Errorf("repository %q is not GROUP/PROJECT; write it as acme/web", repository)
		}
	case ConnectionGit:
	}
	return nil
}

// ConnectionReference reads how an action or a trigger of an account names a connection: by
// its name, its resource name or its ARN.
func ConnectionReference(account, text string) (ConnectionName, error) {
	var name ConnectionName
	var err error
	switch {
	case strings.HasPrefix(text, "arn:"):
		name, err = ParseConnectionARN(text)
	case strings.Contains(text, "/"):
		name, err = ParseConnectionName(text)
	default:
		name = ConnectionName{Account: account, Connection: text}
		err = CheckConnection(text)
	}
	if err == nil && name.Account != account {
		err = &ForeignConnectionError{Text: text, Account: account}
	}
	return name, err
}

// ForeignConnectionError says that an account names a connection of another one. It says the same
// whether that exists or not.
type ForeignConnectionError struct {
	// Text is the name as it was written, Account the account that cannot use it.
	Text, Account string
}

// Error implements error.
func (e *ForeignConnectionError) Error() string {
	return fmt.Sprintf("%q names a connection of another account; name a connection of account %q", e.Text, e.Account)
}

// ForeignConnections returns the connections of other accounts that the actions of a definition
// name, each with its path.
func ForeignConnections(account string, def *Definition, catalog *Catalog) []Violation {
	var found []Violation
	for i := range def.Stages {
		for j := range def.Stages[i].Actions {
			action := &def.Stages[i].Actions[j]
			key := catalog.ConnectionProperty(action.TypeID())
			_, err := ConnectionReference(account, action.Configuration[key])
			var foreign *ForeignConnectionError
			if errors.As(err, &foreign) {
				found = append(found, Violation{
					Path: Path(nil).At("stages", i).At("actions", j).Entry("configuration", key), Message: foreign.Error(),
				})
			}
		}
	}
	return found
}

// The parts of the ARN of a connection. Its partition makes that no service of AWS takes it
// for its own.
const (
	connectionARNStart = "arn:headrace:connections::"
	connectionARNForm  = connectionARNStart + "ACCOUNT:connection/NAME"
)

// ARN returns what ConnectionArn of an action takes.
func (n ConnectionName) ARN() string {
	return connectionARNStart + n.Account + ":connection/" + n.Connection
}

// ParseConnectionARN reads what ARN returns.
func ParseConnectionARN(arn string) (ConnectionName, error) {
	rest, own := strings.CutPrefix(arn, connectionARNStart)
	account, connection, whole := strings.Cut(rest, ":connection/")
	switch {
	case strings.HasPrefix(arn, "arn:aws"):
		return ConnectionName{}, fmt.Errorf("%q is a connection of AWS; use the arn of a headrace_connection, which is %s", arn, connectionARNForm)
	case !own || !whole:
		return ConnectionName{}, fmt.Errorf("%q is not the ARN of a connection; write %s", arn, connectionARNForm)
	}
	if err := CheckAccount(account); err != nil {
		return ConnectionName{}, fmt.Errorf("ARN %q: %w", arn, err)
	}
	if err := CheckConnection(connection); err != nil {
		return ConnectionName{}, fmt.Errorf("ARN %q: %w", arn, err)
	}
	return ConnectionName{Account: account, Connection: connection}, nil
}
