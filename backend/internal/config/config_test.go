package config_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
)

// load reads a configuration from arguments, variables and the text of a file.
func load(t *testing.T, args []string, env map[string]string, file string) (config.Config, string, error) {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	loader := config.NewLoader(flags)
	path := filepath.Join(t.TempDir(), "headraced.hcl")
	if file != "" {
		require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
		args = append(args, "--config", path)
	}
	require.NoError(t, flags.Parse(args))
	cfg, err := loader.Load(func(name string) string { return env[name] })
	return cfg, path, err
}

func TestNothingSaidGivesDefaults(t *testing.T) {
	t.Parallel()
	cfg, _, err := load(t, nil, nil, "")
	require.NoError(t, err)
	require.Equal(t, config.Default(), cfg)
	require.Equal(t, "127.0.0.1:7480", cfg.GRPCListen)
	require.Equal(t, "127.0.0.1:7481", cfg.HTTPListen)
}

func TestFlagWinsOverEnvironmentOverFileOverDefault(t *testing.T) {
	t.Parallel()
	file := `
lease          = "10s"
shutdown_grace = "11s"
log_level      = "debug"
`
	env := map[string]string{"HEADRACE_LEASE": "20s", "HEADRACE_SHUTDOWN_GRACE": "21s", "HEADRACE_ISOLATION": ""}
	cfg, _, err := load(t, []string{"--lease=30s"}, env, file)
	require.NoError(t, err)
	require.Equal(t, 30*time.Second, cfg.Lease, "flag")
	require.Equal(t, 21*time.Second, cfg.ShutdownGrace, "environment")
	require.Equal(t, "debug", cfg.LogLevel, "file")
	require.Equal(t, "auto", cfg.Isolation, "default; an empty variable is none")
}

func TestDirectoriesAreRepeatedOrSeparated(t *testing.T) {
	t.Parallel()
	cfg, _, err := load(t, []string{"--writable=/srv/a", "--writable=/srv/b"}, map[string]string{"HEADRACE_WRITABLE": "/srv/c"}, "")
	require.NoError(t, err)
	require.Equal(t, config.Directories{"/srv/a", "/srv/b"}, cfg.Writable)
	cfg, _, err = load(t, nil, nil, "writable = \"/srv/a, /srv/b\"\n")
	require.NoError(t, err)
	require.Equal(t, config.Directories{"/srv/a", "/srv/b"}, cfg.Writable)
}

func TestFileCanBeNamedByTheEnvironment(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.hcl")
	require.NoError(t, os.WriteFile(path, []byte(`runner_slots = 3`), 0o600))
	cfg, _, err := load(t, nil, map[string]string{"HEADRACE_CONFIG": path}, "")
	require.NoError(t, err)
	require.Equal(t, 3, cfg.RunnerSlots)
}

