package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/certificate/certtest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/wording"
)

// execute runs the command and returns what it prints.
func execute(ctx context.Context, args ...string) (string, error) {
	var output bytes.Buffer
	// The tests share their process.
	cmd := command(func(hclog.Logger) {})
	cmd.SetOut(&output)
	cmd.SetErr(&output)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	return output.String(), err
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	help, err := execute(t.Context(), "-h")
	require.NoError(t, err)
	require.Contains(t, help, "--grpc-listen")
	require.Contains(t, help, "default 127.0.0.1:7480, environment HEADRACE_GRPC_LISTEN")
	text, err := execute(t.Context(), "--version")
	require.NoError(t, err)
	require.Equal(t, "headraced version dev\n", text)
}

func TestOperationsTellWhatTheyTake(t *testing.T) {
	t.Parallel()
	help, err := execute(t.Context(), "-h")
	require.NoError(t, err)
	for _, name := range []string{"migrate", "migrate-store", "backup --to FILE", "restore --from FILE", "check", "adopt-storage"} {
		require.Contains(t, help, "\n  "+name+"\n")
	}
	help, err = execute(t.Context(), "backup", "-h")
	require.NoError(t, err)
	require.Contains(t, help, "The server can be running")
	require.Contains(t, help, "--to string\n      file to create")
	require.Contains(t, help, "--data-dir")
}

func TestHelpOfEveryCommandIsPlainAndHasAnExample(t *testing.T) {
	t.Parallel()
	wording.CheckHelp(t, command(func(hclog.Logger) {}))
}

func TestHelpShowsOnlyWhatACommandTakes(t *testing.T) {
	t.Parallel()
	help, err := execute(t.Context(), "storage-key", "new", "-h")
	require.NoError(t, err)
	require.Contains(t, help, "headraced storage-key new FILE")
	require.NotContains(t, help, "--data-dir string")
	_, err = execute(t.Context(), "storage-key")
	require.ErrorContains(t, err, "new, rotate or rewrap")
	_, err = execute(t.Context(), "storage-key", "nwe")
	require.ErrorContains(t, err, "nwe")
}

func TestMistakesAreErrors(t *testing.T) {
	t.Parallel()
	_, err := execute(t.Context(), "--grpc-listen=0.0.0.0:1")
	require.ErrorContains(t, err, "allow-insecure-listen")
	_, err = execute(t.Context(), "serve")
	require.Error(t, err)
	_, err = execute(t.Context(), "backup", "--data-dir", t.TempDir())
	require.ErrorContains(t, err, `"to" not set`)
	_, err = execute(t.Context(), "restore", "--data-dir", t.TempDir())
	require.ErrorContains(t, err, `"from" not set`)
	_, err = execute(t.Context(), "migrate-store", "--data-dir", t.TempDir(), "--database-url", "mysql://x")
	require.ErrorContains(t, err, "postgres://")
	_, err = execute(t.Context(), "--lisen=x")
	require.ErrorContains(t, err, "--lisen")
}

func TestServesUntilToldToStop(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	dir := filepath.Join(t.TempDir(), "data")
	done := make(chan error, 1)
	go func() {
		_, err := execute(ctx, "--data-dir", dir, "--grpc-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0", "--log-level=error")
		done <- err
	}()
	token := filepath.Join(dir, "admin.token")
	require.Eventually(t, func() bool {
		matches, err := filepath.Glob(token)
		return err == nil && len(matches) == 1
	}, 10*time.Second, time.Millisecond)
	cancel()
	// It may have been stopped while it started, which is an error or none.
	err := <-done
	if err != nil {
		require.ErrorIs(t, err, context.Canceled)
	}
}

// A closed terminal, "systemctl reload" and logrotate all send it. Every listener has the new
// certificate then, and what runs goes on.
func TestHangupReloadsCertificates(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	dir, files := filepath.Join(temp, "data"), certtest.Files{Cert: filepath.Join(temp, "cert.pem"), Key: filepath.Join(temp, "key.pem")}
	certtest.Write(t, files, time.Now(), time.Now().Add(time.Hour))
	var addresses []string
	args := []string{"--data-dir", dir, "--log-level=error", "--tls-cert-file", files.Cert, "--tls-key-file", files.Key}
	for _, flag := range []string{"--grpc-listen", "--http-listen", "--hooks-listen"} {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		addresses = append(addresses, listener.Addr().String())
		require.NoError(t, listener.Close())
		args = append(args, flag, listener.Addr().String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := execute(ctx, args...)
		done <- err
	}()
	// served returns the serial number that all listeners show, empty if one does not answer
	// or they differ.
	served := func() (serial string) {
		for _, address := range addresses {
			conn, err := (&tls.Dialer{Config: &tls.Config{
				InsecureSkipVerify: true, NextProtos: []string{"h2"},
			}}).DialContext(t.Context(), "tcp", address)
			if err != nil {
				return ""
			}
			secure, ok := conn.(*tls.Conn)
			require.True(t, ok)
			require.Equal(t, "h2", secure.ConnectionState().NegotiatedProtocol)
			shown := secure.ConnectionState().PeerCertificates[0].SerialNumber.String()
			require.NoError(t, conn.Close())
			if serial != "" && serial != shown {
				return ""
			}
			serial = shown
		}
		return serial
	}
	var first string
	require.Eventually(t, func() bool { first = served(); return first != "" }, 30*time.Second, 5*time.Millisecond)

	certtest.Write(t, files, time.Now(), time.Now().Add(2*time.Hour))
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	var second string
	require.Eventually(t, func() bool { second = served(); return second != "" && second != first }, 30*time.Second, 5*time.Millisecond)
	// Without the signal too, some seconds later.
	certtest.Write(t, files, time.Now(), time.Now().Add(3*time.Hour))
	require.Eventually(t, func() bool { third := served(); return third != "" && third != second }, time.Minute, 50*time.Millisecond)
	select {
	case err := <-done:
		require.Fail(t, "it ended", "%v", err)
	default:
	}
	cancel()
	require.NoError(t, <-done)
}
