package transfer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// value returns a value as every driver takes it: an int64, bool, string, []byte or nil. A
// text has no NUL and is UTF-8, which PostgreSQL insists on; replaced says that it was
// not so.
func value(kind Kind, v any) (got any, replaced bool, err error) {
	if v == nil {
		return nil, false, nil
	}
	switch kind {
	case Integer:
		got, err = integer(v)
	case Boolean:
		if b, ok := v.(bool); ok {
			return b, false, nil
		}
		n, err := integer(v)
		if err != nil {
			return nil, false, err
		}
		return n != 0, false, nil
	case Text:
		if b, ok := v.([]byte); ok {
			v = string(b)
		}
		s, ok := v.(string)
		if !ok {
			return nil, false, fmt.Errorf("%T is no %s", v, kind)
		}
		clean := strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
		return clean, clean != s, nil
	case Bytes:
		if s, ok := v.(string); ok {
			v = []byte(s)
		}
		if _, ok := v.([]byte); !ok {
			err = fmt.Errorf("%T is no %s", v, kind)
		}
		got = v
	default:
		err = fmt.Errorf("%s is not carried", kind)
	}
	return got, false, err
}

func integer(v any) (int64, error) {
	switch v := v.(type) {
	case int64:
		return v, nil
	case int32:
		return int64(v), nil
	case int16:
		return int64(v), nil
	}
	return 0, fmt.Errorf("%T is no %s", v, Integer)
}

// tally counts rows and adds up their digests, so that it comes to the same in whatever
// order they are read.
type tally struct {
	rows int64
	sum  [4]uint64
	// replaced counts texts that PostgreSQL would not take.
	replaced int64
	buffer   []byte
}

// add adds a row and makes its values those that every driver takes.
func (t *tally) add(table Table, row []any) error {
	t.buffer = t.buffer[:0]
	for i, c := range table.Columns {
		v, replaced, err := value(c.Kind, row[i])
		if err != nil {
			return fmt.Errorf("%s.%s: %w", table.Name, c.Name, err)
		}
		if replaced {
			t.replaced++
		}
		row[i] = v
		t.buffer = encode(t.buffer, v)
	}
	digest := sha256.Sum256(t.buffer)
	for i := range t.sum {
		t.sum[i] += binary.BigEndian.Uint64(digest[8*i:])
	}
	t.rows++
	return nil
}

// encode appends a value so that no two rows look alike that are not.
func encode(to []byte, v any) []byte {
	switch v := v.(type) {
	case int64:
		return binary.BigEndian.AppendUint64(append(to, 'i'), uint64(v))
	case bool:
		if v {
			return append(to, 'b', 1)
		}
		return append(to, 'b', 0)
	case string:
		return append(binary.BigEndian.AppendUint64(append(to, 's'), uint64(len(v))), v...)
	case []byte:
		return append(binary.BigEndian.AppendUint64(append(to, 'x'), uint64(len(v))), v...)
	}
	return append(to, 'n')
}

// digest names the sum; it is no SHA-256 of anything.
func (t *tally) digest() string {
	var sum [32]byte
	for i, v := range t.sum {
		binary.BigEndian.PutUint64(sum[8*i:], v)
	}
	return hex.EncodeToString(sum[:])
}
