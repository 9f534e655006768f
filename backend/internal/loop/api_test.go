package loop_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// maxNames bounds what `go doc -short` lists of this package. The loop is a room that
// others submit to; what they need more of belongs to them.
const maxNames = 15

func TestExportedNamesAreFew(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var names []string
	exported := func(ident *ast.Ident) {
		if ident.IsExported() {
			names = append(names, ident.Name)
		}
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil {
					exported(decl.Name)
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						exported(spec.Name)
					case *ast.ValueSpec:
						for _, ident := range spec.Names {
							exported(ident)
						}
					}
				}
			}
		}
	}
	require.Contains(t, names, "Loop")
	require.LessOrEqual(t, len(names), maxNames, "%v", names)
}
