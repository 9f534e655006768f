package shell_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/shell"
)

func TestIncomplete(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`if ! command -v mytool >/dev/null 2>&1; then`: "must be followed",
		`if true`:                   "must be followed",
		`while read line; do`:       "must be followed",
		`for host in a b`:           "must be followed",
		`case "$1" in`:              "must end with",
		`deploy() {`:                "must be followed",
		`(`:                         "must be followed",
		`make &&`:                   "must be followed",
		`make |`:                    "must be followed",
		`echo 'it`:                  "closing quote",
		`echo "it`:                  "closing quote",
		`echo $(date`:               "matching",
		`cat > values.yaml <<EOF`:   "here-document",
		`cat <<-'END'`:              "here-document",
		`docker run --rm \`:         "continues the line",
		`docker run --rm # later \`: "",
		`echo \\`:                   "",
		``:                          "",
		`# if`:                      "",
		`make`:                      "",
		`if true; then echo; fi`:    "",
		`echo $((1 << 2))`:          "",
		`[[ a == b ]]`:              "",
		`cat <<< "$X"`:              "",
		`echo "it's"`:               "",
		`diff <(ls a) <(ls b)`:      "",
		// Wrong, but nothing that follows would mend it.
		`fi`:    "",
		`done`:  "",
		`a ) b`: "",
		"a\xff": "",
	} {
		got := shell.Incomplete(line)
		if want == "" {
			require.Empty(t, got, line)
			continue
		}
		require.Contains(t, got, want, line)
	}
}

// FuzzIncomplete holds against a real shell that a line which it runs is complete. Both
// look at the line without running it.
func FuzzIncomplete(f *testing.F) {
	for _, line := range []string{"make", "if true; then echo; fi", "echo 'a' \"b\" $(date) `date`", "a && b || c; d & e | f", "case a in a) b;; esac", "x=${a:-b}", "f() { g; }"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		why := shell.Incomplete(line)
		if why == "" || strings.ContainsAny(line, "\x00\r\n") || strings.Contains(why, "here-document") || strings.Contains(why, "continues") {
			return
		}
		output, err := exec.CommandContext(t.Context(), "/bin/sh", "-n", "-c", line).CombinedOutput()
		require.Error(t, err, "%q is complete for the shell, but %s\n%s", line, why, output)
	})
}
