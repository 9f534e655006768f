// Package webtest drives the web UI in a real browser against a whole server with executions in
// every state. The scripts of the browser are in backend/web/test.
package webtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// required fails the tests instead of skipping them where there is no browser, if it is "required".
const required = "HEADRACE_TEST_CHROMIUM"

// scriptTimeout is far more than a script takes on a busy machine.
const scriptTimeout = 5 * time.Minute

// browser is what scripts need to drive Chromium.
type browser struct {
	node, chromium, scripts string
}

// findBrowser skips the test without Node, Chromium or the packages of npm.
func findBrowser(t *testing.T) browser {
	t.Helper()
	missing := func(format string, args ...any) {
		t.Helper()
		if os.Getenv(required) == "required" {
			t.Fatalf(required+"=required: "+format, args...)
		}
		t.Skipf(format, args...)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing("node: %v", err)
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		missing("chromium: %v", err)
	}
	web, err := filepath.Abs(filepath.Join("..", "web"))
	require.NoError(t, err)
	if _, err := os.Stat(filepath.Join(web, "node_modules", "playwright-core")); err != nil {
		missing(`%v; run "make web-packages"`, err)
	}
	return browser{node: node, chromium: chromium, scripts: filepath.Join(web, "test")}
}

// script is a script that runs in Node and drives a browser.
type script struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	// lines are what it says; closed at its end.
	lines chan string
	// ended is closed when the process has ended, with err set.
	ended  chan struct{}
	err    error
	errors bytes.Buffer
}

// run runs a script to its end and fails the test with what it found wrong.
func (b browser) run(t *testing.T, name string, settings map[string]any) {
	t.Helper()
	b.start(t, name, settings).wait()
}

// start starts a script. The settings are for it; its screenshots are in the test's artifacts.
func (b browser) start(t *testing.T, name string, settings map[string]any) *script {
	t.Helper()
	screenshots := filepath.Join(t.ArtifactDir(), "screenshots")
	require.NoError(t, os.MkdirAll(screenshots, 0o700))
	settings["chromium"], settings["screenshots"] = b.chromium, screenshots
	encoded, err := json.Marshal(settings)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), scriptTimeout)
	s := &script{t: t, name: name, cmd: exec.CommandContext(ctx, b.node, filepath.Join(b.scripts, name)), lines: make(chan string, 100), ended: make(chan struct{})}
	// A group of its own, so that the browser ends with it.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.cmd.Cancel = func() error { return syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) }
	s.cmd.Stderr = &s.errors
	s.stdin, err = s.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	go func() {
		defer close(s.ended)
		defer close(s.lines)
		for said := bufio.NewScanner(stdout); said.Scan(); {
			s.lines <- said.Text()
		}
		s.err = s.cmd.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-s.ended
	})
	// The settings have a token, which other users of the machine cannot read there.
	s.say(string(encoded))
	return s
}

// say says a line to the script.
func (s *script) say(line string) {
	s.t.Helper()
	_, err := io.WriteString(s.stdin, line+"\n")
	require.NoError(s.t, err)
}

// hear waits until the script says a line.
func (s *script) hear(line string) {
	s.t.Helper()
	said, ok := <-s.lines
	if !ok {
		<-s.ended
		require.Failf(s.t, s.name+" ended", "%v\n%s", s.err, s.errors.Bytes())
	}
	require.Equal(s.t, line, said)
}

// wait waits for the end of the script, which must have found nothing wrong.
func (s *script) wait() {
	s.t.Helper()
	for line := range s.lines {
		s.t.Log(line)
	}
	<-s.ended
	require.NoError(s.t, s.err, "%s\n%s", s.name, s.errors.Bytes())
}
