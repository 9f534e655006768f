package server_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// smallDisk mounts a file system of 40 MB, and skips where the machine forbids it.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("headrace-test", dir, "tmpfs", 0, "size=40m"); err != nil {
		t.Skipf("a full disk needs the right to mount: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	return dir
}

// fill leaves no byte free.
func fill(t *testing.T, file *os.File) {
	t.Helper()
	// The last bytes of a page are found by ever smaller writes.
	for size := int64(1 << 20); size > 0; {
		if _, err := io.CopyN(file, zeros{}, size); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else {
			require.NoError(t, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// All while starts were refused /readyz said ok, and a restart was refused.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	b := backendtest.Start(t, backendtest.WithDataDir(filepath.Join(disk, "data")))
	pipeline := client.PipelineName("default", "web")
	_, err := b.Admin().Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{Name: pipeline, Definition: kindless()}})
	require.NoError(t, err)
	run := func() error {
		_, err := b.Admin().Executions.StartExecution(t.Context(), &v1.StartExecutionRequest{Pipeline: pipeline})
		return err
	}
	path := filepath.Join(disk, "fill")
	file, err := os.Create(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	fill(t, file)
	// What the database reserved takes some.
	for err = run(); err == nil; err = run() {
		fill(t, file)
	}
	require.ErrorContains(t, err, "the server's disk is full")
	notReady := func() {
		t.Helper()
		for range 12 {
			require.ErrorContains(t, run(), "the server's disk is full")
			status, text := fetch(t, http.DefaultClient, "http://"+b.HTTPAddr+"/readyz")
			require.Equal(t, http.StatusServiceUnavailable, status, text)
		}
	}
	notReady()

	b.Stop()
	fill(t, file)
	b.Restart()
	ready(t, b, http.StatusServiceUnavailable, "")
	_, err = b.Admin().Pipelines.GetPipeline(t.Context(), &v1.GetPipelineRequest{Name: pipeline})
	require.NoError(t, err, "what it has it answers")

	require.NoError(t, os.Remove(path))
	require.NoError(t, file.Close())
	ready(t, b, http.StatusOK, "ok")
	require.NoError(t, run())
}
