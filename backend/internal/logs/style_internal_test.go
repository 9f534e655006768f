package logs

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStyle(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain":       "",
		"\x1b[31mred": "31", "\x1b[1;31;44mx": "1;31;44", "\x1b[91;103m": "91;103", "\x1b[1m\x1b[3m\x1b[22m": "3",
		"\x1b[31m\x1b[0m": "", "\x1b[31m\x1b[m": "", "\x1b[31m\x1bc": "", "\x1b[31m\x1b[39;4m": "4",
		"\x1b[38;5;196m": "38;5;196", "\x1b[38:5:196m": "38;5;196", "\x1b[48;2;1;2;3m": "48;2;1;2;3",
		"\x1b[38:2::1:2:3m": "38;2;1;2;3", "\x1b[38:2:1:2:3m": "38;2;1;2;3", "\x1b[58:5:1;1m": "1;58;5;1",
		"\x1b[4:3m": "4", "\x1b[4m\x1b[4:0m": "", "\x1b[21m": "21", "\x1b[4;21m\x1b[24m": "", "\x1b[53;9m": "9;53",
		"\x1b[7;8;5;6;2m\x1b[25;27;28m": "2",
		// What is not SGR, or cannot be read.
		"\x1b[31": "", "\x1b[31\nm": "", "\x1b[31K": "", "\x1b[>4;1m": "", "\x1b]0;\x1b[31mtitle\a": "31", "\x1b\x1b[31m": "31",
		"\x1b[38;5;256;1m": "", "\x1b[38;5m": "", "\x1b[38m": "", "\x1b[1;99999999999999999m": "1", "\x1b[;;1m": "1",
		"\x1b[" + strings.Repeat("1;", 100) + "m": "", "\x1b[" + strings.Repeat("1;", 40) + "m": "1",
	} {
		var m terminal
		m.write([]byte(text))
		if text == "\x1b["+strings.Repeat("1;", 40)+"m" {
			want = "" // The last parameter is empty, which resets.
		}
		require.Equal(t, want, m.style.String(), "%q", text)
	}
}

// hostile returns text that is hard for terminals, of the given length.
func hostile(random *rand.Rand, length int) []byte {
	words := []string{
		"\n", "\r", "\r\n", "\x00", "\xff", "\xc3", "\xc3\xa4", "\U0001f600", "\x1b", "\x1b[", "\x1b[3", "\x1b[31m", "1m", ";", "m",
		"\x1b[1;38;5;1", "\x1b[0m", "\x1b[m", "\x1bc", "\x1b]8;;http://x\x1b\\", "\u202e", "<script>", "word ", "38;2;1;2;3m", ":",
		strings.Repeat("long ", 40), strings.Repeat("1;", 60), "\x1b[4;58:2::1:2:3m",
	}
	var text []byte
	for len(text) < length {
		text = append(text, words[random.IntN(len(words))]...)
	}
	return text[:length]
}

// What a text sets does not depend on how it is cut, and a name holds all of it.
func TestMarkOfPartsIsThatOfTheWhole(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(1, seed))
		text := hostile(random, 2000)
		var whole mark
		whole.advance(text)
		var parts mark
		at := int64(0)
		for rest := text; len(rest) > 0; {
			n := min(1+random.IntN(1+random.IntN(100)), len(rest))
			parts.advance(rest[:n])
			rest, at = rest[n:], at+int64(n)
			named := indexed{mark: parts, began: random.Int64N(1 << 42)}
			again, ok := parseIndexed(named.text(), at)
			require.True(t, ok, "%q", named.text())
			require.Equal(t, named, again)
			parts = again.mark
		}
		require.Equal(t, whole.terminal, parts.terminal, "seed %d", seed)
		require.Equal(t, whole.lines, parts.lines)
	}
}

func TestNamesThatNoWriterMade(t *testing.T) {
	t.Parallel()
	good := indexed{mark: mark{lines: 3}, began: 77}.text()
	_, ok := parseIndexed(good, 3)
	require.True(t, ok)
	for _, text := range []string{
		"", good + ".", "." + good, strings.Replace(good, "3", "-3", 1), strings.Replace(good, "3", "03", 1), strings.Replace(good, "3", "4", 1),
		"3.1.0.31-", "3.1.0.0-31", "3.1.0.31m", "3.1.0.31e5", "3.1.0.31cx", "3.1.ff.0", "3.1.0.", "3.1.0.031", "3.1.0.31.",
		"3.1.0." + strings.Repeat("1-", 100), "3.1.0.0c" + strings.Repeat("1", 100),
	} {
		_, ok := parseIndexed(text, 3)
		require.False(t, ok, "%q", text)
	}
}

// BenchmarkAdvance is what the index costs a writer.
func BenchmarkAdvance(b *testing.B) {
	line := "2026-11-25T22:00:00Z some package compiled, and 3 more to go...\n"
	for name, text := range map[string]string{"plain": line, "colors": "\x1b[32m" + line[:54] + "\x1b[0m\n", "umlauts": "\u00e4\u00f6" + line[4:]} {
		chunk := []byte(strings.Repeat(text, ChunkSize/64))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(ChunkSize)
			for b.Loop() {
				var m mark
				m.advance(chunk)
			}
		})
	}
}
