// Package typedocs makes the page of each type of actions and rules from its declaration and
// from an example in HCL. It must never describe a type in words of its own.
package typedocs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// Render returns the pages of a catalog by file name. examples is a directory with a
// subdirectory for each page, which holds main.tf.
func Render(types *pipeline.Catalog, examples string) (map[string]string, error) {
	rendered := make(map[string]string)
	for _, page := range catalog.Pages(slices.Concat(types.Actions(), types.Rules())) {
		example, err := os.ReadFile(filepath.Join(examples, page.Name(), "main.tf"))
		if err != nil {
			return nil, fmt.Errorf("every type needs an example: %w", err)
		}
		rendered[page.Name()+".md"] = front(page) + page.Markdown(string(example))
	}
	return rendered, nil
}

// front returns what the registry reads of a page.
func front(page catalog.Page) string {
	summary, _, _ := strings.Cut(page.Types[0].Summary, ". ")
	return fmt.Sprintf("---\npage_title: %q\nsubcategory: %q\ndescription: |-\n  %s.\n---\n\n",
		page.Title(), page.Group(), strings.TrimSuffix(summary, "."))
}