// Every setting works as a flag, a variable and a key, and is described. The
// samples differ from the defaults, so that a setting that is not read shows.
func TestEverySettingHasFlagVariableKeyAndDescription(t *testing.T) {
	t.Parallel()
	samples := map[string]string{
		"data-dir": "elsewhere", "database-url": "postgres://db/headrace", "storage-url": "s3://headrace?region=eu-central-1", "storage-key": "file:///etc/storage.key", "grpc-listen": "127.0.0.1:1", "http-listen": "127.0.0.1:2",
		"hooks-listen": "127.0.0.1:3", "public-url": "https://hooks.example.com/headrace", "trusted-proxies": "10.0.0.0/8,::1/128",
		"ui-url": "https://ci.example.com/headrace", "ui-dir": "dist",
		"tls-cert-file": "cert.pem", "tls-key-file": "key.pem", "tls-client-ca-file": "ca.pem",
		"allow-insecure-listen": "true", "log-level": "warn", "log-format": "json", "log-limit": "1024", "runner-slots": "7",
		"lease": "1m0s", "shutdown-grace": "1s", "stop-grace": "3s", "isolation": "none", "writable": "/srv/www,/srv/cache",
		"retention-age": "90d", "retention-count": "50", "retention-keep-last-successful": "false",
		"poll-interval": "2m0s", "backfill-interval": "0s", "mirror-limit": "500",
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.NewLoader(flags)
	help := config.Help(flags)
	var args []string
	env := make(map[string]string)
	var file strings.Builder
	flags.VisitAll(func(flag *pflag.Flag) {
		require.NotEmpty(t, flag.Usage, flag.Name)
		require.Contains(t, help, "--"+flag.Name)
		require.Contains(t, help, config.Env(flag.Name))
		if flag.DefValue != "" {
			require.Contains(t, help, "default "+flag.DefValue)
		}
		if flag.Name == "config" {
			return
		}
		sample, ok := samples[flag.Name]
		require.True(t, ok, "add a sample for %s", flag.Name)
		require.NotEqual(t, flag.DefValue, sample)
		args = append(args, "--"+flag.Name+"="+sample)
		env[config.Env(flag.Name)] = sample
		file.WriteString(config.Key(flag.Name) + " = \"" + sample + "\"\n")
	})
	fromFlags, _, err := load(t, args, nil, "")
	require.NoError(t, err)
	fromEnv, _, err := load(t, nil, env, "")
	require.NoError(t, err)
	fromFile, _, err := load(t, nil, nil, file.String())
	require.NoError(t, err)
	require.Equal(t, fromFlags, fromEnv)
	// The file tells which one it was, beside the settings.
	require.FileExists(t, fromFile.File)
	fromFile.File = ""
	require.Equal(t, fromFlags, fromFile)
	require.Equal(t, config.Config{
		DataDir: "elsewhere", DatabaseURL: "postgres://db/headrace", StorageURL: "s3://headrace?region=eu-central-1", StorageKey: "file:///etc/storage.key", GRPCListen: "127.0.0.1:1", HTTPListen: "127.0.0.1:2",
		HooksListen: "127.0.0.1:3", PublicURL: "https://hooks.example.com/headrace",
		UIURL: "https://ci.example.com/headrace", UIDir: "dist",
		TrustedProxies: config.Networks{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		TLSCertFile:    "cert.pem", TLSKeyFile: "key.pem", TLSClientCAFile: "ca.pem", AllowInsecureListen: true,
		LogLevel: "warn", LogFormat: "json", LogLimit: 1024, RunnerSlots: 7, Lease: time.Minute, ShutdownGrace: time.Second, StopGrace: 3 * time.Second, Isolation: "none", Writable: config.Directories{"/srv/www", "/srv/cache"},
		RetentionAge: config.Days(90 * 24 * time.Hour), RetentionCount: 50,
		PollInterval: 2 * time.Minute, MirrorLimit: 500,
	}, fromFlags)
}

func TestMistakesAreNamedWhereTheyAre(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		env  map[string]string
		file string
		want []string
	}{
		"unknown key": {file: "lease = \"5s\"\nlaese = \"5s\"\n", want: []string{"headraced.hcl:2", `"laese"`}},
		"not HCL":     {file: "lease = = 1\n", want: []string{"headraced.hcl:1"}},
		"a list":      {file: "lease = [1]\n", want: []string{"headraced.hcl:1", "lease must be a string"}},
		"a reference": {file: "\nlease = var.x\n", want: []string{"headraced.hcl:2"}},
		"no unit":     {file: "lease = 5\n", want: []string{"headraced.hcl:1", `invalid value "5" for lease`}},
		"bad variable": {
			env:  map[string]string{"HEADRACE_RUNNER_SLOTS": "many"},
			want: []string{`HEADRACE_RUNNER_SLOTS: invalid value "many" for runner-slots`},
		},
		"several at once": {
			args: []string{"--log-level=loud", "--isolation=jail", "--lease=1ms", "--runner-slots=-1", "--log-limit=0", "--data-dir=", "--shutdown-grace=-1s", "--stop-grace=11m", "--writable=srv", "--writable=/", "--poll-interval=10ms", "--backfill-interval=-1s", "--mirror-limit=1"},
			want: []string{"log-level", "isolation", "lease", "runner-slots", "log-limit", "data-dir", "shutdown-grace", "stop-grace: must be 0s to 10m0s, got 11m0s", "writable: \"srv\" is not an absolute path", "writable: / would open", "poll-interval", "backfill-interval", "mirror-limit"},
		},
		"a directory, no URL":    {args: []string{"--storage-url=/mnt/headrace"}, want: []string{"storage-url", "file:///"}},
		"a relative directory":   {args: []string{"--storage-url=file://mnt"}, want: []string{"storage-url", "file:///"}},
		"credentials in a URL":   {args: []string{"--storage-url=s3://ann:geheim@bucket"}, want: []string{"storage-url", "AWS_ACCESS_KEY_ID"}},
		"a key itself":           {args: []string{"--storage-key=base64key://geheim"}, want: []string{"storage-key", "file:///"}},
		"retention":              {args: []string{"--retention-age=-1h", "--retention-count=-1"}, want: []string{"retention-age", "retention-count"}},
		"years of days":          {file: "retention_age = \"999999999999d\"\n", want: []string{"headraced.hcl:1", "number of days"}},
		"a password as it is":    {args: []string{"--database-url=postgres://ann:gehe@im/w#rd@db/x"}, want: []string{"database-url", "@ as %40"}},
		"another database":       {args: []string{"--database-url=mysql://ann:geheim@db/x"}, want: []string{"database-url", "postgres://"}},
		"half of TLS":            {args: []string{"--tls-cert-file=x"}, want: []string{"tls-key-file"}},
		"client CA, no TLS":      {args: []string{"--tls-client-ca-file=x"}, want: []string{"client certificates require TLS"}},
		"no port":                {args: []string{"--http-listen=127.0.0.1"}, want: []string{"http-listen", "host:port"}},
		"gRPC beyond, no TLS":    {args: []string{"--grpc-listen=0.0.0.0:1"}, want: []string{"grpc-listen", "allow-insecure-listen"}},
		"HTTP beyond, no TLS":    {args: []string{"--http-listen=10.0.0.1:1"}, want: []string{"http-listen", "allow-insecure-listen"}},
		"all addresses, no TLS":  {args: []string{"--http-listen=:1"}, want: []string{"http-listen"}},
		"all IPv6, no TLS":       {args: []string{"--grpc-listen=[::]:1"}, want: []string{"grpc-listen"}},
		"deliveries, no TLS":     {args: []string{"--hooks-listen=0.0.0.0:1"}, want: []string{"hooks-listen", "allow-insecure-listen"}},
		"no scheme":              {args: []string{"--public-url=hooks.example.com"}, want: []string{"public-url", "https://hooks.example.com"}},
		"a user in a URL":        {args: []string{"--public-url=https://ann:geheim@hooks.example.com"}, want: []string{"public-url", "user"}},
		"a slash at the end":     {args: []string{"--public-url=https://hooks.example.com/"}, want: []string{"public-url", "slash"}},
		"a name of a proxy":      {args: nil, env: map[string]string{"HEADRACE_TRUSTED_PROXIES": "10.0.0.1, nginx"}, want: []string{"HEADRACE_TRUSTED_PROXIES", `"nginx" is not a network`}},
		"name of a host, no TLS": {args: []string{"--grpc-listen=ci.example.com:1"}, want: []string{"grpc-listen"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := load(t, test.args, test.env, test.file)
			require.Error(t, err)
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), "geheim")
		})
	}
}

