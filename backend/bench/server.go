package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// measureServer starts headraced on a data directory that it has used before,
// and returns how long it takes to be ready and what it holds in memory then.
func (r *run) measureServer(ctx context.Context) error {
	data := filepath.Join(r.dir, "server")
	if _, _, err := startServer(ctx, r.headraced, data); err != nil {
		return err
	}
	return r.measureStart(ctx, "server", data, "value < 100", "value < 60")
}

// measureStart starts headraced five times on a data directory.
func (r *run) measureStart(ctx context.Context, name, data, ready, memory string) error {
	version, err := median(5, func() error { return exec.CommandContext(ctx, r.headraced, "--version").Run() })
	if err != nil {
		return fmt.Errorf("run %s: %w", r.headraced, err)
	}
	var took []time.Duration
	var rss float64
	for range 5 {
		t, m, err := startServer(ctx, r.headraced, data)
		if err != nil {
			return err
		}
		took, rss = append(took, t), max(rss, m)
	}
	r.latency(name+"_ready", took, version, "headraced --version", ready)
	r.value(name+"_rss", rss, "MiB", idleGoal, "the goal of an idle server", memory)
	return nil
}

// idleGoal stands in for a limit of memory, which a machine does not have.
const idleGoal = 60

// startServer runs headraced until it is ready and idle and stops it again.
func startServer(ctx context.Context, headraced, data string) (took time.Duration, rss float64, err error) {
	grpc, err := freePort(ctx)
	if err != nil {
		return 0, 0, err
	}
	web, err := freePort(ctx)
	if err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	server := exec.CommandContext(ctx, headraced, "--data-dir", data, "--grpc-listen", grpc, "--http-listen", web, "--log-level", "error")
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		err = errors.Join(err, server.Process.Signal(syscall.SIGTERM), server.Wait())
	}()
	if err := ready(ctx, "http://"+web+"/readyz"); err != nil {
		return 0, 0, err
	}
	took = time.Since(begun)
	// What a first collection gives back is not held by an idle server.
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
	rss, err = residentMiB(server.Process.Pid)
	return took, rss, err
}

func freePort(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// ready asks until the server answers that it is, for ten seconds at most.
func ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("headraced was not ready in time: %w", ctx.Err())
		}
	}
}

func residentMiB(pid int) (float64, error) {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kib / 1024, err
		}
	}
	return 0, errors.New("the process has no VmRSS")
}
