// Command webbuild bundles the sources of the web UI (backend/web/src) into backend/web/dist,
// which headraced embeds. The same sources give the same bytes on every machine, so that the
// gate can compare the result with what is committed. It fails if the result is larger than its
// budget: what a browser loads before it shows anything, and each part that it loads later.
//
// With -tests it bundles the unit tests for Node instead. With -watch it rebuilds after each
// change, without the budgets.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	root := flag.String("web", "../backend/web", "directory of the web UI")
	tests := flag.String("tests", "", "bundle the unit tests into this directory instead")
	watch := flag.Bool("watch", false, "rebuild after each change until interrupted")
	flag.Parse()
	if err := run(*root, *tests, *watch); err != nil {
		fmt.Fprintln(os.Stderr, "webbuild:", err)
		os.Exit(1)
	}
}

func run(root, tests string, watch bool) error {
	switch {
	case tests != "":
		return bundleTests(root, tests)
	case watch:
		interrupted := make(chan os.Signal, 1)
		signal.Notify(interrupted, os.Interrupt)
		return watchBundle(root, interrupted)
	default:
		return bundleOnce(root, os.Stdout)
	}
}
