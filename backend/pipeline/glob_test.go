package pipeline_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestCheckGlob(t *testing.T) {
	t.Parallel()
	list := func(n int) string { return "{" + strings.Repeat("a,", n-1) + "a}" }
	for pattern, want := range map[string]string{
		"dist/**/*.{txt,md}":                        "",
		list(64):                                    "",
		list(65):                                    "more than 64",
		strings.Repeat("{,a}", 6):                   "",
		strings.Repeat("{,a}", 7):                   "more than 64",
		strings.Repeat("{,a}", 31) + "x":            "more than 64",
		strings.Repeat("{,a}", 70):                  "more than 64",
		list(32) + "{x,y}":                          "",
		list(32) + "{x,y,z}":                        "more than 64",
		"{" + list(32) + "," + list(32) + "}":       "",
		"{" + list(32) + "," + list(32) + ",z}":     "more than 64",
		"{a{b{c{d{e{f{g{h,i},},},},},},},x}":        "",
		strings.Repeat("{a}", 40):                   "",
		strings.Repeat("[{,a}]", 10):                "",
		strings.Repeat(`\{,a\}`, 10):                "",
		strings.Repeat("{[}],a}", 7):                "more than 64",
		strings.Repeat(`{[\]}],a}`, 7):              "more than 64",
		"a,b,c" + strings.Repeat(",", 100) + "{a,}": "",
		"{a": "not a valid pattern",
		"a}": "not a valid pattern",
		"[]": "not a valid pattern",
	} {
		err := pipeline.CheckGlob(pattern)
		if want == "" {
			require.NoError(t, err, pattern)
			continue
		}
		require.ErrorContains(t, err, want, pattern)
	}
}
