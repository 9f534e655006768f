package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Directories of the repository, in which the bench runs.
const (
	browserScripts  = "backend/web/test"
	browserPackages = "backend/web/node_modules/playwright-core"
)

// browser is what scripts need to drive Chromium.
type browser struct {
	node, chromium string
}

// findBrowser fails without Node, Chromium or the packages of npm.
func findBrowser() (*browser, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, err
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(browserPackages); err != nil {
		return nil, fmt.Errorf(`%w; run "make web-packages"`, err)
	}
	return &browser{node: node, chromium: chromium}, nil
}

// browserFigure is a line that a script prints: milliseconds, or the memory of its tab.
type browserFigure struct {
	Figure string    `json:"figure"`
	Took   []float64 `json:"took"`
	// Percentile is the one that counts; 0 stands for the median.
	Percentile int     `json:"percentile"`
	MiB        float64 `json:"mib"`
}

// browserScript is a script that runs in Node and drives a browser.
type browserScript struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  *bufio.Scanner
	errors bytes.Buffer
}

// start starts a script of backend/web/test. The context ends it, and its browser.
func (b *browser) start(ctx context.Context, name string, settings map[string]any) (*browserScript, error) {
	settings["chromium"] = b.chromium
	encoded, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	s := &browserScript{cmd: exec.CommandContext(ctx, b.node, filepath.Join(browserScripts, name))}
	// A group of its own, so that the browser ends with it.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.cmd.Cancel = func() error { return syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) }
	s.cmd.Stderr = &s.errors
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.lines = bufio.NewScanner(stdout)
	s.lines.Buffer(nil, 1<<20)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	// The settings have a token, which other users of the machine cannot read there.
	if err := s.say(string(encoded)); err != nil {
		return nil, errors.Join(err, s.kill())
	}
	return s, nil
}

// say sends a line to the script.
func (s *browserScript) say(line string) error {
	_, err := io.WriteString(s.stdin, line+"\n")
	return err
}

// hear waits until the script prints a line.
func (s *browserScript) hear(line string) error {
	if !s.lines.Scan() {
		return s.wait()
	}
	if said := s.lines.Text(); said != line {
		return errors.Join(fmt.Errorf("the script printed %q instead of %q", said, line), s.kill())
	}
	return nil
}

// figures waits for the end of the script and passes on what it measures.
func (s *browserScript) figures(each func(browserFigure)) error {
	for s.lines.Scan() {
		var f browserFigure
		if err := json.Unmarshal(s.lines.Bytes(), &f); err != nil {
			return errors.Join(fmt.Errorf("the script printed %q: %w", s.lines.Text(), err), s.kill())
		}
		each(f)
	}
	return s.wait()
}

// wait returns why the script ended, with what it found wrong.
func (s *browserScript) wait() error {
	err := errors.Join(s.lines.Err(), s.cmd.Wait())
	if err != nil {
		return fmt.Errorf("the script ended: %w\n%s", err, s.errors.Bytes())
	}
	return nil
}

// kill ends the script and its browser.
func (s *browserScript) kill() error {
	if err := s.cmd.Cancel(); err != nil {
		return err
	}
	// It was killed.
	_ = s.cmd.Wait()
	return nil
}
