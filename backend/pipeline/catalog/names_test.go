package catalog_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// providerNames matches the names of the providers of built-in types as words. The provider of
// a third party has the name of a company, which texts about connections need; its owner is
// what tells that the type is meant.
func providerNames() *regexp.Regexp {
	var names []string
	for _, t := range slices.Concat(catalog.Builtin().Actions(), catalog.Builtin().Rules()) {
		name := t.ID.Provider
		if t.ID.Owner == "ThirdParty" {
			name = t.ID.Owner
		}
		names = append(names, regexp.QuoteMeta(name))
	}
	return regexp.MustCompile(`\b(?:` + strings.Join(names, "|") + `)\b`)
}

// providerLiterals returns the string literals of a Go source that have the name of a provider.
func providerLiterals(t *testing.T, name string, source any) (found []string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	require.NoError(t, err)
	names := providerNames()
	ast.Inspect(file, func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		require.NoError(t, err)
		if names.MatchString(text) {
			found = append(found, files.Position(literal.Pos()).String()+": "+literal.Value)
		}
		return true
	})
	return found
}

// TestNoProviderIsNamed holds that the rooms which carry types out, or pass them on, have no
// name of a type: all that they know of it is in its declaration.
func TestNoProviderIsNamed(t *testing.T) {
	t.Parallel()
	files := 0
	for _, room := range []string{"engine", "service", "loop", "rpc"} {
		root := filepath.Join("..", "..", "internal", room)
		require.NoError(t, fs.WalkDir(os.DirFS(root), ".", func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files++
			for _, found := range providerLiterals(t, filepath.Join(root, path), nil) {
				t.Errorf("%s has the name of a type; read what it needs from the type's declaration", found)
			}
			return nil
		}))
	}
	require.Greater(t, files, 20, "the rooms are elsewhere")
}

// TestProviderLiterals holds that the test above would find a name.
func TestProviderLiterals(t *testing.T) {
	t.Parallel()
	source := "package engine\n\nconst window, kind, fine = `DeploymentWindow`, \"Source/Headrace/Git/1\", \"GitLab commands\"\n"
	require.Len(t, providerLiterals(t, "x.go", source), 2)
}

// TestEveryTypeIsDescribed holds that each declaration has the texts and the functions that
// those who read it rely on.
func TestEveryTypeIsDescribed(t *testing.T) {
	t.Parallel()
	for _, kind := range slices.Concat(catalog.Builtin().Actions(), catalog.Builtin().Rules()) {
		name := kind.ID.String()
		require.Regexp(t, `^[A-Z].*\.$`, kind.Summary, name)
		require.Equal(t, kind.Work == pipeline.WorkImmediate, kind.Decide != nil, name)
		require.Equal(t, kind.Work == pipeline.WorkTimed, kind.Open != nil, name)
		require.Equal(t, kind.Work != pipeline.WorkImmediate, kind.DefaultTimeout > 0, name)
		require.Equal(t, kind.Work == pipeline.WorkAttempt, kind.OnLost != "", name)
		for _, p := range kind.Properties {
			require.False(t, p.Secret && kind.ID.Category == pipeline.CategoryRule, "%s %s: only configurations of actions are sealed", name, p.Name)
			require.Regexp(t, `^[A-Z].*\.$`, p.Description, "%s %s", name, p.Name)
			require.NotEmpty(t, p.Example, "%s %s", name, p.Name)
			if p.Check != nil {
				require.NoError(t, p.Check(p.Example), "%s %s", name, p.Name)
			}
			if len(p.Allowed) > 0 {
				require.Contains(t, p.Allowed, p.Example, "%s %s", name, p.Name)
			}
		}
		for _, v := range kind.Variables {
			require.Regexp(t, `^[A-Z].*\.$`, v.Description, "%s %s", name, v.Name)
		}
		for _, set := range kind.Exclusive {
			require.Subset(t, kind.PropertyNames(), set, name)
		}
		for _, check := range kind.Checks {
			require.Subset(t, kind.PropertyNames(), check.Properties, name)
		}
	}
}
