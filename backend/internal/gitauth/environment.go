package gitauth

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
)

// Environment is what a git process runs with.
type Environment struct {
	// Vars is the whole environment of the process, as KEY=value. It holds the password. A
	// caller may add variables that are not in it, such as GIT_DIR.
	Vars []string
	// Visible are paths outside of the directory that the process must be able to read, for
	// a runner that isolates it.
	Visible []string
}

// Names of the files in the directory.
const (
	configFile     = "gitconfig"
	sshConfigFile  = "ssh_config"
	keyFile        = "key"
	knownHostsFile = "known_hosts"
	caFile         = "ca.pem"
)

// The password reaches the helper by the environment, not by arguments, which every user of
// the machine can read.
const (
	usernameVariable = "HEADRACE_GIT_USERNAME"
	passwordVariable = "HEADRACE_GIT_PASSWORD" //nolint:gosec // The name of a variable.
	helper           = `!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$` + usernameVariable + `" "$` + passwordVariable + `"; }; f`
)

// ErrNoHostKeys is returned for a remote over SSH without known hosts.
var ErrNoHostKeys = errors.New("the connection pins no SSH host key; add known_hosts to it")

// passed are the variables of this process that reach git.
func passed() []string {
	return []string{
		"PATH",
		"http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAPATH",
	}
}

// Prepare writes files to dir, and returns the environment with which git, and git-lfs as its
// helper, authenticate to the remote. Git then reads no configuration of the machine or the
// user, runs no hook, and asks nobody. The directory is an absolute path and the caller's
// own; the caller removes it when git has ended. It also becomes the home directory of git.
func Prepare(dir string, remote Remote) (Environment, error) {
	if !filepath.IsAbs(dir) || strings.ContainsAny(dir, "\"'\\%$\n") {
		return Environment{}, fmt.Errorf("the directory %q cannot be named in a configuration of ssh", dir)
	}
	for _, value := range []string{remote.Username, remote.Password} {
		if strings.ContainsAny(value, "\n\r\x00") {
			return Environment{}, errors.New("the username or the password has a line break in it")
		}
	}
	server, err := parseEndpoint(remote.URL)
	if err != nil {
		return Environment{}, fmt.Errorf("the address of the repository cannot be used: %w", err)
	}
	p := &preparation{dir: dir, remote: remote, server: server}
	p.set("LC_ALL", "C")
	p.set("HOME", dir)
	p.set("GIT_CONFIG_NOSYSTEM", "1")
	p.set("GIT_CONFIG_GLOBAL", filepath.Join(dir, configFile))
	p.set("GIT_TERMINAL_PROMPT", "0")
	p.set("GIT_ADVICE", "0")
	p.set("GIT_ALLOW_PROTOCOL", p.protocols())
	for _, name := range passed() {
		p.pass(name)
	}
	if err := errors.Join(p.ssh(), p.config()); err != nil {
		return Environment{}, err
	}
	return p.made, nil
}

// preparation is one call of Prepare.
type preparation struct {
	dir    string
	remote Remote
	server endpoint
	made   Environment
}

func (p *preparation) set(name, value string) {
	p.made.Vars = append(p.made.Vars, name+"="+value)
}

// pass hands on a variable of this process, and shows the file that it names.
func (p *preparation) pass(name string) {
	value := os.Getenv(name)
	if value == "" {
		return
	}
	p.set(name, value)
	if filepath.IsAbs(value) && name != "PATH" {
		p.made.Visible = append(p.made.Visible, value)
	}
}

func (p *preparation) write(name, text string) error {
	path := filepath.Join(p.dir, name)
	// WriteFile leaves the mode of a file that exists.
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Chmod(path, 0o600)
}

// protocols returns the transports that git may use. Paths on this machine are allowed only if
// the repository itself is one.
func (p *preparation) protocols() string {
	allowed := []string{"https", "ssh"}
	if !slices.Contains(allowed, p.server.scheme) {
		allowed = append(allowed, p.server.scheme)
	}
	return strings.Join(allowed, ":")
}

