package secret_test

import (
	"bytes"
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
		{"adjacent", "hunter22hunter22", "********", []string{"hunter22"}},
		{"repeating", "aaaaaaaaaaaaa", "********a", []string{"aaaaaa"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, secret.Redact(test.text, test.secrets...))
		})
	}
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
		var out bytes.Buffer
		w := secret.NewWriter(&out, secrets...)
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			_, err := w.Write([]byte(rest[:n]))
			require.NoError(t, err)
			rest = rest[n:]
		}
		require.NoError(t, w.Close())
		require.Equal(t, secret.Redact(text, secrets...), out.String())
		for _, s := range secrets {
			require.NotContains(t, out.String(), s)
		}
	})
}
