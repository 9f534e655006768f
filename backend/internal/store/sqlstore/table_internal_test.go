package sqlstore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// thing has a column of each kind and role.
type thing struct {
	id, name string
	made     time.Time
	tags     []string
	note     *string
	revision int64
	place    int64
}

func thingColumns(c []column, v *thing) []column {
	return append(c,
		number(generated, "place", &v.place),
		text(identity, "id", &v.id),
		text(constant, "name", &v.name),
		instant(variable, "made", &v.made),
		record(variable, "tags", &v.tags),
		recordIf(v.note != nil, constant, "note", &v.note),
		number(counter, "revision", &v.revision),
	)
}

func TestTableNamesEachColumnInItsStatements(t *testing.T) {
	t.Parallel()
	things := newTable("things", thingColumns(nil, &thing{}))
	require.Equal(t, `INSERT INTO things (id, name, made, tags, note, revision) VALUES ($1, $2, $3, $4, $5, $6)`, things.insert)
	require.Equal(t, `UPDATE things SET made = $2, tags = $3, revision = revision + 1 WHERE id = $1 AND revision = $4`, things.update)
	require.Equal(t, things.insert+` ON CONFLICT (id) DO UPDATE SET made = excluded.made, tags = excluded.tags`, things.upsert)
	require.Equal(t, `SELECT place, id, name, made, tags, note, revision FROM things WHERE name = $1`, things.query(`WHERE name = $1`))

	made := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	columns := thingColumns(nil, &thing{id: "t1", name: "n", made: made, tags: []string{"a"}, revision: 7, place: 9})
	args, err := insertArgs(nil, columns)
	require.NoError(t, err)
	require.Equal(t, []any{"t1", "n", made.UnixMicro(), `["a"]`, "", int64(7)}, args)
	require.Len(t, args, things.inserted)
	args, err = updateArgs(nil, columns)
	require.NoError(t, err)
	require.Equal(t, []any{"t1", made.UnixMicro(), `["a"]`, int64(7)}, args, "in the order of the placeholders")
	require.Len(t, args, things.updated)
}

func TestColumnNamesWhatCannotBeStoredOrRead(t *testing.T) {
	t.Parallel()
	odd := make(chan int)
	_, err := insertArgs(nil, []column{record(constant, "odd", &odd)})
	require.ErrorContains(t, err, "column odd")
	var v thing
	columns := thingColumns(nil, &v)
	scanner, ok := columns[4].into(nil).(interface{ Scan(src any) error })
	require.True(t, ok)
	require.Error(t, scanner.Scan(12))
	scanner, ok = columns[5].into(nil).(interface{ Scan(src any) error })
	require.True(t, ok)
	require.NoError(t, scanner.Scan(""))
	require.Nil(t, v.note, "an empty text is a record that is absent")
	require.NoError(t, scanner.Scan(`"hello"`))
	require.Equal(t, "hello", *v.note)
}
