// Package s3test runs a real S3 server, versitygw, for tests. It must never be used
// outside of tests.
package s3test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	accessKey = "headrace"
	secretKey = "headrace-secret"
	region    = "us-east-1"
	// patience is how long the server may take to answer at first.
	patience = 2 * time.Minute
)

// Setenv gives this process, and those that it starts, the credentials of all servers
// of this package. It is for TestMain.
func Setenv() error {
	var errs []error
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PROFILE": "", "AWS_SESSION_TOKEN": "",
	} {
		errs = append(errs, os.Setenv(name, value))
	}
	return errors.Join(errs...)
}

// Server is an S3 server on this machine, which keeps what it holds when it is
// stopped and started again.
type Server struct {
	tb      testing.TB
	program string
	dir     string
	address string
	buckets int

	process *exec.Cmd
	exited  chan struct{}
	log     *bytes.Buffer
}

// Start builds the server, which takes minutes for the first time on a machine, and
// runs it until the end of the test.
func Start(tb testing.TB) *Server {
	tb.Helper()
	program, err := build(tb.Context())
	if err != nil {
		tb.Fatalf("build an S3 server: %v", err)
	}
	s := &Server{tb: tb, program: program, dir: tb.TempDir(), address: freeAddress(tb)}
	for _, name := range []string{"objects", "attributes"} {
		if err := os.Mkdir(filepath.Join(s.dir, name), 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	s.Resume()
	tb.Cleanup(s.Stop)
	return s
}

// build returns the program, which go tool keeps in its cache.
func build(ctx context.Context) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	var told bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "tool", "-modfile=tools/versitygw/go.mod", "-n", "versitygw")
	cmd.Dir = strings.TrimSpace(string(root))
	// The same whatever the tests themselves are built with, so that it is built once.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1", "GOFLAGS=")
	cmd.Stderr = &told
	program, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, &told)
	}
	return strings.TrimSpace(string(program)), nil
}

func freeAddress(tb testing.TB) string {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// Resume starts the server again after Stop, at the same address.
func (s *Server) Resume() {
	s.tb.Helper()
	s.log = &bytes.Buffer{}
	// Beyond the test's context, since its end would kill before the cleanup.
	s.process = exec.CommandContext(context.WithoutCancel(s.tb.Context()), s.program, "--access", accessKey, "--secret", secretKey, "--region", region,
		"--port", s.address, "posix", "--sidecar", filepath.Join(s.dir, "attributes"), filepath.Join(s.dir, "objects"))
	s.process.Stdout, s.process.Stderr = s.log, s.log
	s.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.process.Start(); err != nil {
		s.tb.Fatal(err)
	}
	process, exited := s.process, make(chan struct{})
	s.exited = exited
	go func() {
		defer close(exited)
		_ = process.Wait()
	}()
	limited, cancel := context.WithTimeout(s.tb.Context(), patience)
	defer cancel()
	for {
		connection, err := (&net.Dialer{}).DialContext(limited, "tcp", s.address)
		if err == nil {
			_ = connection.Close()
			return
		}
		select {
		case <-s.exited:
			s.tb.Fatalf("the S3 server ended: %s", s.log)
		case <-limited.Done():
			s.tb.Fatalf("the S3 server does not answer: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Stop kills the server.
func (s *Server) Stop() {
	s.tb.Helper()
	if s.process == nil {
		return
	}
	if err := syscall.Kill(-s.process.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		s.tb.Errorf("stop the S3 server: %v", err)
	}
	<-s.exited
	s.process = nil
}

// Bucket makes a bucket and returns its URL.
func (s *Server) Bucket() string {
	s.tb.Helper()
	s.buckets++
	name := "bucket" + strconv.Itoa(s.buckets)
	client := s3.New(s3.Options{
		BaseEndpoint: aws.String("http://" + s.address), Region: region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
	if _, err := client.CreateBucket(s.tb.Context(), &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
		s.tb.Fatalf("make a bucket: %v\n%s", err, s.log)
	}
	query := url.Values{"endpoint": {"http://" + s.address}, "region": {region}, "use_path_style": {"true"}}
	return "s3://" + name + "?" + query.Encode()
}
