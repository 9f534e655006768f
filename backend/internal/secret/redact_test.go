package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/terraform-provider-headrace/backend/internal/secret"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text, want string
		secrets          []string
	}{
		{"none", "hello", "hello", nil},
		{"one", "a hunter22 b hunter22", "a **** b ****", []string{"hunter22"}},
		{"too short is kept", "dev", "dev", []string{"dev"}},
		{"longer one wins", "token-abcdef-more.", "****.", []string{"token-abcdef", "token-abcdef-more"}},
		{"start of one at the end", "hunter2", "hunter2", []string{"hunter22"}},
		{"adjacent", "hunter22hunter22 ", "**** ", []string{"hunter22"}},
		{"overlapping", "-abcdefghi-", "-****-", []string{"abcdef", "defghi"}},
		{"repeating", "aaaaaaaaaaaaa", "****", []string{"aaaaaa"}},
		{"one within another that does not end", "xxabcdefxx abc", "xx****xx abc", []string{"abcdef", "xxabcdefxxyy"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, secret.Redact(test.text, test.secrets...))
		})
	}
}

// TestForms holds that programs which encode a secret do not show it.
func TestForms(t *testing.T) {
	t.Parallel()
	const value = `p@ss w/rd&'<é>"\+x`
	quoted := func(value string) string {
		text, err := json.Marshal(value)
		require.NoError(t, err)
		return string(text[1 : len(text)-1])
	}
	for what, form := range map[string]string{
		"plain":              value,
		"base64":             base64.StdEncoding.EncodeToString([]byte(value)),
		"base64 for URLs":    base64.RawURLEncoding.EncodeToString([]byte(value)),
		"query":              url.QueryEscape(value),
		"path":               url.PathEscape(value),
		"query in lower hex": lowerHex(url.QueryEscape(value)),
		"encodeURIComponent": "p%40ss%20w%2Frd%26'%3C%C3%A9%3E%22%5C%2Bx",
		"Python's quote":     "p%40ss%20w/rd%26%27%3C%C3%A9%3E%22%5C%2Bx",
		"Go's JSON":          quoted(value),
		"JavaScript's JSON":  `p@ss w/rd&'<é>\"\\+x`,
		"Python's JSON":      `p@ss w/rd&'<\u00e9>\"\\+x`,
		"PHP's JSON":         `p@ss w\/rd&'<é>\"\\+x`,
		"a shell's trace":    `p@ss w/rd&'\''<é>"\+x`,
	} {
		got := secret.Redact("before "+form+" after", value)
		require.Contains(t, []string{"before **** after", "before ****= after", "before ****== after"}, got, what)
	}
}

func lowerHex(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' {
			out.WriteString(strings.ToLower(text[i : i+3]))
			i += 2
			continue
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

// A basic-auth header, a JWT or an archive encodes a secret together with what is around it.
func TestBase64WithinAText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[!-~]{12,100}`).Draw(t, "secret")
		before := rapid.SliceOfN(rapid.Byte(), 0, 7).Draw(t, "before")
		after := rapid.SliceOfN(rapid.Byte(), 0, 7).Draw(t, "after")
		encoding := rapid.SampledFrom([]*base64.Encoding{
			base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding,
		}).Draw(t, "encoding")
		text := encoding.EncodeToString([]byte(string(before) + value + string(after)))
		got := secret.Redact(text, value)
		require.Contains(t, got, secret.Mask)
		// What is left encodes the text around it, and at most some bits of its ends.
		require.LessOrEqual(t, len(got)-len(secret.Mask), (4*(len(before)+len(after)))/3+8, got)
	})
}

// Programs break lines of base64, also within a secret that is not the start of the text.
func TestBase64OnSeveralLines(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[!-~]{20,600}`).Draw(t, "secret")
		before := rapid.StringMatching(`[a-z:]{0,80}`).Draw(t, "before")
		width := rapid.SampledFrom([]int{64, 76}).Draw(t, "width")
		encoded := base64.StdEncoding.EncodeToString([]byte(before + value + "\n"))
		var lines strings.Builder
		for at := 0; at < len(encoded); at += width {
			_, _ = fmt.Fprintln(&lines, encoded[at:min(at+width, len(encoded))])
		}
		got := secret.Redact(lines.String(), value)
		left := strings.NewReplacer(secret.Mask, "", "\n", "").Replace(got)
		// What is left encodes the text before, and pieces that are too short to be looked for.
		require.LessOrEqual(t, len(left), 4*len(before)/3+2*secret.MinLength+8, got)
	})
}

const key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\n  indented-line\r\nshort\nlast-line-of-it\n-----END KEY-----\n"

