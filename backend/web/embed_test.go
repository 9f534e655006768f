//go:build !noui

package web_test

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/web"
)

// TestFilesHaveWhatTheIndexNames checks that each file that index.html loads is embedded, that
// nothing is inline, which the content security policy refuses, and that nothing is loaded from
// elsewhere.
func TestFilesHaveWhatTheIndexNames(t *testing.T) {
	t.Parallel()
	files, ok := web.Files()
	require.True(t, ok)
	page, err := fs.ReadFile(files, "index.html")
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(string(page), `<base href="/">`))
	assert.NotRegexp(t, `<style|\sstyle=|\son[a-z]+=|<script>|<script [^>]*>[^<]`, string(page))
	links := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(string(page), -1)
	assets := 0
	for _, link := range links {
		if strings.HasPrefix(link[1], "data:image/") || link[1] == "/" {
			continue
		}
		require.Regexp(t, `^assets/[a-z]+-[0-9A-Z]{8}\.(js|css)$`, link[1])
		_, err := fs.Stat(files, link[1])
		require.NoError(t, err)
		assets++
	}
	assert.GreaterOrEqual(t, assets, 2)
}

// TestFilesPassLicensesOn checks that the licenses of the packages in the bundle are part of it.
func TestFilesPassLicensesOn(t *testing.T) {
	t.Parallel()
	files, ok := web.Files()
	require.True(t, ok)
	licenses, err := fs.ReadFile(files, "assets/licenses.txt")
	require.NoError(t, err)
	for _, name := range []string{"preact ", "@preact/signals ", "@connectrpc/connect-web ", "@bufbuild/protobuf "} {
		assert.Contains(t, string(licenses), "\n"+name)
	}
}
