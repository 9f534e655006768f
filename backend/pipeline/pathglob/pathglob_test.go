package pathglob_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pathglob"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for pattern, names := range map[string]struct{ yes, no string }{
		"main":              {"main", "Main mai main2 feature/main"},
		"*":                 {"main a.b ä", "a/b /"},
		"feature*":          {"feature feature-1", "feature/x"},
		"feature/*":         {"feature/x feature/", "feature/x/y feature"},
		"feature/**":        {"feature/x feature/x/y feature/", "feature"},
		"**":                {"a a/b a/b/c", ""},
		"**/README.md":      {"README.md a/README.md a/b/README.md", "aREADME.md README.md/a"},
		"common/**/*.js":    {"common/a.js common/x/a.js common/x/y/a.js", "common/a.ts common.js acommon/a.js"},
		"a**b":              {"ab a/b axxb a/x/yb", "ba a/bc"},
		"***":               {"a/b", ""},
		"**.md":             {"a.md a/b.md .md", "a.mdx"},
		"?":                 {"a ä €", "ab / aa"},
		"foo.?":             {"foo.c", "foo. foo.cc foo./"},
		"*.{java,class}":    {"A.java A.class", "A.jar a/A.java"},
		"{a,b/c}/d":         {"a/d b/c/d", "a/c/d d"},
		"{,v}1":             {"1 v1", "vv1 v"},
		"{a,b}{c,d}":        {"ac ad bc bd", "a cd abcd"},
		"x{*,**}y":          {"xy x/y xay", "x y/"},
		"{**/,}a":           {"a b/a b/c/a", "ba"},
		"{x/,y/}**/a":       {"x/a x/b/a", "xa"},
		"[abc]":             {"a b c", "d ab"},
		"[a-cx]1":           {"a1 b1 x1", "d1 -1"},
		"[!a]":              {"b ä", "a / bb"},
		"[!a-c]z":           {"dz -z", "az bz /z"},
		"[-a]":              {"- a", "b"},
		"[a-]":              {"- a", "b"},
		"[!-a]":             {"b", "- a"},
		`[*?\]`:             {`* ? \`, "a"},
		"[ä-ü]":             {"ä ö ü", "a z"},
		`\*\{a\,b\}\\`:      {`*{a,b}\`, "x{a,b}"},
		"a,b":               {"a,b", "a b"},
		"release-[0-9].[0]": {"release-1.0", "release-11.0"},
	} {
		glob, err := pathglob.Compile(pattern)
		require.NoError(t, err, pattern)
		for name := range strings.FieldsSeq(names.yes) {
			assert.True(t, glob.MatchString(name), "%q must match %q", pattern, name)
		}
		for name := range strings.FieldsSeq(names.no) {
			assert.False(t, glob.MatchString(name), "%q must not match %q", pattern, name)
		}
	}
}

// TestBytes matches names that are not UTF-8, which Git allows.
func TestBytes(t *testing.T) {
	t.Parallel()
	for pattern, names := range map[string]struct{ yes, no []string }{
		"a?b":      {[]string{"a\xffb", "a\xc3b"}, []string{"a\xff\xfeb"}},
		"a*":       {[]string{"a\xff\xfe"}, nil},
		"[!x]":     {[]string{"\xff", "\uFFFD"}, []string{"x"}},
		"\uFFFD":   {[]string{"\uFFFD"}, []string{"\xff"}},
		"[\uFFFD]": {[]string{"\uFFFD"}, []string{"\xff"}},
		"*???":     {[]string{"€€€", "a€b"}, []string{"€", "ä"}},
		"*\x00":    {[]string{"a\x00"}, []string{"a"}},
	} {
		glob, err := pathglob.Compile(pattern)
		require.NoError(t, err, pattern)
		for _, name := range names.yes {
			assert.True(t, glob.MatchString(name), "%q must match %q", pattern, name)
		}
		for _, name := range names.no {
			assert.False(t, glob.MatchString(name), "%q must not match %q", pattern, name)
		}
	}
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"":                       "is empty",
		"[a":                     "no closing ]",
		"[":                      "no closing ]",
		"[a-":                    "no closing ]",
		"[]":                     "is empty",
		"[!]":                    "is empty",
		"[a/b]":                  "holds a slash",
		"[a-/]":                  "not a range",
		"[z-a]":                  "z-a is not a range",
		"{a":                     "no closing }",
		"a}":                     "no opening {",
		"{a,{b,c}}":              "cannot be nested",
		`a\`:                     `ends with \`,
		"\xff":                   "not valid UTF-8",
		strings.Repeat("ä", 256): "more than 255 characters",
	} {
		require.ErrorContains(t, pathglob.Check(pattern), want, pattern)
	}
	require.NoError(t, pathglob.Check(strings.Repeat("ä", 255)))
}
