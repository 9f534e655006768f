// Command generate writes the pages of the types of actions and rules into docs/guides. It is
// run from the root of the repository, after tfplugindocs, which empties docs.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
	"github.com/headrace/terraform-provider-headrace/internal/typedocs"
)

func main() {
	if err := generate(); err != nil {
		fmt.Fprintln(os.Stderr, "typedocs:", err)
		os.Exit(1)
	}
}

func generate() error {
	pages, err := typedocs.Render(catalog.Builtin(), filepath.Join("examples", "types"))
	if err != nil {
		return err
	}
	for name, text := range pages {
		//nolint:gosec // Everybody may read the documentation.
		if err := os.WriteFile(filepath.Join("docs", "guides", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
