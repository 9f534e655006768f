package pipeline_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// TestSealed holds that the stored form of a secret value leads to the ciphertext, and that its
// reference does not, but says whether a value is the same.
func TestSealed(t *testing.T) {
	t.Parallel()
	salt := []byte("0123456789abcdef")
	stored, err := pipeline.Sealed("sentinel-value", salt, []byte("ciphertext"))
	require.NoError(t, err)
	ciphertext, ok := pipeline.SealedCiphertext(stored)
	require.True(t, ok)
	require.Equal(t, "ciphertext", string(ciphertext))
	reference := pipeline.SealedReference(stored)
	require.NotEqual(t, stored, reference)
	require.Equal(t, reference, pipeline.SealedReference(reference))
	_, ok = pipeline.SealedCiphertext(reference)
	require.False(t, ok)
	for _, text := range []string{stored, reference} {
		require.True(t, pipeline.IsSealed(text))
		require.True(t, pipeline.SealedIs(text, "sentinel-value"))
		require.False(t, pipeline.SealedIs(text, "sentinel-values"))
		require.False(t, pipeline.SealedIs(text, ""))
		require.NotContains(t, text, "sentinel")
	}
	other, err := pipeline.Sealed("sentinel-value", []byte("fedcba9876543210"), nil)
	require.NoError(t, err)
	require.NotEqual(t, reference, pipeline.SealedReference(other), "equal values do not look equal")
	for _, text := range []string{"", "ghp_token", "sealed:v1:", "sealed:v1:a", "sealed:v1:a:b:c:d", "sealed:v2:a:b"} {
		require.False(t, pipeline.IsSealed(text), text)
		require.Equal(t, text, pipeline.SealedReference(text))
		require.False(t, pipeline.SealedIs(text, text), text)
	}
}

// TestRestoreSecrets holds that what was declared reads back, and that a change of the value
// elsewhere shows.
func TestRestoreSecrets(t *testing.T) {
	t.Parallel()
	stored, err := pipeline.Sealed("declared", []byte("0123456789abcdef"), nil)
	require.NoError(t, err)
	reference := pipeline.SealedReference(stored)
	read := map[string]string{"Owner": "acme", "OAuthToken": reference}
	require.Equal(t, map[string]string{"Owner": "acme", "OAuthToken": "declared"},
		pipeline.RestoreSecrets(read, map[string]string{"Owner": "before", "OAuthToken": "declared"}))
	require.Equal(t, read, pipeline.RestoreSecrets(read, map[string]string{"OAuthToken": "another"}))
	require.Equal(t, read, pipeline.RestoreSecrets(read, nil))
}
