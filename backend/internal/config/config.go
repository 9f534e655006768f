// Package config is the configuration of headraced: one struct, filled from
// flags, the environment, an optional HCL file and defaults, in that order of
// precedence. It must never open, create or connect to anything but the file.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/seal"
)

// Config is everything that can be set about a server.
type Config struct {
	// DataDir holds the database, artifacts, logs and the first token.
	DataDir string
	// DatabaseURL is the PostgreSQL that several servers share; empty for the embedded
	// database. It may hold a password.
	DatabaseURL string
	// StorageURL is the bucket of artifacts and logs, the same for all servers on one
	// database; empty for DataDir.
	StorageURL string
	// StorageKey is the URL of the key that the storage is encrypted with; empty where
	// it is not.
	StorageKey string
	// GRPCListen and HTTPListen are host:port; port 0 takes a free one.
	GRPCListen string
	HTTPListen string
	// HooksListen is host:port of the listener of deliveries; empty for none. PublicURL is
	// where forges reach it, without a slash at the end; empty where nothing says so.
	HooksListen string
	PublicURL   string
	// UIURL is where browsers reach the HTTP listener, as PublicURL; empty for PublicURL. UIDir is
	// a directory that has the web UI instead of the program; empty for none.
	UIURL string
	UIDir string
	// TrustedProxies are believed when they say whom they got a request from.
	TrustedProxies Networks
	// TLSCertFile and TLSKeyFile, both or none, are PEM files.
	TLSCertFile string
	TLSKeyFile  string
	// TLSClientCAFile makes gRPC clients show a certificate of these authorities.
	TLSClientCAFile string
	// AllowInsecureListen allows to listen beyond this machine without TLS.
	AllowInsecureListen bool
	// LogLevel is trace, debug, info, warn or error; LogFormat text or json.
	LogLevel  string
	LogFormat string
	// LogLimit is how many MiB the log of an action takes.
	LogLimit int
	// RunnerSlots is how many attempts the built-in runner runs at once; 0 leaves
	// all work to other runners.
	RunnerSlots int
	// Lease is how long a silent runner keeps its attempts.
	Lease time.Duration
	// ShutdownGrace is how long running attempts may go on after a SIGTERM.
	ShutdownGrace time.Duration
	// StopGrace is how long the processes of an attempt may take to end after SIGTERM.
	StopGrace time.Duration
	// Isolation is auto, none or bubblewrap.
	Isolation string
	// Writable are directories that isolated commands may write to.
	Writable Directories
	// RetentionAge keeps the logs and artifacts of executions for so long after their
	// end; 0 does not ask for an age. RetentionCount keeps those of the newest executions
	// of each pipeline; 0 does not count. With neither everything is kept.
	RetentionAge   Days
	RetentionCount int
	// RetentionKeepLastSuccessful keeps what each stage has succeeded with last.
	RetentionKeepLastSuccessful bool
	// PollInterval is how often the refs of a repository are read that a trigger watches; 0
	// leaves that to other servers. BackfillInterval is how often what webhooks missed is
	// looked for.
	PollInterval     time.Duration
	BackfillInterval time.Duration
	// MirrorLimit is how many MiB the mirrors of repositories take together.
	MirrorLimit int
	// File is the file that settings come from, empty where there is none. It is
	// not a setting itself.
	File string
}

// Default returns the configuration of a server that was told nothing.
func Default() Config {
	return Config{
		DataDir:       "headrace-data",
		GRPCListen:    "127.0.0.1:7480",
		HTTPListen:    "127.0.0.1:7481",
		LogLevel:      "info",
		LogFormat:     "text",
		LogLimit:      64,
		RunnerSlots:   max(4, 2*runtime.NumCPU()),
		Lease:         30 * time.Second,
		ShutdownGrace: 30 * time.Second,
		StopGrace:     10 * time.Second,
		Isolation:     "auto",

		RetentionKeepLastSuccessful: true,

		PollInterval:     time.Minute,
		BackfillInterval: 5 * time.Minute,
		MirrorLimit:      10 << 10,
	}
}

// The least lease: a runner renews every third of it, and a shorter one would
// be lost to any pause of the machine.
const minLease = time.Second

// The longest stop-grace: an attempt keeps its slot meanwhile.
const maxStopGrace = 10 * time.Minute