// ssh makes the configuration of ssh. The key is for the remote's host alone.
func (p *preparation) ssh() error {
	if p.remote.OwnKeys {
		p.set("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
		p.pass("SSH_AUTH_SOCK")
		// ssh finds its files by the user, not by HOME.
		if current, err := user.Current(); err == nil && filepath.IsAbs(current.HomeDir) && p.server.scheme == "ssh" {
			p.made.Visible = append(p.made.Visible, filepath.Join(current.HomeDir, ".ssh"))
		}
		return nil
	}
	if p.server.scheme == "ssh" && strings.TrimSpace(p.remote.KnownHosts) == "" {
		return ErrNoHostKeys
	}
	identity := ""
	if p.remote.PrivateKey != "" && p.server.host != "" {
		identity = fmt.Sprintf("Host %s\n  IdentityFile \"%s\"\n", p.server.host, filepath.Join(p.dir, keyFile))
		if err := p.write(keyFile, lines(p.remote.PrivateKey)); err != nil {
			return err
		}
	}
	p.set("GIT_SSH_COMMAND", "ssh -F '"+filepath.Join(p.dir, sshConfigFile)+"'")
	p.set("GIT_SSH_VARIANT", "ssh")
	return errors.Join(
		p.write(knownHostsFile, lines(p.remote.KnownHosts)),
		p.write(sshConfigFile, identity+fmt.Sprintf(sshSettings, filepath.Join(p.dir, knownHostsFile))),
	)
}

// sshSettings hold for every host. The first value of an option counts, but files with
// identities add up; none keeps ssh from the usual ones.
const sshSettings = `Host *
  IdentityFile none
  IdentitiesOnly yes
  IdentityAgent none
  PreferredAuthentications publickey
  BatchMode yes
  StrictHostKeyChecking yes
  UserKnownHostsFile "%s"
  GlobalKnownHostsFile /dev/null
  UpdateHostKeys no
  CheckHostIP no
  CanonicalizeHostname no
  ClearAllForwardings yes
  ForwardAgent no
  PermitLocalCommand no
  ControlMaster no
  ControlPath none
  ConnectTimeout 30
  ServerAliveInterval 15
  ServerAliveCountMax 4
`

// lines returns text with the line ends that ssh insists on.
func lines(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if text == "" || strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}

// config makes the configuration of git. It is a file, since git ignores safe.directory
// from the environment when it serves a repository of this machine, and since processes that
// git starts for submodules get it too.
func (p *preparation) config() error {
	var text strings.Builder
	text.WriteString(settings)
	section := func(name, of string, keys ...string) {
		_, _ = fmt.Fprintf(&text, "[%s \"%s\"]\n", name, of)
		for i := 0; i < len(keys); i += 2 {
			_, _ = fmt.Fprintf(&text, "\t%s = %s\n", keys[i], quote(keys[i+1]))
		}
	}
	web := p.server.scheme == "https" || p.server.scheme == "http"
	if web && (p.remote.Username != "" || p.remote.Password != "") {
		section("credential", p.server.base(), "helper", helper)
		p.set(usernameVariable, p.remote.Username)
		p.set(passwordVariable, p.remote.Password)
	}
	if p.server.host != "" && !p.remote.OwnKeys {
		p.rewrite(section)
	}
	operators := os.Getenv("GIT_SSL_CAINFO")
	if filepath.IsAbs(operators) {
		p.made.Visible = append(p.made.Visible, operators)
		_, _ = fmt.Fprintf(&text, "[http]\n\tsslCAInfo = %s\n", quote(operators))
	}
	if web && p.remote.CACertificate != "" {
		section("http", p.server.base(), "sslCAInfo", filepath.Join(p.dir, caFile))
		if err := p.write(caFile, lines(trusted(operators))+lines(p.remote.CACertificate)); err != nil {
			return err
		}
	}
	return p.write(configFile, text.String())
}

// rewrite makes submodules that a repository names by SSH reach the same server by the
// remote's own scheme, for which the credentials are, and the reverse.
func (p *preparation) rewrite(section func(name, of string, keys ...string)) {
	other := endpoint{host: p.server.host}
	switch p.server.scheme {
	case "ssh":
		user := p.server.user
		if user == "" {
			user = "git"
		}
		other.scheme = "https"
		section("url", strings.Replace(p.server.base(), "://", "://"+user+"@", 1)+"/", "insteadOf", other.base()+"/")
	case "https", "http":
		other.scheme = "ssh"
		section("url", p.server.base()+"/",
			"insteadOf", "git@"+other.host+":",
			"insteadOf", "ssh://git@"+other.host+"/")
	}
}

// settings hold for every remote. The empty helper drops those before it.
const settings = `[safe]
	directory = *
[core]
	hooksPath = /dev/null
	fsmonitor = false
	askPass =
[gc]
	auto = 0
[maintenance]
	auto = false
[fetch]
	recurseSubmodules = false
[submodule]
	recurse = false
[credential]
	helper =
`

// quote returns a value as git's configuration takes it.
func quote(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value) + `"`
}

// trusted returns the certificates that the machine trusts, since git replaces them by those
// that it is given. It is empty if none of the usual files exists: git then trusts the
// certificates of the connection only.
func trusted(operators string) string {
	for _, name := range []string{
		operators, os.Getenv("SSL_CERT_FILE"),
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
	} {
		if name == "" {
			continue
		}
		if text, err := os.ReadFile(name); err == nil { //nolint:gosec // The operator names it.
			return string(text)
		}
	}
	return ""
}
