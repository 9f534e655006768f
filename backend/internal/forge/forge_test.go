package forge_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
)

func TestTheKeyOfARepository(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind       forge.Kind
		name, want string
	}{
		{forge.GitHub, "Acme/Web", "acme/web"},
		{forge.GitHub, "/acme/web.git/", "acme/web"},
		{forge.GitLab, "Group/Sub/Web.git", "group/sub/web"},
		{forge.Gitea, "Owner/Web", "owner/web"},
		{"", "Srv/Git/Web.git", "Srv/Git/Web"},
		{"", "web", "web"},
	} {
		require.Equal(t, test.want, forge.RepositoryKey(test.kind, test.name))
	}
}

func TestTextIsCleanAndShort(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain – ü 日本": "plain – ü 日本", "a\x1b[31mb\x07": "a[31mb", "two\nlines\tand\rmore": "two lines andmore",
		"\u202eright to left\u2066": "right to left", "not\xffUTF-8": "not\uFFFDUTF-8", "": "",
	} {
		require.Equal(t, want, forge.Text(text))
	}
	require.Equal(t, "Subject\n\nTrailer: x", forge.Message("Subject\r\n\r\nTrailer: x"))
	long := forge.Text(strings.Repeat("日", 1000))
	require.LessOrEqual(t, len(long), 1000)
	require.Equal(t, strings.Repeat("日", len(long)/3), long, "it is cut between characters")
	require.Equal(t, 0, len(long)%3)
}

func TestObjectIDs(t *testing.T) {
	t.Parallel()
	sha1, sha256 := strings.Repeat("aB", 20), strings.Repeat("0F", 32)
	for value, want := range map[string]string{
		sha1: strings.ToLower(sha1), sha256: strings.ToLower(sha256), strings.Repeat("0", 40): "", strings.Repeat("0", 64): "",
	} {
		got, err := forge.CommitID("after", value)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, value := range []string{"", "main", sha1[1:], sha1 + "0", strings.Repeat("g", 40), strings.Repeat("é", 20)} {
		_, err := forge.CommitID("after", value)
		require.ErrorAs(t, err, new(*forge.MalformedError), value)
	}
}

func TestErrorsQuoteLittleOfADelivery(t *testing.T) {
	t.Parallel()
	err := forge.CheckRef("ref", "\x1b]0;\u202e"+strings.Repeat("x", 10_000))
	require.Error(t, err)
	require.Less(t, len(err.Error()), 200)
	require.NotContains(t, err.Error(), "\x1b")
	require.NotContains(t, err.Error(), "\u202e")
	err = forge.Decode([]byte(`{"password":"hunter2" x}`), &struct{}{})
	require.ErrorContains(t, err, "byte")
	require.NotContains(t, err.Error(), "hunter2")
	err = forge.Decode([]byte(`{"ref":{"a":"hunter2"}}`), &struct {
		Ref string `json:"ref"`
	}{})
	require.ErrorContains(t, err, "/ref")
	require.NotContains(t, err.Error(), "hunter2")
}

func TestNamesThatLookLikeOthersAreRefused(t *testing.T) {
	t.Parallel()
	for what, ref := range map[string]string{
		"zero width space":    "refs/heads/ma\u200bin",
		"zero width joiner":   "refs/heads/main\u200d",
		"byte order mark":     "refs/heads/\ufeffmain",
		"soft hyphen":         "refs/heads/ma\u00adin",
		"word joiner":         "refs/tags/v1\u2060",
		"direction":           "refs/heads/\u202eniam",
		"no-break space":      "refs/heads/main\u00a0",
		"filler":              "refs/heads/main\u3164",
		"blank":               "refs/heads/main\u2800",
		"tag":                 "refs/heads/main\U000e0041",
		"variation":           "refs/heads/main\ufe0f",
		"line separator":      "refs/heads/main\u2028",
		"replacement":         "refs/heads/main\ufffd",
		"mongolian separator": "refs/heads/main\u180e",
	} {
		err := forge.CheckRef("ref", ref)
		require.ErrorContains(t, err, "is not the full name of a ref", what)
		require.NotContains(t, err.Error(), ref, "%s is written out", what)
	}
	for _, ref := range []string{"refs/heads/main", "refs/heads/grüße/世界", "refs/tags/v1.0-ß", "refs/heads/é"} {
		require.NoError(t, forge.CheckRef("ref", ref))
	}
}
