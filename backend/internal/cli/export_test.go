package cli

import "github.com/spf13/cobra"

// Commands returns the command tree, so that a test can read the help of each.
func Commands() *cobra.Command { return (&app{out: &printer{}, err: &printer{}}).root() }
