package command

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/shell"
)

// maxFirstLine is how much of a script is read to find how its lines end.
const maxFirstLine = 4096

// cause says why a command failed, if that is known better than by its exit code.
func cause(command string, root *os.Root) string {
	if missing := shell.Incomplete(command); missing != "" {
		return "it " + incomplete(missing)
	}
	for _, word := range shell.Words(command) {
		if windowsScript(root, word) {
			return fmt.Sprintf("the script %s has Windows line endings, which the shell reads as part of each line; "+
				"commit it with Unix line endings, for example with *.sh text eol=lf in .gitattributes", shorten(word))
		}
	}
	return ""
}

// unfinished says which of the commands before a failed one is not complete: the shell may
// run it, and what was to be a part of it fails later.
func unfinished(commands []string) string {
	for i, command := range commands {
		if missing := shell.Incomplete(command); missing != "" {
			return fmt.Sprintf(". Command %d (`%s`) %s", i+1, shorten(command), incomplete(missing))
		}
	}
	return ""
}

func incomplete(missing string) string {
	return fmt.Sprintf("is not complete by itself (%s), and the shell reads each command on its own; "+
		"write it on one line, for example if a; then b; fi, or in a script in the repository", shorten(missing))
}

// windowsScript tells whether a word names a script in the work directory whose lines end
// as on Windows.
func windowsScript(root *os.Root, word string) bool {
	if word == "" || path.IsAbs(word) {
		return false
	}
	start, err := readStart(root, path.Join(action.FilesDir, word), maxFirstLine)
	if err != nil {
		return false
	}
	first, _, ended := bytes.Cut(start, []byte("\n"))
	script := bytes.HasPrefix(first, []byte("#!")) || strings.HasSuffix(word, ".sh")
	return ended && script && bytes.HasSuffix(first, []byte("\r"))
}
