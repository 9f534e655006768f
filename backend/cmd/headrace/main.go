// Command headrace is the operator's command line.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
)

// version is set when the program is linked.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Run(ctx, cli.Process{
		Args:       os.Args[1:],
		Stdin:      os.Stdin,
		InTerminal: term.IsTerminal(int(os.Stdin.Fd())),
		ReadHidden: readHidden,
		Stdout:     os.Stdout,
		Stderr:     os.Stderr,
		Getenv:     os.Getenv,
		Terminal:   terminal,
		OnTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		Version:    version,
	}))
}

// terminal returns the size of the terminal that standard output is.
func terminal() (width, height int, ok bool) {
	if !term.IsTerminal(int(os.Stdout.Fd())) || os.Getenv("TERM") == "dumb" {
		return 0, 0, false
	}
	width, height, err := term.GetSize(int(os.Stdout.Fd()))
	return width, height, err == nil
}

// readHidden reads a line of the terminal without its echo, which is on again afterwards,
// also if the program is interrupted.
func readHidden(ctx context.Context) ([]byte, error) {
	fd := int(os.Stdin.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	type answer struct {
		line []byte
		err  error
	}
	// Reading cannot be interrupted. The process ends right after an interrupt.
	answered := make(chan answer, 1)
	go func() {
		line, err := term.ReadPassword(fd)
		answered <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), term.Restore(fd, before))
	case got := <-answered:
		return got.line, got.err
	}
}