func TestListeningBeyondThisMachineTakesTLSOrPlainWords(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"TLS":         {"--grpc-listen=0.0.0.0:1", "--http-listen=0.0.0.0:2", "--tls-cert-file=c", "--tls-key-file=k"},
		"plain words": {"--grpc-listen=0.0.0.0:1", "--http-listen=0.0.0.0:2", "--allow-insecure-listen"},
		"IPv6 itself": {"--grpc-listen=[::1]:1", "--http-listen=localhost:2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := load(t, args, nil, "")
			require.NoError(t, err)
		})
	}
}

func TestDays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		length time.Duration
		text   string
	}{"90d": {90 * 24 * time.Hour, "90d"}, "36h": {36 * time.Hour, "36h0m0s"}, "48h": {48 * time.Hour, "2d"}, "0s": {0, "0s"}} {
		var days config.Days
		require.NoError(t, days.Set(text))
		require.Equal(t, want.length, time.Duration(days))
		require.Equal(t, want.text, days.String())
	}
	for _, text := range []string{"", "d", "-1d", "1.5d", "soon"} {
		require.Error(t, new(config.Days).Set(text), text)
	}
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"10.1.2.3/8, 192.0.2.1": "10.0.0.0/8,192.0.2.1/32", "2001:db8::1,fe80::1%eth0": "2001:db8::1/128,fe80::1/128",
		"::ffff:192.0.2.1": "192.0.2.1/32", "": "", " , ": "",
	} {
		var networks config.Networks
		require.NoError(t, networks.Set(text), text)
		require.Equal(t, want, networks.String())
	}
	for _, text := range []string{"10.0.0.0/33", "nginx", "10.0.0.0-10.0.0.9"} {
		require.Error(t, new(config.Networks).Set(text), text)
	}
}
