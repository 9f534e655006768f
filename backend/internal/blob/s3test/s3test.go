// Package s3test runs a real S3 server, versitygw, for tests. It must never be used
// outside of tests.
package s3test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/servertest"
)

const (
	accessKey = "headrace"
	secretKey = "headrace-secret"
	region    = "us-east-1"
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

	process *servertest.Process
}

// Start builds the server, which takes minutes for the first time on a machine, and
// runs it until the end of the test.
func Start(tb testing.TB) *Server {
	tb.Helper()
	program, err := build(tb.Context())
	if err != nil {
		tb.Fatalf("build an S3 server: %v", err)
	}
	s := &Server{tb: tb, program: program, dir: tb.TempDir(), address: servertest.FreeAddress(tb)}
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

// Resume starts the server again after Stop, at the same address.
func (s *Server) Resume() {
	s.tb.Helper()
	s.process = servertest.Start(s.tb, s.address, s.program, "--access", accessKey, "--secret", secretKey, "--region", region,
		"--port", s.address, "posix", "--sidecar", filepath.Join(s.dir, "attributes"), filepath.Join(s.dir, "objects"))
}

// Stop kills the server.
func (s *Server) Stop() {
	s.tb.Helper()
	if s.process != nil {
		s.process.Stop()
		s.process = nil
	}
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
		s.tb.Fatalf("make a bucket: %v\n%s", err, s.process.Log)
	}
	query := url.Values{"endpoint": {"http://" + s.address}, "region": {region}, "use_path_style": {"true"}}
	return "s3://" + name + "?" + query.Encode()
}
