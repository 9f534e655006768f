package wording_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/wording"
)

// TestMarkdownFiles reads all documents of the repository, and their templates.
func TestMarkdownFiles(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "..")
	read := 0
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "build" || name == "bin" || name == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".md") && !strings.HasSuffix(name, ".md.tmpl") {
			return nil
		}
		read++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		assert.Empty(t, wording.Find(string(text)), path)
		return nil
	}))
	require.Greater(t, read, 20, "the walk has to find the documents")
}
