package main

import (
	"os"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	tests := map[string]struct {
		args []string
		in   string
		want string
	}{
		"nothing":                    {want: ""},
		"case and marks do not tell": {in: "Gate, gate! GATE?\n", want: "   3 gate\n"},
		"ties go by the alphabet":    {in: "b a b a c", want: "   2 a\n   2 b\n   1 c\n"},
		"top":                        {args: []string{"-top", "1"}, in: "b a b", want: "   2 b\n"},
		"letters of any script":      {in: "Straße straße", want: "   2 straße\n"},
		"version":                    {args: []string{"-version"}, want: "tally unreleased\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := run(test.args, strings.NewReader(test.in), &out); err != nil {
				t.Fatal(err)
			}
			if out.String() != test.want {
				t.Errorf("got %q, want %q", out.String(), test.want)
			}
		})
	}
}

func TestRunReadsTheNamedFile(t *testing.T) {
	var out strings.Builder
	if err := run([]string{"-top", "1", "sample.txt"}, strings.NewReader(""), &out); err != nil {
		t.Fatal(err)
	}
	if want := "   9 the\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestRunNamesAMissingFile(t *testing.T) {
	err := run([]string{"absent.txt"}, strings.NewReader(""), &strings.Builder{})
	if !os.IsNotExist(err) {
		t.Errorf("got %v, want that the file does not exist", err)
	}
}
