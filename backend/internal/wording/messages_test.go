package wording_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/wording"
)

// TestMessages reads the texts in the code: errors, log messages, descriptions.
func TestMessages(t *testing.T) {
	t.Parallel()
	read := 0
	files := token.NewFileSet()
	for _, root := range []string{filepath.Join("..", ".."), filepath.Join("..", "..", "..", "internal")} {
		require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() && (entry.Name() == "gen" || entry.Name() == "wording" || entry.Name() == "node_modules") {
				return filepath.SkipDir
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(node ast.Node) bool {
				literal, ok := node.(*ast.BasicLit)
				if !ok || literal.Kind != token.STRING {
					return true
				}
				text, err := strconv.Unquote(literal.Value)
				require.NoError(t, err)
				assert.Empty(t, wording.Find(text), "%s: %s", files.Position(literal.Pos()), text)
				read++
				return true
			})
			return nil
		}))
	}
	require.Greater(t, read, 1000, "the walk has to find the code")
}
