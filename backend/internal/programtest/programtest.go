// Package programtest builds this repository's programs, once for all tests of a package. It
// must never be imported by a program.
package programtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// The programs, as the packages of their main functions.
const (
	Provider  = "github.com/headrace/terraform-provider-headrace"
	Headrace  = Provider + "/backend/cmd/headrace"
	Headraced = Provider + "/backend/cmd/headraced"
)

// Programs are what the tests of a package build and run.
type Programs struct {
	// Packages are those to build.
	Packages []string

	once sync.Once
	dir  string
	err  error
}

// Main runs the tests of a package, and removes what they built. It returns the exit code.
func (p *Programs) Main(run func() int) int {
	dir, err := os.MkdirTemp("", "programs")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a directory for programs:", err)
		return 1
	}
	p.dir = dir
	code := run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "remove programs:", err)
		return max(code, 1)
	}
	return code
}

// Build returns the directory that has the programs. The first call builds them.
func (p *Programs) Build(tb testing.TB) string {
	tb.Helper()
	p.once.Do(func() {
		// Not the context of the first test: others wait for the programs, too.
		build := exec.Command("go", append([]string{"build", "-o", p.dir + string(filepath.Separator)}, p.Packages...)...) //nolint:noctx // See above.
		// As make build does, so that both share Go's cache whatever the tests are built with.
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if output, err := build.CombinedOutput(); err != nil {
			p.err = fmt.Errorf("build %v: %w\n%s", p.Packages, err, output)
		}
	})
	if p.err != nil {
		tb.Fatal(p.err)
	}
	return p.dir
}
