package logs

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ChunkSize is how many bytes of a log are one object at most: what is read to get
// at any byte, and what a writer holds in memory.
const ChunkSize = 1 << 20

// farthest is beyond every log, of which the server's configuration allows 16 GiB: an
// object whose name says that it begins there is none of its chunks. What is missing
// before a chunk is read like what is there, and nobody should wait for more of it.
const farthest = 32 << 30

// logID names a log.
type logID struct{ execution, action string }

func newLogID(executionID, actionExecutionID string) (logID, error) {
	if !isName(executionID) {
		return logID{}, fmt.Errorf("log: %q is not the id of an execution", executionID)
	}
	if !isName(actionExecutionID) {
		return logID{}, fmt.Errorf("log: %q is not the id of an action execution", actionExecutionID)
	}
	return logID{executionID, actionExecutionID}, nil
}

// isName tells whether an id is a word of which the names of objects are made.
func isName(id string) bool {
	return id != "" && id[0] != '.' && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_' && r != '.'
	})
}

// prefix is how the names of the chunks of the log begin.
func (l logID) prefix() string { return l.execution + "/" + l.action + "." }

// chunk is a part of a log, kept as one object. The order of names is that of the
// log: attempts in turn, and of each what follows each other.
type chunk struct {
	attempt int
	// start is the place in the log of its first byte; end is where the next chunk
	// starts. What an object holds beyond its end does not count.
	start, end int64
	// size and modTime are the object's; a change of them shows that it grew.
	size    int64
	modTime time.Time
	// data is the content of a small log, which is in the database; nil for an object. It is empty
	// only if the begin of the log is missing.
	data []byte
	// index says what is before the chunk; nil if its name does not.
	index *indexed
}

// Widths of the numbers in names.
const (
	attemptDigits = 6
	startDigits   = 16
	maxAttempt    = 999999
)

func (c chunk) name(log logID) string {
	name := fmt.Sprintf("%s%0*d.%0*x", log.prefix(), attemptDigits, c.attempt, startDigits, c.start)
	if c.index != nil && c.start > 0 {
		name += "." + c.index.text()
	}
	return name
}

// mark returns what is before the chunk, and whether that is known without reading it.
func (c chunk) mark() (mark, bool) {
	if c.start == 0 {
		return mark{}, true
	}
	if c.index == nil {
		return mark{}, false
	}
	return c.index.mark, true
}

// is tells whether both are the same object in the same state.
func (c chunk) is(other chunk) bool {
	return c.attempt == other.attempt && c.start == other.start && c.size == other.size && c.modTime.Equal(other.modTime)
}

// parseChunk reads the name of an object. Others than chunks of the log give false.
func parseChunk(log logID, name string) (chunk, bool) {
	attempt, start, found := strings.Cut(strings.TrimPrefix(name, log.prefix()), ".")
	start, index, hasIndex := strings.Cut(start, ".")
	if !found || len(attempt) != attemptDigits || len(start) != startDigits {
		return chunk{}, false
	}
	number, err := strconv.ParseUint(attempt, 10, 31)
	if err != nil {
		return chunk{}, false
	}
	at, err := strconv.ParseInt(start, 16, 64)
	c := chunk{attempt: int(number), start: at, end: math.MaxInt64}
	if err != nil || at < 0 || at >= farthest {
		return c, false
	}
	if hasIndex {
		x, ok := parseIndexed(index, at)
		if !ok || at == 0 {
			return c, false
		}
		c.index = &x
	}
	return c, true
}

// merge adds the attempts that are small logs to the chunks of the bucket. A small log is
// all of its attempt: what the bucket has of it was put while its commit was under way, or
// by a runner that returned the attempt.
func merge(chunks, small []chunk) []chunk {
	if len(small) == 0 {
		return chunks
	}
	chunks = slices.DeleteFunc(chunks, func(c chunk) bool {
		return slices.ContainsFunc(small, func(s chunk) bool { return s.attempt == c.attempt })
	})
	chunks = append(chunks, small...)
	slices.SortFunc(chunks, func(a, b chunk) int {
		return cmp.Or(cmp.Compare(a.attempt, b.attempt), cmp.Compare(a.start, b.start))
	})
	return chunks
}

// inLog returns the chunks that count, with their ends but that of the last one. They
// come in the order of their names. An attempt writes behind what was there when it
// began; what an earlier one, that is dead and does not know it, puts there later
// does not count.
func inLog(all []chunk) []chunk {
	var kept []chunk
	end := int64(math.MaxInt64)
	for _, c := range slices.Backward(all) {
		if c.start >= end {
			continue
		}
		c.end = end
		end = c.start
		kept = append(kept, c)
	}
	if len(kept) > 0 && end > 0 {
		// The first chunk is missing.
		kept = append(kept, chunk{attempt: kept[len(kept)-1].attempt, end: end, data: []byte{}})
	}
	slices.Reverse(kept)
	return kept
}
