// Package postgrestest starts a throwaway PostgreSQL for the tests of one package, or
// for a bench. It must never be used by a program that people run.
package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// RequiredEnv names the variable that makes the lack of PostgreSQL a failure.
const RequiredEnv = "HEADRACE_TEST_POSTGRES"

// Cluster is a running server. Its zero value starts with the first Database.
type Cluster struct {
	// Durable clusters sync what they commit; the others are faster.
	Durable bool

	mu        sync.Mutex
	dir       string
	bin       string
	owner     *syscall.Credential
	server    *exec.Cmd
	exited    chan error
	log       *bytes.Buffer
	databases int
}

// Main runs the tests of a package that share a cluster, and stops it after them.
func Main(m *testing.M, c *Cluster) int {
	code := m.Run()
	if err := c.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
		return max(code, 1)
	}
	return code
}

// Database makes an empty database and returns its URL. Where there is no PostgreSQL
// the test is skipped, or fails where RequiredEnv is set.
func (c *Cluster) Database(tb testing.TB) string {
	tb.Helper()
	return c.make(tb, "template1")
}

// Copy makes a database that is like another one, which nobody is connected to, and
// returns its URL.
func (c *Cluster) Copy(tb testing.TB, of string) string {
	tb.Helper()
	from, err := url.Parse(of)
	if err != nil {
		tb.Fatalf("copy a database: %v", err)
	}
	return c.make(tb, strings.TrimPrefix(from.Path, "/"))
}

func (c *Cluster) make(tb testing.TB, template string) string {
	tb.Helper()
	if _, err := binaries(); err != nil {
		if os.Getenv(RequiredEnv) != "" {
			tb.Fatalf("%s is set and there is no PostgreSQL: %v", RequiredEnv, err)
		}
		tb.Skipf("there is no PostgreSQL: %v", err)
	}
	url, err := c.create(tb.Context(), template)
	if err != nil {
		tb.Fatal(err)
	}
	return url
}

// Create makes an empty database and returns its URL, for what is no test.
func (c *Cluster) Create(ctx context.Context) (string, error) { return c.create(ctx, "template1") }

func (c *Cluster) create(ctx context.Context, template string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server == nil {
		var err error
		if c.bin, err = binaries(); err != nil {
			return "", err
		}
		if err := c.start(ctx); err != nil {
			return "", fmt.Errorf("start PostgreSQL: %w", err)
		}
	}
	c.databases++
	name := "test" + strconv.Itoa(c.databases)
	admin, err := pgx.Connect(ctx, c.url("postgres"))
	if err != nil {
		return "", fmt.Errorf("connect to PostgreSQL: %w\n%s", err, c.log)
	}
	defer func() { _ = admin.Close(context.WithoutCancel(ctx)) }()
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		return "", fmt.Errorf("create a database: %w", err)
	}
	return c.url(name), nil
}

func (c *Cluster) url(database string) string {
	query := url.Values{"host": {c.dir}, "user": {"postgres"}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: query.Encode()}).String()
}

// binaries finds the directory of the programs of PostgreSQL: on PATH, or where
// Debian keeps them.
func binaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return "", err
		}
		return filepath.Dir(path), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", errors.New("initdb is neither on PATH nor below /usr/lib/postgresql")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

func (c *Cluster) start(ctx context.Context) error {
	var err error
	if c.dir, err = os.MkdirTemp("", "headrace-postgres-"); err != nil {
		return err
	}
	if err := c.drop(); err != nil {
		return err
	}
	data := filepath.Join(c.dir, "data")
	initdb := c.command(ctx, "initdb", "--pgdata", data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync", "--data-checksums")
	if output, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return c.Start()
}

// drop finds the user to run as: PostgreSQL refuses root.
func (c *Cluster) drop() error {
	if os.Getuid() != 0 {
		return nil
	}
	owner, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, err := strconv.ParseUint(owner.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(owner.Gid, 10, 32)
	if err != nil {
		return err
	}
	c.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(c.dir, int(uid), int(gid))
}

func (c *Cluster) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, program), args...)
	cmd.Dir = c.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.owner, Setpgid: true}
	return cmd
}

