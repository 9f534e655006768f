package pipeline_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestTextsThatCannotBeShown(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "stop", "リリース\u3000停止", "lundi\u00a0: démo", "ok 👩\u200d💻", "می\u200cخواهم", "soft\u00adhyphen"} {
		require.NoError(t, pipeline.CheckLine("the reason", text), text)
	}
	for _, text := range []string{"a\nb", "a\tb", "\x1b[31m", "\u009b1m", "a\u2028b", "\u202etxt", "\u2066a", "\x00", "\xff"} {
		require.ErrorContains(t, pipeline.CheckLine("the reason", text), "the reason holds characters that cannot be shown", text)
	}
	require.NoError(t, pipeline.CheckLines("the comment", "one\r\ntwo\n\tthree"))
	require.Error(t, pipeline.CheckLines("the comment", "one\n\x1b[31m"))
}

func TestTheNearestName(t *testing.T) {
	t.Parallel()
	names := []string{"api", "main", "web"}
	for word, want := range map[string]string{"wbe": "web", "mian": "main", "Web": "web", "webb": "web", "db": "", "xyz": "", "": ""} {
		require.Equal(t, want, pipeline.Nearest(word, names), word)
	}
}
