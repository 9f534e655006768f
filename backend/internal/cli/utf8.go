package cli

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// checkUTF8 refuses bytes that are not UTF-8 in arguments and flags: the contract carries
// text only. The names of files may hold any bytes.
func checkUTF8(command *cobra.Command, args []string) error {
	for i, arg := range args {
		if err := checkText(fmt.Sprintf("argument %d", i+1), arg); err != nil {
			return err
		}
	}
	var err error
	command.Flags().Visit(func(flag *pflag.Flag) {
		values := []string{flag.Value.String()}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, value := range values {
			if err == nil && !isFile(flag.Name) {
				err = checkText("--"+flag.Name, value)
			}
		}
	})
	return err
}

// isFile tells whether a flag names a file.
func isFile(flag string) bool {
	return flag == "file" || strings.HasSuffix(flag, "-file")
}

func checkText(what, text string) error {
	if utf8.ValidString(text) {
		return nil
	}
	at := 0
	for rest := text; ; {
		r, size := utf8.DecodeRuneInString(rest)
		if r == utf8.RuneError && size == 1 {
			break
		}
		at, rest = at+size, rest[size:]
	}
	return usagef("%s is %q, which is not valid UTF-8 (byte %d is 0x%02x); convert it, for instance with iconv -f ISO-8859-1 -t UTF-8",
		what, text, at+1, text[at])
}