// The least interval of polls and back-fills: forges limit how often they are called.
const minPoll = time.Second

// register adds a flag for every setting, with the values of c as defaults.
func (c *Config) register(flags *pflag.FlagSet) {
	flags.StringVar(&c.DataDir, "data-dir", c.DataDir,
		"directory for the database, artifacts, logs and the first token; created if missing")
	flags.StringVar(&c.DatabaseURL, "database-url", c.DatabaseURL,
		"PostgreSQL database that several servers share, as postgres://user@host/name. If not set, the server uses the "+
			"database in data-dir. Set a URL with a password in the environment, because process lists show arguments")
	flags.StringVar(&c.StorageURL, "storage-url", c.StorageURL,
		"storage for artifacts and logs, the same for all servers on one database: file:///directory, "+
			"s3://bucket?region=REGION or azblob://container. If not set, the server uses data-dir")
	flags.StringVar(&c.StorageKey, "storage-key", c.StorageKey,
		"key that encrypts artifacts, logs and secrets: file:///path of a file that \"headraced storage-key new\" created, "+
			"or awskms://key?region=REGION. If not set, artifacts and logs are not encrypted, servers on SQLite seal secrets with a key file in data-dir, and "+
			"servers on PostgreSQL store none")
	flags.StringVar(&c.GRPCListen, "grpc-listen", c.GRPCListen,
		"address for Terraform and the command line; port 0 picks a free port")
	flags.StringVar(&c.HTTPListen, "http-listen", c.HTTPListen,
		"address for the web UI, /healthz, /readyz and /metrics; port 0 picks a free port")
	flags.StringVar(&c.HooksListen, "hooks-listen", c.HooksListen,
		"address for deliveries of forges and other services to webhooks, for example 0.0.0.0:7482; port 0 picks a free port. "+
			"If not set, the server takes no deliveries")
	flags.StringVar(&c.PublicURL, "public-url", c.PublicURL,
		"URL at which forges reach hooks-listen, for example https://hooks.example.com. URLs of webhooks start with it")
	flags.StringVar(&c.UIURL, "ui-url", c.UIURL,
		"URL at which browsers reach the web UI, for example https://ci.example.com/headrace. If not set, public-url is used")
	flags.StringVar(&c.UIDir, "ui-dir", c.UIDir,
		"directory to serve the web UI from, for development. If not set, the built-in web UI is served")
	flags.Var(&c.TrustedProxies, "trusted-proxies",
		"addresses and networks of the proxies in front of hooks-listen and http-listen, separated by commas. X-Forwarded-For is "+
			"only read from them. If not set, it is not read")
	flags.StringVar(&c.TLSCertFile, "tls-cert-file", c.TLSCertFile,
		"PEM certificate for all addresses; requires tls-key-file")
	flags.StringVar(&c.TLSKeyFile, "tls-key-file", c.TLSKeyFile,
		"PEM key of the certificate")
	flags.StringVar(&c.TLSClientCAFile, "tls-client-ca-file", c.TLSClientCAFile,
		"PEM certificates of the authorities that sign client certificates. Calls and logins without a client certificate are refused")
	flags.BoolVar(&c.AllowInsecureListen, "allow-insecure-listen", c.AllowInsecureListen,
		"listen without TLS on addresses that other machines can reach. Anyone who sees the traffic can read the tokens")
	flags.StringVar(&c.LogLevel, "log-level", c.LogLevel,
		"lowest level to log: "+list(logLevels()))
	flags.StringVar(&c.LogFormat, "log-format", c.LogFormat,
		"format of the log on standard error: "+list(logFormats()))
	flags.IntVar(&c.LogLimit, "log-limit", c.LogLimit,
		"maximum size of an action's log in MiB, 1 to 16384. The rest is dropped, and the log says so")
	flags.IntVar(&c.RunnerSlots, "runner-slots", c.RunnerSlots,
		"number of actions that the built-in runner runs at once, 0 to 10000. 0 disables it. If not set, twice the CPUs, at least 4")
	flags.DurationVar(&c.Lease, "lease", c.Lease,
		"time after which the actions of a runner that does not respond are lost, at least 1s")
	flags.DurationVar(&c.ShutdownGrace, "shutdown-grace", c.ShutdownGrace,
		"time that running actions have to finish after SIGTERM")
	flags.DurationVar(&c.StopGrace, "stop-grace", c.StopGrace,
		"time that the processes of an action have to end after they get SIGTERM, because the action was abandoned or timed out or the server "+
			"stops; then they are killed. When the server stops, it is the last part of shutdown-grace. 0s to 10m")
	flags.StringVar(&c.Isolation, "isolation", c.Isolation,
		"isolation of commands from this machine: "+list(isolations())+". With auto, bubblewrap isolates commands, and actions and rules that run "+
			"commands fail if it does not work; with bubblewrap, the server refuses to start. With none, commands can do everything that "+
			"the server's user can")
	flags.Var(&c.Writable, "writable",
		"directory of this machine that isolated commands may write to, for example /srv/www. Repeat the flag for more; in the environment and "+
			"the file, separate them by commas")
	flags.Var(&c.RetentionAge, "retention-age",
		"time to keep the logs and artifacts of an execution after it ends, for example 90d or 36h. 0s means no limit. If "+
			"retention-count is also set, an execution that either setting keeps is kept. If neither is set, everything is kept")
	flags.IntVar(&c.RetentionCount, "retention-count", c.RetentionCount,
		"number of executions of each pipeline, newest first, whose logs and artifacts are kept. 0 means no limit")
	flags.BoolVar(&c.RetentionKeepLastSuccessful, "retention-keep-last-successful", c.RetentionKeepLastSuccessful,
		"also keep the logs and artifacts of the last execution that succeeded in each stage, so that a rollback can use them")
	flags.DurationVar(&c.PollInterval, "poll-interval", c.PollInterval,
		"time between two polls of a repository that a trigger watches, give or take 10 percent, at least 1s. 0s disables "+
			"polling on this server; changes are then found by webhooks and back-fill")
	flags.DurationVar(&c.BackfillInterval, "backfill-interval", c.BackfillInterval,
		"time between two searches for changes that no webhook reported, at least 1s. 0s searches only after a start")
	flags.IntVar(&c.MirrorLimit, "mirror-limit", c.MirrorLimit,
		"maximum size of all mirrors of repositories in data-dir in MiB, 10 to 16777216. The least recently used are removed")
}

