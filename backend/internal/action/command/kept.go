package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

// tempPath is where processes under bubblewrap find action.TempDir too.
const tempPath = "/tmp"

// isolationLine says how commands are isolated and what of their work is kept.
func isolationLine(workspace action.Workspace) string {
	if workspace.Isolation == action.IsolationNone {
		return "--- not isolated: output artifacts, output variables and files elsewhere on this machine are kept ---\n"
	}
	kept := "output artifacts and output variables"
	if len(workspace.Writable) > 0 {
		kept = "output artifacts, output variables and files in " + strings.Join(workspace.Writable, ", ")
	}
	return fmt.Sprintf("--- isolated by %s: %s are kept, other files are discarded ---\n", workspace.Isolation, kept)
}

const (
	// maxDiscarded is how many discarded files are counted.
	maxDiscarded = 1000
	// namedDiscarded is how many of them are named.
	namedDiscarded = 3
)

// discarded says which files the commands leave outside the work directory, where they are
// removed after the action; empty if there are none. Files and directories of HOME whose
// names begin with a dot do not count: programs keep caches and settings there.
func discarded(workspace action.Workspace) string {
	count := 0
	var named []string
	for _, place := range []struct{ dir, shown string }{{action.TempDir, shownTemp(workspace)}, {action.HomeDir, "$HOME"}} {
		if isEmpty(workspace, place.dir) {
			continue
		}
		_ = fs.WalkDir(workspace.Root.FS(), place.dir, func(name string, entry fs.DirEntry, err error) error {
			below := strings.TrimPrefix(strings.TrimPrefix(name, place.dir), "/")
			switch {
			case err != nil:
				return nil //nolint:nilerr // What cannot be read is not counted.
			case place.dir == action.HomeDir && strings.HasPrefix(below, "."):
				if entry.IsDir() {
					return fs.SkipDir
				}
				return nil
			case entry.IsDir() || isMountPoint(entry):
				return nil
			}
			if count++; count > maxDiscarded {
				return fs.SkipAll
			}
			if len(named) < namedDiscarded {
				named = append(named, shorten(strings.Map(printable, place.shown+"/"+below)))
			}
			return nil
		})
	}
	switch {
	case count == 0:
		return ""
	case count == 1:
		return "discarded 1 file outside the work directory: " + named[0]
	case count > maxDiscarded:
		return fmt.Sprintf("discarded more than %d files outside the work directory, among them %s", maxDiscarded, strings.Join(named, ", "))
	case count > len(named):
		return fmt.Sprintf("discarded %d files outside the work directory: %s and %d more", count, strings.Join(named, ", "), count-len(named))
	}
	return fmt.Sprintf("discarded %d files outside the work directory: %s", count, strings.Join(named, ", "))
}

// shownTemp is how users know the directory for temporary files.
func shownTemp(workspace action.Workspace) string {
	if workspace.Isolation == action.IsolationNone || slices.Contains(workspace.Writable, tempPath) {
		return "$TMPDIR"
	}
	return tempPath
}

// isMountPoint tells of an empty file that bubblewrap makes where it hides a file below /tmp.
func isMountPoint(entry fs.DirEntry) bool {
	info, err := entry.Info()
	return err == nil && info.Mode() == 0o444 && info.Size() == 0
}

func isEmpty(workspace action.Workspace, name string) bool {
	// O_NONBLOCK spares calls, as in the runner's list, and a pipe that commands put there is
	// not waited for.
	dir, err := workspace.Root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return true
	}
	defer func() { _ = dir.Close() }()
	_, err = dir.Readdirnames(1)
	return errors.Is(err, io.EOF)
}

func printable(r rune) rune {
	if strconv.IsPrint(r) {
		return r
	}
	return '?'
}

// readOnlyFinder passes on what commands print and notes the last complaint about a read-only
// file system.
type readOnlyFinder struct {
	to io.Writer
	// tail is the end of what was written before.
	tail []byte
	// line is the complaint.
	line string
}

// readOnlyError is how the C library and Go name the error, without the letter in which they
// differ.
const readOnlyError = "ead-only file system"

// longestComplaint is how much of a line is looked at.
const longestComplaint = 1024

// Write implements io.Writer.
func (f *readOnlyFinder) Write(p []byte) (int, error) {
	start := slices.Concat(f.tail, p[:min(len(p), longestComplaint)])
	f.find(start)
	if len(p) > longestComplaint {
		f.find(p)
		start = p
	}
	f.tail = bytes.Clone(start[max(0, len(start)-longestComplaint):])
	return f.to.Write(p)
}

func (f *readOnlyFinder) find(data []byte) {
	at := bytes.LastIndex(data, []byte(readOnlyError))
	if at < 0 {
		return
	}
	begin := bytes.LastIndexByte(data[:at], '\n') + 1
	end := bytes.IndexByte(data[at:], '\n')
	if end < 0 {
		end = len(data) - at
	}
	f.line = string(data[max(begin, at-longestComplaint) : at+min(end, longestComplaint)])
}

// Programs quote paths in their own ways; a path without quotes ends at a space.
var (
	quotedPath   = regexp.MustCompile(`['"\x60‘“](/[^'"’”]*)['"’”]`)
	absolutePath = regexp.MustCompile(`(/[^\s'"’”:,;()\[\]]+)`)
)

// hint says what to do about the complaint, if there was one. It names no directory to open: that
// is for the operator to choose, since all pipelines can write there.
func (f *readOnlyFinder) hint() string {
	if f.line == "" {
		return ""
	}
	const advice = "To let the commands of all pipelines write to a directory, start headraced with --writable DIR"
	for _, pattern := range []*regexp.Regexp{quotedPath, absolutePath} {
		if paths := pattern.FindAllStringSubmatch(f.line, -1); len(paths) > 0 {
			// Scripts and programs come before what they complain about.
			return shorten(filepath.Clean(paths[len(paths)-1][1])) + " is read-only for commands. " + advice
		}
	}
	return "Commands can write only to the work directory, HOME and /tmp. " + advice
}
