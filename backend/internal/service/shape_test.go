package service_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// maxMethods bounds an object of this package: a use case is a file, and an object that
// has more of them is several objects.
const maxMethods = 15

// source is this package, checked without its imports: what is declared here is resolved.
type source struct {
	files *token.FileSet
	pkg   *types.Package
	uses  map[*ast.Ident]types.Object
}

// noImports imports packages that are empty.
type noImports struct{}

// Import implements types.Importer.
func (noImports) Import(of string) (*types.Package, error) {
	pkg := types.NewPackage(of, path.Base(of))
	pkg.MarkComplete()
	return pkg, nil
}

func readSource(t *testing.T) *source {
	t.Helper()
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	s := &source{files: token.NewFileSet(), uses: make(map[*ast.Ident]types.Object)}
	var parsed []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(s.files, name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		parsed = append(parsed, file)
	}
	require.NotEmpty(t, parsed)
	// What is missing of the imports does not matter here.
	config := types.Config{Importer: noImports{}, Error: func(error) {}}
	s.pkg, _ = config.Check("service", s.files, parsed, &types.Info{Uses: s.uses})
	return s
}

func (s *source) file(at token.Pos) string { return s.files.Position(at).Filename }

// calls returns for each file the files whose functions and methods it uses.
func (s *source) calls() map[string]map[string]string {
	calls := make(map[string]map[string]string)
	for ident, object := range s.uses {
		from := s.file(ident.Pos())
		if _, isFunction := object.(*types.Func); !isFunction || object.Pkg() != s.pkg || !object.Pos().IsValid() {
			continue
		}
		if to := s.file(object.Pos()); to != from {
			if calls[from] == nil {
				calls[from] = make(map[string]string)
			}
			calls[from][to] = object.Name()
		}
	}
	return calls
}

// circle returns files whose calls lead back to the first of them, with the functions by
// which they do; nothing if there are none.
func circle(calls map[string]map[string]string) []string {
	done := make(map[string]bool)
	var trail []string
	var visit func(file string) []string
	visit = func(file string) []string {
		if i := slices.Index(trail, file); i >= 0 {
			found := append(slices.Clone(trail[i:]), file)
			for j := range len(found) - 1 {
				found[j] += " calls " + calls[found[j]][strings.Fields(found[j+1])[0]]
			}
			return found
		}
		if done[file] {
			return nil
		}
		done[file] = true
		trail = append(trail, file)
		defer func() { trail = trail[:len(trail)-1] }()
		for to := range calls[file] {
			if found := visit(to); found != nil {
				return found
			}
		}
		return nil
	}
	for file := range calls {
		if found := visit(file); found != nil {
			return found
		}
	}
	return nil
}

// Files call each other in one direction, so that one can be read and changed without
// those that call it.
func TestNoCallsInACircle(t *testing.T) {
	t.Parallel()
	calls := readSource(t).calls()
	require.Contains(t, calls, "accounts.go")
	require.Contains(t, calls["accounts.go"], "authorize.go", "calls are found")
	require.Empty(t, circle(calls))
	calls["authorize.go"] = map[string]string{"accounts.go": "x"}
	require.NotEmpty(t, circle(calls), "circles are found")
}

func TestObjectsAreSmall(t *testing.T) {
	t.Parallel()
	scope := readSource(t).pkg.Scope()
	methods := make(map[string]int)
	for _, name := range scope.Names() {
		object, isType := scope.Lookup(name).(*types.TypeName)
		if !isType {
			continue
		}
		if named, ok := object.Type().(*types.Named); ok {
			methods[name] = named.NumMethods()
			require.LessOrEqual(t, named.NumMethods(), maxMethods, "%s has too many methods: divide it", name)
		}
	}
	require.NotZero(t, methods["Executions"])
	t.Log(methods)
}
