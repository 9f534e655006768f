// Package gitauth makes what a git process needs to authenticate to one repository: its
// environment, and files that only the user of the process can read. It must never start a
// process, keep a credential longer than its caller's directory, or put one in arguments, a
// URL or the configuration of a repository.
package gitauth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
)

// Remote is a repository and the credentials for it. Without credentials git reads what
// is public.
type Remote struct {
	// URL is the address, without credentials: an https, http, ssh or file URL,
	// user@host:path, or an absolute path.
	URL string
	// Username and Password are sent to the host of URL over its scheme, and to no other. A
	// token is a password.
	Username, Password string
	// PrivateKey is an SSH key without a passphrase, in PEM or OpenSSH format. It is offered
	// to the host of URL only.
	PrivateKey string
	// KnownHosts are the lines of a known_hosts file. SSH connects to hosts with one of these
	// keys only.
	KnownHosts string
	// CACertificate holds PEM certificates that the host of URL may be signed by, besides
	// those that the machine trusts.
	CACertificate string
	// AllowedHosts are further hosts, such as cdn.example.com or git.example.com:8443, from
	// which submodules and LFS objects may be fetched. They get no credentials.
	AllowedHosts []string
	// Provider is the kind of forge that serves the repository, in CodePipeline's words:
	// GitHub, GitHubEnterpriseServer, GitLab, GitLabSelfManaged. Others are Gitea and Git.
	Provider string
	// OwnKeys makes SSH use the keys, agent and known hosts of the user that the process
	// runs as, as for a repository without a connection. PrivateKey and KnownHosts are
	// then not used.
	OwnKeys bool
}

// String returns the address, so that no log or error shows a credential.
func (r Remote) String() string { return r.URL }

// GoString is String, for %#v.
func (r Remote) GoString() string { return r.URL }

// Secrets returns what must not be shown, in the forms in which git and servers repeat it.
func (r Remote) Secrets() []string {
	var all []string
	if r.Password != "" {
		all = append(all, r.Password, url.QueryEscape(r.Password), url.PathEscape(r.Password),
			base64.StdEncoding.EncodeToString([]byte(r.Username+":"+r.Password)))
	}
	if r.Username != "" && r.Password == "" {
		// Some forges take a token as the user name.
		all = append(all, r.Username, url.QueryEscape(r.Username), url.PathEscape(r.Username),
			base64.StdEncoding.EncodeToString([]byte(r.Username+":")))
	}
	if r.PrivateKey != "" {
		all = append(all, r.PrivateKey)
		for line := range strings.Lines(r.PrivateKey) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "-----") {
				all = append(all, line)
			}
		}
	}
	return all
}

// Allows returns an error if submodules or LFS objects must not be fetched from an address.
// A path on this machine is never allowed.
func (r Remote) Allows(address string) error {
	wanted, err := parseEndpoint(address)
	if err != nil {
		return err
	}
	own, err := parseEndpoint(r.URL)
	if err != nil {
		return err
	}
	if wanted.host == "" {
		return errors.New("it is a path on the runner")
	}
	if wanted.scheme == "http" && own.scheme != "http" {
		return errors.New("it does not use TLS")
	}
	if wanted.sameHost(own) {
		return nil
	}
	for _, allowed := range r.AllowedHosts {
		other := endpoint{scheme: wanted.scheme}
		host, port, err := net.SplitHostPort(allowed)
		if err != nil {
			host, port = allowed, ""
		}
		other.host, other.port = strings.ToLower(strings.Trim(host, "[]")), port
		if other.matches(wanted) {
			return nil
		}
	}
	return &HostNotAllowedError{Host: wanted.name()}
}

// HostNotAllowedError says that a connection does not allow a server. Other addresses cannot be
// allowed.
type HostNotAllowedError struct {
	// Host is as AllowedHosts takes it.
	Host string
}

// Error implements error.
func (e *HostNotAllowedError) Error() string {
	return fmt.Sprintf("the host %s is not allowed", e.Host)
}

// endpoint is the part of an address that names a server.
type endpoint struct {
	// scheme is https, http, ssh or file.
	scheme, user, host, port string
}

// name returns host and port as users write them.
func (e endpoint) name() string {
	if e.port == "" {
		return e.host
	}
	return net.JoinHostPort(e.host, e.port)
}

// base returns scheme, host and port as the start of a URL, without a slash at its end.
func (e endpoint) base() string {
	host := e.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if e.port != "" {
		host += ":" + e.port
	}
	return e.scheme + "://" + host
}

// defaultPort returns the port that the scheme implies.
func defaultPort(scheme string) string {
	switch scheme {
	case "https":
		return "443"
	case "http":
		return "80"
	case "ssh":
		return "22"
	}
	return ""
}

// fullPort returns the port, also if the address leaves it out.
func (e endpoint) fullPort() string {
	if e.port == "" {
		return defaultPort(e.scheme)
	}
	return e.port
}

// matches tells whether two endpoints have the same host and port.
func (e endpoint) matches(other endpoint) bool {
	return e.host == other.host && e.fullPort() == other.fullPort()
}

// sameHost tells whether an address of one of the schemes leads to the server of the other.
// The ports of SSH and HTTPS differ on one server, so they are compared for equal schemes
// only, and otherwise both must be the usual ones.
func (e endpoint) sameHost(other endpoint) bool {
	if e.scheme == other.scheme {
		return e.matches(other)
	}
	return e.host == other.host && e.port == ""
}

var (
	// hostName is a DNS name or an IPv4 address. Git and ssh would read more into other
	// characters, such as patterns and options.
	hostName = regexp.MustCompile(`^[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?\.?$`)
	userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]*$`)
	scpLike  = regexp.MustCompile(`^(?:([^@:/\s]+)@)?(\[[0-9A-Fa-f:.]+\]|[^:/\s@]+):[^\s]+$`)
)

// parseEndpoint reads which server an address leads to. Its errors never hold the address,
// which may hold credentials.
func parseEndpoint(address string) (endpoint, error) {
	var e endpoint
	switch {
	case strings.HasPrefix(address, "/"):
		return endpoint{scheme: "file"}, nil
	case strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return endpoint{}, errors.New("it has spaces or control characters")
	case strings.Contains(address, "://"):
		parsed, err := url.Parse(address)
		if err != nil {
			return endpoint{}, errors.New("it is not a valid URL")
		}
		if parsed.Scheme == "file" {
			return endpoint{scheme: "file"}, nil
		}
		if defaultPort(parsed.Scheme) == "" {
			return endpoint{}, fmt.Errorf("the scheme %q is not supported; use https or ssh", parsed.Scheme)
		}
		_, hasPassword := parsed.User.Password()
		if hasPassword || parsed.User != nil && parsed.Scheme != "ssh" {
			return endpoint{}, errors.New("it has credentials in it")
		}
		e = endpoint{scheme: parsed.Scheme, user: parsed.User.Username(), host: strings.ToLower(parsed.Hostname()), port: parsed.Port()}
	default:
		parts := scpLike.FindStringSubmatch(address)
		if parts == nil {
			return endpoint{}, errors.New("it is neither a URL nor user@host:path")
		}
		e = endpoint{scheme: "ssh", user: parts[1], host: strings.ToLower(strings.Trim(parts[2], "[]"))}
	}
	if !hostName.MatchString(e.host) && net.ParseIP(e.host) == nil {
		return endpoint{}, errors.New("its host is not a valid name")
	}
	if e.user != "" && !userName.MatchString(e.user) {
		return endpoint{}, errors.New("its user is not a valid name")
	}
	if e.port == defaultPort(e.scheme) {
		e.port = ""
	}
	return e, nil
}
