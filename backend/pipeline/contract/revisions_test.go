package contract_test

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

const pinned = "testdata/revisions.txt"

var update = flag.Bool("update", false, "add new fields and values to "+pinned)

// TestRevisionsAreKept compares the contract with the list of every field and enum value
// and the revision that introduced it. A client that was released relies on each line, so
// a line never changes, and what is added is of the newest revision.
func TestRevisionsAreKept(t *testing.T) {
	t.Parallel()
	kept := readPinned(t)
	held := make(map[string]uint32)
	isValue := make(map[string]bool)
	contract.Range(func(d protoreflect.Descriptor, since uint32) {
		name := strings.TrimPrefix(string(d.FullName()), "headrace.v1.")
		if value, ok := d.(protoreflect.EnumValueDescriptor); ok {
			name = string(value.Parent().Name()) + "." + string(value.Name())
			isValue[name] = true
		}
		held[name] = since
	})
	var wrong []string
	for name, since := range kept {
		if got, exists := held[name]; exists && got != since {
			wrong = append(wrong, fmt.Sprintf("%s: revision %d, was %d: the revision of a field never changes; restore its option", name, got, since))
		} else if !exists {
			wrong = append(wrong, name+": removed: deprecate the field instead of removing it, since clients that send it are refused")
		}
	}
	for name, since := range held {
		switch _, known := kept[name]; {
		case known:
		case isValue[name] && newEnum(name, kept):
			// The values of a new enum are as old as the fields that hold it.
		case since < newest(kept):
			wrong = append(wrong, fmt.Sprintf("%s is new: give it the option (%s) = %d, or %d if revision %d was released",
				name, map[bool]string{true: "value_since", false: "since"}[isValue[name]], newest(kept), newest(kept)+1, newest(kept)))
		case since > newest(kept)+1:
			wrong = append(wrong, fmt.Sprintf("%s: revision %d comes after a gap: use %d", name, since, newest(kept)+1))
		}
	}
	slices.Sort(wrong)
	require.Empty(t, wrong, "the contract and %s differ", pinned)
	if *update {
		writePinned(t, held)
		return
	}
	for name := range held {
		if _, known := kept[name]; !known {
			wrong = append(wrong, name)
		}
	}
	slices.Sort(wrong)
	require.Empty(t, wrong, "these are not in %s yet: add them with go test ./backend/pipeline/contract -update", pinned)
	require.Equal(t, newest(kept), contract.Revision())
}

// newEnum tells whether the list has no value of the enum of that value.
func newEnum(value string, kept map[string]uint32) bool {
	enum, _, _ := strings.Cut(value, ".")
	for name := range kept {
		if strings.HasPrefix(name, enum+".") {
			return false
		}
	}
	return true
}

func newest(kept map[string]uint32) uint32 {
	newest := contract.First
	for _, since := range kept {
		newest = max(newest, since)
	}
	return newest
}

func readPinned(t *testing.T) map[string]uint32 {
	t.Helper()
	file, err := os.Open(pinned)
	require.NoError(t, err)
	defer file.Close()
	kept := make(map[string]uint32)
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		since, name, ok := strings.Cut(lines.Text(), " ")
		require.True(t, ok, "%s: %q is not REVISION NAME", pinned, lines.Text())
		revision, err := strconv.ParseUint(since, 10, 32)
		require.NoError(t, err)
		kept[name] = uint32(revision)
	}
	require.NoError(t, lines.Err())
	return kept
}

func writePinned(t *testing.T, held map[string]uint32) {
	t.Helper()
	var lines []string
	for name, since := range held {
		lines = append(lines, fmt.Sprintf("%d %s\n", since, name))
	}
	slices.Sort(lines)
	require.NoError(t, os.WriteFile(pinned, []byte(strings.Join(lines, "")), 0o600))
}