// Validate returns everything that is wrong with the configuration at once.
func (c *Config) Validate() error {
	var errs []error
	refuse := func(setting, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", setting, fmt.Sprintf(format, args...)))
	}
	word := func(setting, value string, words []string) {
		if !slices.Contains(words, value) {
			refuse(setting, "invalid value %q; use %s", value, list(words))
		}
	}
	if c.DataDir == "" {
		refuse("data-dir", "must not be empty; set a directory")
	}
	if err := checkDatabaseURL(c.DatabaseURL); err != nil {
		refuse("database-url", "%s", err)
	}
	if c.StorageURL != "" {
		if _, err := blob.Shown(c.StorageURL); err != nil {
			refuse("storage-url", "%s", err)
		} else if _, _, err := blob.Directory(c.StorageURL); err != nil {
			refuse("storage-url", "%s", err)
		}
	}
	if c.StorageKey != "" {
		if err := seal.CheckKeyURL(c.StorageKey); err != nil {
			refuse("storage-key", "%s", err)
		}
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		refuse("tls-cert-file", "set both tls-cert-file and tls-key-file, or neither")
	}
	if c.TLSClientCAFile != "" && c.TLSCertFile == "" {
		refuse("tls-client-ca-file", "client certificates require TLS; also set tls-cert-file and tls-key-file")
	}
	if err := checkPublicURL(c.PublicURL); err != nil {
		refuse("public-url", "%s", err)
	}
	if err := checkPublicURL(c.UIURL); err != nil {
		refuse("ui-url", "%s", err)
	}
	addresses := []struct{ setting, value string }{{"grpc-listen", c.GRPCListen}, {"http-listen", c.HTTPListen}}
	if c.HooksListen != "" {
		addresses = append(addresses, struct{ setting, value string }{"hooks-listen", c.HooksListen})
	}
	for _, address := range addresses {
		host, _, err := net.SplitHostPort(address.value)
		if err != nil {
			refuse(address.setting, "%q is not host:port, for example 127.0.0.1:7480", address.value)
			continue
		}
		if c.TLSCertFile == "" && !c.AllowInsecureListen && !Loopback(host) {
			refuse(address.setting, "other machines can reach %s, and without TLS anyone who sees the traffic can read the tokens; "+
				"set tls-cert-file and tls-key-file, listen on 127.0.0.1, or set allow-insecure-listen if something else encrypts the traffic",
				address.value)
		}
	}
	word("log-level", c.LogLevel, logLevels())
	word("log-format", c.LogFormat, logFormats())
	word("isolation", c.Isolation, isolations())
	if c.LogLimit < 1 || c.LogLimit > 16384 {
		refuse("log-limit", "must be 1 to 16384 MiB, got %d", c.LogLimit)
	}
	if c.RunnerSlots < 0 || c.RunnerSlots > 10000 {
		refuse("runner-slots", "must be 0 to 10000, got %d", c.RunnerSlots)
	}
	if c.Lease < minLease {
		refuse("lease", "must be at least %s, got %s", minLease, c.Lease)
	}
	if c.ShutdownGrace < 0 {
		refuse("shutdown-grace", "must not be negative, got %s; 0s ends running actions immediately", c.ShutdownGrace)
	}
	if c.StopGrace < 0 || c.StopGrace > maxStopGrace {
		refuse("stop-grace", "must be 0s to %s, got %s; 0s kills processes without SIGTERM", maxStopGrace, c.StopGrace)
	}
	for _, directory := range c.Writable {
		switch {
		case !filepath.IsAbs(directory):
			refuse("writable", "%q is not an absolute path, for example /srv/www", directory)
		case filepath.Clean(directory) == "/":
			refuse("writable", "/ would open the whole machine; set the directories that commands write to, or isolation none")
		}
	}
	if c.RetentionAge < 0 {
		refuse("retention-age", "must not be negative, got %s; 0s means no limit", &c.RetentionAge)
	}
	if c.RetentionCount < 0 || c.RetentionCount > math.MaxInt32 {
		refuse("retention-count", "must be 0 to 2147483647, got %d; 0 means no limit", c.RetentionCount)
	}
	for _, interval := range []struct {
		setting string
		value   time.Duration
	}{{"poll-interval", c.PollInterval}, {"backfill-interval", c.BackfillInterval}} {
		if interval.value != 0 && interval.value < minPoll {
			refuse(interval.setting, "must be 0s or at least %s, got %s", minPoll, interval.value)
		}
	}
	if c.MirrorLimit < 10 || c.MirrorLimit > 1<<24 {
		refuse("mirror-limit", "must be 10 to %d MiB, got %d", 1<<24, c.MirrorLimit)
	}
	return errors.Join(errs...)
}

