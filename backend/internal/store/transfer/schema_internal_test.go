package transfer

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func table(name string, after ...string) Table {
	return Table{Name: name, After: after, Columns: []Column{{"id", Text}, {"n", Integer}}}
}

func TestPlanRefusesWhateverWouldBeLost(t *testing.T) {
	t.Parallel()
	with := func(t Table, columns ...Column) Table {
		t.Columns = append(append([]Column(nil), t.Columns...), columns...)
		return t
	}
	tests := map[string]struct {
		source, target []Table
		want           string
	}{
		"a table of the source": {[]Table{table("a"), table("b")}, []Table{table("a")}, "only the source has table b"},
		"a table of the target": {[]Table{table("a")}, []Table{table("a"), table("b")}, "only the target has table b"},
		"a column of the source": {
			[]Table{with(table("a"), Column{"new", Text})}, []Table{table("a")}, "only the source has a.new",
		},
		"a column of the target": {
			[]Table{table("a")}, []Table{with(table("a"), Column{"new", Text})}, "only the target has a.new",
		},
		"another type": {
			[]Table{with(table("a"), Column{"x", Integer})},
			[]Table{with(table("a"), Column{"x", Boolean})},
			"a.x is integer in the source and boolean in the target",
		},
		"a type that nobody carries": {
			[]Table{with(table("a"), Column{"x", "REAL"})}, []Table{with(table("a"), Column{"x", "REAL"})}, "a.x is of type REAL, which is not carried",
		},
		"a circle": {[]Table{table("a"), table("b")}, []Table{table("a", "b"), table("b", "a")}, "in a circle"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := plan(test.source, test.target)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestPlanBringsWhatOthersReferToFirst(t *testing.T) {
	t.Parallel()
	source := []Table{table("a"), table("b"), table("c"), table("goose_db_version"), table("probe")}
	target := []Table{table("a", "c", "a"), table("b"), table("c", "b"), table("goose_db_version")}
	got, err := plan(source, target)
	require.NoError(t, err)
	names := make([]string, len(got))
	for i, t := range got {
		names[i] = t.Name
	}
	require.Equal(t, []string{"b", "c", "a"}, names)
}

// Every difference of a row, and the number of equal ones, shows in the tally; their
// order does not.
func TestTally(t *testing.T) {
	t.Parallel()
	sum := func(rows ...[]any) string {
		var sum tally
		two := Table{Name: "t", Columns: []Column{{"a", Text}, {"b", Text}, {"c", Boolean}, {"d", Integer}}}
		for _, row := range rows {
			require.NoError(t, sum.add(two, append([]any(nil), row...)))
		}
		return sum.digest()
	}
	one, two := []any{"a", "b", true, int64(1)}, []any{"b", "a", true, int64(1)}
	require.Equal(t, sum(one, two), sum(two, one))
	require.Equal(t, sum(one), sum([]any{[]byte("a"), "b", int64(1), int32(1)}), "drivers differ in their types")
	seen := make(map[string]bool)
	for _, rows := range [][][]any{
		{},
		{one},
		{two},
		{one, one},
		{two, two},
		{one, one, one},
		{one, two},
		{{"ab", "", true, int64(1)}},
		{{"a", "b", false, int64(1)}},
		{{"a", "b", true, int64(2)}},
		{{"a", nil, true, int64(1)}},
	} {
		digest := sum(rows...)
		require.False(t, seen[digest], rows)
		seen[digest] = true
	}
}
