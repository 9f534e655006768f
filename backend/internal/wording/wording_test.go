package wording_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/wording"
)

func TestFindsPhrases(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"this is no page token":                           {"is no page"},
		"31 is none of 1 to 30":                           {"is none of"},
		"fetched in the place\nof the newest":             {"in the place of"},
		"Whoever sees it can read. Who asks is answered":  {"Whoever ", ". Who "},
		"There is no pipeline web; it is no longer there": nil,
		"for every one of those who wait, not a URL":      nil,
		"One line.\n\nWho starts it":                      {"Who "},
	} {
		require.Equal(t, want, wording.Find(text), text)
	}
}
