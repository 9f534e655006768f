// Command tally prints the most frequent words of a text.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"unicode"
)

// version is set by the build: the release, then the commit.
var version = "unreleased"

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
}

// run reads the named file, or in where there is none, and writes to out.
func run(args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("tally", flag.ContinueOnError)
	top := flags.Int("top", 10, "how many words to print")
	show := flags.Bool("version", false, "print the version and exit")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *show {
		_, err := fmt.Fprintln(out, "tally", version)
		return err
	}
	if flags.NArg() > 0 {
		file, err := os.Open(flags.Arg(0))
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	words, err := count(in)
	if err != nil {
		return err
	}
	for i, w := range words {
		if i == *top {
			break
		}
		if _, err := fmt.Fprintf(out, "%4d %s\n", w.count, w.text); err != nil {
			return err
		}
	}
	return nil
}

// word is a word and how often it came.
type word struct {
	text  string
	count int
}

// count returns the words of a text, the most frequent first, and those that
// came equally often by the alphabet.
func count(in io.Reader) ([]word, error) {
	counts := map[string]int{}
	scanner := bufio.NewScanner(in)
	scanner.Split(bufio.ScanWords)
	for scanner.Scan() {
		text := strings.ToLower(strings.TrimFunc(scanner.Text(), func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r)
		}))
		if text != "" {
			counts[text]++
		}
	}
	words := make([]word, 0, len(counts))
	for text, n := range counts {
		words = append(words, word{text, n})
	}
	sort.Slice(words, func(i, j int) bool {
		if words[i].count != words[j].count {
			return words[i].count > words[j].count
		}
		return words[i].text < words[j].text
	})
	return words, scanner.Err()
}
