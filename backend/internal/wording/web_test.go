package wording_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/wording"
)

// TestWordsOfTheWebUI reads the texts in the catalog of the web UI.
func TestWordsOfTheWebUI(t *testing.T) {
	t.Parallel()
	catalog, err := os.ReadFile(filepath.Join("..", "..", "web", "src", "words.ts"))
	require.NoError(t, err)
	texts := regexp.MustCompile("\"[^\"\n]*\"|`[^`]*`").FindAllString(string(catalog), -1)
	require.Greater(t, len(texts), 200, "the catalog has to be found")
	for _, text := range texts {
		assert.Empty(t, wording.Find(text[1:len(text)-1]), text)
	}
}
