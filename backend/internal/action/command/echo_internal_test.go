package command

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzEchoes holds that echoes begin their lines and that nothing else changes, however
// the output is cut into pieces.
func FuzzEchoes(f *testing.F) {
	f.Add("no end", "a\x01b", uint8(1))
	f.Add("line\n", "", uint8(7))
	f.Add("", "\x01", uint8(200))
	f.Fuzz(func(t *testing.T, first, second string, size uint8) {
		var got bytes.Buffer
		e := newEchoes(&got)
		output := string(e.mark) + "$ one\n" + first + string(e.mark) + "$ two\n" + second
		for piece := []byte(output); len(piece) > 0; {
			n := min(int(size)+1, len(piece))
			written, err := e.Write(piece[:n])
			require.NoError(t, err)
			require.Equal(t, n, written)
			piece = piece[n:]
		}
		require.NoError(t, e.Close())
		end := ""
		if first != "" && !strings.HasSuffix(first, "\n") {
			end = "\n"
		}
		require.Equal(t, "$ one\n"+first+end+"$ two\n"+second, got.String())
	})
}
