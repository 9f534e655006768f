package readmetest_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCommandsOfTheTestingPage holds that each command of the page runs at least one test.
func TestCommandsOfTheTestingPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/testing.md")
	require.NoError(t, err)
	commands := regexp.MustCompile(`go test \./(\S+?)(?: -run ([^\s/`+"`"+`]+)\S*)?`+"[`\n]").FindAllStringSubmatch(string(page), -1)
	require.NotEmpty(t, commands)
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	for _, command := range commands {
		files, err := filepath.Glob(filepath.Join("../..", command[1], "*_test.go"))
		require.NoError(t, err)
		named, err := regexp.Compile(command[2])
		require.NoError(t, err)
		var runs []string
		for _, file := range files {
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, match := range declared.FindAllStringSubmatch(string(source), -1) {
				if named.MatchString(match[1]) {
					runs = append(runs, match[1])
				}
			}
		}
		require.NotEmpty(t, runs, command[0])
	}
	require.Len(t, regexp.MustCompile(`go test \./`).FindAllString(string(page), -1), len(commands))
}
