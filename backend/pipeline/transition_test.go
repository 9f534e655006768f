package pipeline_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestCheckTransitionReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		enabled      bool
		reason, want string
	}{
		{true, "", ""},
		{true, "freeze", "leave it out"},
		{false, "freeze", ""},
		{false, strings.Repeat("ä", 300), ""},
		{false, strings.Repeat("ä", 301), "at most 300 characters"},
		{false, "", "say why"},
		{false, " \t\n", "say why"},
		{false, "two\nlines", "on one line"},
		{false, "a \x1b[31mcolour", "on one line"},
	} {
		err := pipeline.CheckTransitionReason(c.enabled, c.reason)
		if c.want == "" {
			require.NoError(t, err, "%q", c.reason)
			continue
		}
		require.ErrorContains(t, err, c.want, "%q", c.reason)
	}
}
