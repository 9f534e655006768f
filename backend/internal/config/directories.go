package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// Directories is a list of directories. Each value that is set adds to it one or, separated
// by commas, several.
type Directories []string

var _ pflag.Value = (*Directories)(nil)

// String implements pflag.Value.
func (d *Directories) String() string { return strings.Join(*d, ",") }

// Set implements pflag.Value.
func (d *Directories) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			*d = append(*d, part)
		}
	}
	return nil
}

// Type implements pflag.Value.
func (d *Directories) Type() string { return "directory" }