// Start starts the server again after Kill.
func (c *Cluster) Start() error {
	args := []string{"-D", filepath.Join(c.dir, "data"), "-k", c.dir, "-c", "listen_addresses=", "-c", "max_connections=200"}
	if !c.Durable {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off")
	}
	c.log = &bytes.Buffer{}
	server := c.command(context.Background(), "postgres", args...)
	server.Stdout, server.Stderr = c.log, c.log
	c.exited = make(chan error, 1)
	started := make(chan error, 1)
	go func(exited chan<- error) {
		// The server ends with the thread that started it, so that a test that is
		// killed leaves none behind.
		runtime.LockOSThread()
		server.SysProcAttr.Pdeathsig = syscall.SIGQUIT
		err := server.Start()
		started <- err
		if err == nil {
			exited <- server.Wait()
		}
	}(c.exited)
	if err := <-started; err != nil {
		return err
	}
	c.server = server
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		probe, err := pgx.Connect(ctx, c.url("postgres"))
		if err == nil {
			return probe.Close(ctx)
		}
		select {
		case exit := <-c.exited:
			return fmt.Errorf("it ended: %w\n%s", exit, c.log)
		case <-ctx.Done():
			return fmt.Errorf("%w\n%s", err, c.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Kill ends the server as a crash does; Start starts it again on the same data.
func (c *Cluster) Kill() error { return c.stop(syscall.SIGQUIT) }

// Restart ends the server in order, which tells its clients, and starts it again.
func (c *Cluster) Restart() error { return c.Offline(func(string) error { return nil }) }

// Offline ends the server in order, calls a function with its data directory and starts it again.
func (c *Cluster) Offline(do func(data string) error) error {
	if err := c.stop(syscall.SIGINT); err != nil {
		return err
	}
	if err := do(filepath.Join(c.dir, "data")); err != nil {
		return err
	}
	return c.Start()
}

// Damage overwrites the first page of a table of a database, as a bad disk may. The server is
// offline meanwhile.
func (c *Cluster) Damage(ctx context.Context, address, table string) error {
	file, err := tableFile(ctx, address, table)
	if err != nil {
		return err
	}
	return c.Offline(func(data string) error {
		opened, err := os.OpenFile(filepath.Join(data, file), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		const page = 8192
		_, err = opened.WriteAt(bytes.Repeat([]byte{0xff}, page), 0)
		return errors.Join(err, opened.Close())
	})
}

// Lose removes the file of a table of a database while the server is offline.
func (c *Cluster) Lose(ctx context.Context, address, table string) error {
	file, err := tableFile(ctx, address, table)
	if err != nil {
		return err
	}
	return c.Offline(func(data string) error { return os.Remove(filepath.Join(data, file)) })
}

// tableFile returns the file of a table, below the data directory.
func tableFile(ctx context.Context, address, table string) (file string, err error) {
	admin, err := pgx.Connect(ctx, address)
	if err != nil {
		return "", err
	}
	err = admin.QueryRow(ctx, `SELECT pg_relation_filepath($1::regclass)`, table).Scan(&file)
	return file, errors.Join(err, admin.Close(ctx))
}

// Stop ends the server at once, without a checkpoint of the data that it removes.
func (c *Cluster) Stop() error {
	if c.server == nil {
		return nil
	}
	return errors.Join(c.Kill(), os.RemoveAll(c.dir))
}

func (c *Cluster) stop(signal syscall.Signal) error {
	if err := c.server.Process.Signal(signal); err != nil {
		return err
	}
	// How it ended is of no interest: it was told to.
	var ended *exec.ExitError
	if err := <-c.exited; err != nil && !errors.As(err, &ended) {
		return err
	}
	return nil
}
