// Package config is the configuration of headraced: one struct, filled from
// flags, the environment, an optional HCL file and defaults, in that order of
// precedence. It must never open, create or connect to anything but the file.
package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
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
	// Isolation is auto, none or bubblewrap.
	Isolation string
	// RetentionAge keeps the logs and artifacts of executions for so long after their
	// end; 0 does not ask for an age. RetentionCount keeps those of the newest executions
	// of each pipeline; 0 does not count. With neither everything is kept.
	RetentionAge   Days
	RetentionCount int
	// RetentionKeepLastSuccessful keeps what each stage has succeeded with last.
	RetentionKeepLastSuccessful bool
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
		Isolation:     "auto",

		RetentionKeepLastSuccessful: true,
	}
}

// The least lease: a runner renews every third of it, and a shorter one would
// be lost to any pause of the machine.
const minLease = time.Second

// register adds a flag for every setting, with the values of c as defaults.
func (c *Config) register(flags *pflag.FlagSet) {
	flags.StringVar(&c.DataDir, "data-dir", c.DataDir,
		"directory of the database, artifacts, logs and the first token; made where it is missing")
	flags.StringVar(&c.DatabaseURL, "database-url", c.DatabaseURL,
		"PostgreSQL that several servers share, as postgres://user@host/name; the database in data-dir when not set. "+
			"With a password in it better given by the environment")
	flags.StringVar(&c.StorageURL, "storage-url", c.StorageURL,
		"bucket of artifacts and logs, the same for all servers on one database: file:///a/directory or "+
			"s3://name?region=… or azblob://name; data-dir when not set")
	flags.StringVar(&c.StorageKey, "storage-key", c.StorageKey,
		"key that artifacts and logs are encrypted with: file:///path of a file that headraced storage-key new made, "+
			"or awskms://key?region=…; not encrypted when not set")
	flags.StringVar(&c.GRPCListen, "grpc-listen", c.GRPCListen,
		"address that Terraform and the command line connect to; port 0 takes a free one")
	flags.StringVar(&c.HTTPListen, "http-listen", c.HTTPListen,
		"address of /healthz, /readyz and /metrics; port 0 takes a free one")
	flags.StringVar(&c.TLSCertFile, "tls-cert-file", c.TLSCertFile,
		"PEM certificate of both addresses; needs tls-key-file")
	flags.StringVar(&c.TLSKeyFile, "tls-key-file", c.TLSKeyFile,
		"PEM key of the certificate")
	flags.StringVar(&c.TLSClientCAFile, "tls-client-ca-file", c.TLSClientCAFile,
		"PEM certificates of the authorities that gRPC clients must have a certificate of")
	flags.BoolVar(&c.AllowInsecureListen, "allow-insecure-listen", c.AllowInsecureListen,
		"listen beyond this machine without TLS: whoever sees the traffic can read the tokens")
	flags.StringVar(&c.LogLevel, "log-level", c.LogLevel,
		"least level that is logged: "+list(logLevels()))
	flags.StringVar(&c.LogFormat, "log-format", c.LogFormat,
		"form of the log on standard error: "+list(logFormats()))
	flags.IntVar(&c.LogLimit, "log-limit", c.LogLimit,
		"MiB that the log of an action takes; the rest is dropped, and the log says so")
	flags.IntVar(&c.RunnerSlots, "runner-slots", c.RunnerSlots,
		"actions that the built-in runner runs at once (twice the CPUs, at least 4, when not set); 0 turns it off")
	flags.DurationVar(&c.Lease, "lease", c.Lease,
		"time after which the actions of a silent runner count as lost")
	flags.DurationVar(&c.ShutdownGrace, "shutdown-grace", c.ShutdownGrace,
		"time that running actions get to finish after SIGTERM")
	flags.StringVar(&c.Isolation, "isolation", c.Isolation,
		"how commands are kept from this machine: "+list(isolations())+"; auto takes the best there is")
	flags.Var(&c.RetentionAge, "retention-age",
		"keep the logs and artifacts of an execution for so long after its end, as 90d or 36h; 0s does not ask for the age. "+
			"With retention-count what either keeps is kept; with neither everything is")
	flags.IntVar(&c.RetentionCount, "retention-count", c.RetentionCount,
		"keep the logs and artifacts of as many of the newest executions of each pipeline; 0 does not count them")
	flags.BoolVar(&c.RetentionKeepLastSuccessful, "retention-keep-last-successful", c.RetentionKeepLastSuccessful,
		"keep also those of the last execution that succeeded in each stage, so that it can be rolled back to")
}

// Validate returns everything that is wrong with the configuration at once.
func (c *Config) Validate() error {
	var errs []error
	refuse := func(setting, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", setting, fmt.Sprintf(format, args...)))
	}
	word := func(setting, value string, words []string) {
		if !slices.Contains(words, value) {
			refuse(setting, "%q is not known; use %s", value, list(words))
		}
	}
	if c.DataDir == "" {
		refuse("data-dir", "name a directory")
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
		refuse("tls-cert-file", "certificate and tls-key-file belong together; set both or none")
	}
	if c.TLSClientCAFile != "" && c.TLSCertFile == "" {
		refuse("tls-client-ca-file", "client certificates need TLS; set tls-cert-file and tls-key-file too")
	}
	for _, address := range []struct{ setting, value string }{{"grpc-listen", c.GRPCListen}, {"http-listen", c.HTTPListen}} {
		host, _, err := net.SplitHostPort(address.value)
		if err != nil {
			refuse(address.setting, "%q is not host:port, for instance 127.0.0.1:7480", address.value)
			continue
		}
		if c.TLSCertFile == "" && !c.AllowInsecureListen && !Loopback(host) {
			refuse(address.setting, "%s can be reached from other machines and there is no TLS, so that tokens could be read on the way; "+
				"set tls-cert-file and tls-key-file, listen on 127.0.0.1, or say allow-insecure-listen where something else protects it",
				address.value)
		}
	}
	word("log-level", c.LogLevel, logLevels())
	word("log-format", c.LogFormat, logFormats())
	word("isolation", c.Isolation, isolations())
	if c.LogLimit < 1 || c.LogLimit > 16384 {
		refuse("log-limit", "%d is out of range; use 1 to 16384 MiB", c.LogLimit)
	}
	if c.RunnerSlots < 0 || c.RunnerSlots > 10000 {
		refuse("runner-slots", "%d is out of range; use 0 to 10000", c.RunnerSlots)
	}
	if c.Lease < minLease {
		refuse("lease", "%s is too short; use at least %s", c.Lease, minLease)
	}
	if c.ShutdownGrace < 0 {
		refuse("shutdown-grace", "%s is negative; use 0s to end actions at once", c.ShutdownGrace)
	}
	if c.RetentionAge < 0 {
		refuse("retention-age", "%s is negative; use 0s not to ask for the age", &c.RetentionAge)
	}
	if c.RetentionCount < 0 || c.RetentionCount > math.MaxInt32 {
		refuse("retention-count", "%d is out of range; use 0 not to count", c.RetentionCount)
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

// checkDatabaseURL returns an error that has nothing of the URL: it may hold a password,
// and where one is not written as a URL wants it, a part of it is taken for the host or
// for the name of the database, which errors of a connection have.
func checkDatabaseURL(text string) error {
	if text == "" {
		return nil
	}
	if !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://") {
		return errors.New("it does not begin with postgres://; use postgres://user@host:5432/name")
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Fragment != "" || strings.Contains(parsed.Path, "@") {
		return errors.New("it is no URL as it is; write these in a user or password as: @ %40, : %3A, / %2F, # %23, ? %3F, % %25")
	}
	return nil
}