// Loopback tells whether the host cannot be reached from other machines. A name
// other than localhost may resolve to anything.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func logLevels() []string  { return []string{"trace", "debug", "info", "warn", "error"} }
func logFormats() []string { return []string{"text", "json"} }
func isolations() []string { return []string{"auto", "none", "bubblewrap"} }

// BrowsersURL returns where browsers reach the HTTP listener; empty if nothing says so.
func (c *Config) BrowsersURL() string { return cmp.Or(c.UIURL, c.PublicURL) }

// checkPublicURL returns an error if paths cannot follow the URL.
func checkPublicURL(text string) error {
	if text == "" {
		return nil
	}
	parsed, err := url.Parse(text)
	if err != nil || (parsed.Scheme != "https" && parsed.Scheme != "http") || parsed.Hostname() == "" {
		return errors.New("not a valid URL of http or https, for example https://hooks.example.com")
	}
	if parsed.User != nil || parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "" || strings.HasSuffix(parsed.Path, "/") {
		return errors.New("must not have a user, a query, a fragment or a slash at the end, because paths are appended to it")
	}
	return nil
}

// checkDatabaseURL returns an error that has nothing of the URL: it may hold a password,
// and where one is not written as a URL wants it, a part of it is taken for the host or
// for the name of the database, which errors of a connection have.
func checkDatabaseURL(text string) error {
	if text == "" {
		return nil
	}
	if !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://") {
		return errors.New("must start with postgres://, for example postgres://user@host:5432/name")
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Fragment != "" || strings.Contains(parsed.Path, "@") {
		return errors.New("not a valid URL; encode these characters in the user and the password: @ as %40, : as %3A, / as %2F, # as %23, ? as %3F, % as %25")
	}
	return nil
}