func TestSecretOfSeveralLines(t *testing.T) {
	t.Parallel()
	require.Equal(t, "****\n", secret.Redact(key, key))
	require.Equal(t, "got: ****; short", secret.Redact("got: MIIEvQIBADANBgkqhkiG9w0BAQEF; short", key))
	require.Equal(t, "1: ****\n2: ****\n", secret.Redact("1: indented-line\n2: last-line-of-it\n", key))
	quoted, err := json.Marshal(map[string]string{"key": key})
	require.NoError(t, err)
	require.JSONEq(t, `{"key":"****\n"}`, secret.Redact(string(quoted), key))
	// base64 and OpenSSL break its lines.
	encoded := base64.StdEncoding.EncodeToString([]byte(key))
	for _, width := range []int{64, 76} {
		var broken strings.Builder
		for at := 0; at < len(encoded); at += width {
			fmt.Fprintln(&broken, encoded[at:min(at+width, len(encoded))])
		}
		for line := range strings.Lines(secret.Redact(broken.String(), key)) {
			require.LessOrEqual(t, len(line), len("****")+6, "%d: %s", width, line)
		}
	}
	// What a file or a command adds at the end hides nothing less.
	require.Equal(t, "a **** b", secret.Redact("a hunter22 b", "hunter22\n"))
}

func TestWriterShowsWhatCannotBeASecretAtOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := secret.NewWriter(&out, "hunter22")
	_, err := w.Write([]byte("building hun"))
	require.NoError(t, err)
	require.Equal(t, "building ", out.String())
	_, err = w.Write([]byte("ting"))
	require.NoError(t, err)
	require.Equal(t, "building hunting", out.String())
}

// However the text is cut into writes, no secret comes through and the result is
// that of one write.
func TestWriterDoesNotDependOnChunks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secrets := rapid.SliceOfN(rapid.StringMatching(`[ab]{6,9}`), 1, 3).Draw(t, "secrets")
		text := rapid.StringMatching(`[abc]{0,60}`).Draw(t, "text")
		require.Equal(t, secret.Redact(text, secrets...), inPieces(t, text, secrets, nil))
		require.Equal(t, covered(text, secrets), secret.Redact(text, secrets...))
	})
}

// inPieces writes a text in pieces, and adds more secrets after the first.
func inPieces(t *rapid.T, text string, secrets, more []string) string {
	var out bytes.Buffer
	w := secret.NewWriter(&out, secrets...)
	for rest := text; rest != ""; {
		n := rapid.IntRange(1, len(rest)).Draw(t, "n")
		_, err := w.Write([]byte(rest[:n]))
		require.NoError(t, err)
		rest = rest[n:]
		w.Add(more...)
	}
	require.NoError(t, w.Close())
	return out.String()
}

// covered is what Redact does, in the plainest way: each byte of an occurrence is masked.
// The secrets have no other forms that a text of a, b and c could hold.
func covered(text string, secrets []string) string {
	hidden := make([]bool, len(text))
	for _, s := range secrets {
		for at := 0; at+len(s) <= len(text); at++ {
			if text[at:at+len(s)] == s {
				for i := range s {
					hidden[at+i] = true
				}
			}
		}
	}
	var out strings.Builder
	for i := range text {
		switch {
		case !hidden[i]:
			out.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			out.WriteString(secret.Mask)
		}
	}
	return out.String()
}

// A secret that is handed out while something is kept back loses nothing of what was written.
func TestWriterTakesMoreSecrets(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secrets := rapid.SliceOfN(rapid.StringMatching(`[ab]{6,9}`), 0, 2).Draw(t, "secrets")
		more := rapid.SliceOfN(rapid.StringMatching(`[ab]{6,9}`), 1, 2).Draw(t, "more")
		text := rapid.StringMatching(`[abc]{0,30}`).Draw(t, "text")
		got := inPieces(t, text, secrets, more)
		for _, s := range secrets {
			require.NotContains(t, got, s)
		}
		require.Equal(t, strings.Count(covered(text, append(secrets, more...)), "c"), strings.Count(got, "c"))
	})
	var out bytes.Buffer
	w := secret.NewWriter(&out)
	_, err := io.WriteString(w, "hunter22 ")
	require.NoError(t, err)
	w.Add("hunter22")
	_, err = io.WriteString(w, "hunter22")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Equal(t, "hunter22 ****", out.String())
	require.Equal(t, "not ****", w.Redact("not hunter22"))
}

// line is one of a build's log.
const line = "2026-11-30T12:00:00Z [INFO] compiling github.com/headrace/terraform-provider-headrace/backend/internal/secret (42 files)\n"

func BenchmarkWriter(b *testing.B) {
	text := []byte(strings.Repeat(line, 600)[:64<<10])
	for name, secrets := range map[string][]string{
		"none": nil,
		"one":  {"ghp_16C7e42F292c6912E7710c838347Ae178B4a"},
		"ten": {
			"ghp_16C7e42F292c6912E7710c838347Ae178B4a", "glpat-AbCdEfGhIjKlMnOpQrSt", "hunter22-hunter22", "postgres://user:p%40ss@db/app",
			"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "xoxb-1234567890-abcdefghij", "correct horse battery staple",
			"eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG_HACGpVUMN_a9IV7pAx_Zmeo", "s3cr3t-of-the-tenth",
		},
		"key": {strings.Repeat("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n", 50)},
		// The worst that the owner of a secret can do to a writer.
		"alike": {strings.Repeat("compiling ", 1000)},
	} {
		b.Run(name, func(b *testing.B) {
			w := secret.NewWriter(io.Discard, secrets...)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				_, _ = w.Write(text)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for name, value := range map[string]string{"token": "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "64 KiB": strings.Repeat("0123456789abcdef\n", 3855)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				secret.NewWriter(io.Discard, value)
			}
		})
	}
}
