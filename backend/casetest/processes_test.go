package casetest

import (
	"bytes"
	"encoding/base64"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/secret"
)

// observed is what is looked at while a script runs, again and again.
type observed struct {
	// credentials must be in the arguments of no process.
	credentials []string
	// server is a process whose children must have none in their environment, except for those
	// that were given one by a variable.
	server int
	given  map[string][]string
	// directories are where the settings of repositories must have none.
	directories []string
}

// seen is what was found, and how much was looked at.
type seen struct {
	found                           []string
	children, given, configurations int
}

// watcher looks until it is stopped.
type watcher struct {
	observed
	seen seen
	// forms are the credentials as programs write them.
	forms [][]byte
	end   chan struct{}
	done  chan struct{}
}

func watchProcesses(of observed) *watcher {
	w := &watcher{observed: of, end: make(chan struct{}), done: make(chan struct{})}
	for _, value := range of.credentials {
		line, _, _ := strings.Cut(value, "\n")
		for _, form := range []string{line, url.QueryEscape(line), url.PathEscape(line), base64.RawStdEncoding.EncodeToString([]byte(line))} {
			w.forms = append(w.forms, []byte(form))
		}
	}
	go w.run()
	return w
}

// stop ends the look and returns what was seen.
func (w *watcher) stop() seen {
	close(w.end)
	<-w.done
	return w.seen
}

func (w *watcher) run() {
	defer close(w.done)
	// Often enough to meet programs that run for a moment.
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-w.end:
			return
		case <-ticker.C:
			w.processes()
			w.settings()
		}
	}
}

func (w *watcher) holds(text []byte) bool {
	return slices.ContainsFunc(w.forms, func(form []byte) bool { return bytes.Contains(text, form) })
}

func (w *watcher) add(what string, text []byte) {
	w.seen.found = append(w.seen.found, what+": "+secret.Redact(string(text), w.credentials...))
}

// processes looks at all processes, some of which end meanwhile.
func (w *watcher) processes() {
	paths, _ := filepath.Glob("/proc/[0-9]*")
	parents := make(map[int]int)
	for _, path := range paths {
		id, _ := strconv.Atoi(filepath.Base(path))
		if arguments, _ := os.ReadFile(filepath.Join(path, "cmdline")); w.holds(arguments) {
			w.add("arguments", arguments)
		}
		parents[id] = parent(path)
	}
	for id := range parents {
		if w.server == 0 || id == w.server || !descends(parents, id, w.server) {
			continue
		}
		environment, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(id), "environ"))
		if len(environment) > 0 {
			w.seen.children++
		}
		for variable := range bytes.SplitSeq(environment, []byte{0}) {
			name, value, _ := strings.Cut(string(variable), "=")
			if slices.Contains(w.given[name], value) {
				w.seen.given++
			} else if w.holds(variable) {
				w.add("environment", variable)
			}
		}
	}
}

// parent returns the parent of a process, 0 if it has ended.
func parent(path string) int {
	stat, _ := os.ReadFile(filepath.Join(path, "stat"))
	// The name of the program, in parentheses, may have spaces.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	id, _ := strconv.Atoi(fields[1])
	return id
}

func descends(parents map[int]int, id, from int) bool {
	for range len(parents) {
		if id == from {
			return true
		}
		if id = parents[id]; id == 0 {
			return false
		}
	}
	return false
}

// settings looks at the settings of repositories, of which those in work directories are there for a moment.
func (w *watcher) settings() {
	for _, directory := range w.directories {
		_ = filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(entry.Name(), "config") || entry.Name() == "ssh_config" {
				return nil //nolint:nilerr // Files are removed meanwhile.
			}
			text, _ := os.ReadFile(path)
			w.seen.configurations++
			if w.holds(text) {
				w.add(path, text)
			}
			return nil
		})
	}
}
