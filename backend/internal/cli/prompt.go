package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
)

// errDeclined ends a command whose question was not answered with yes.
var errDeclined = errors.New("not confirmed; nothing was sent")

// interactive tells whether a person can be asked: the input is a terminal. Where the
// output goes does not matter, since questions are asked on standard error.
func (a *app) interactive() bool {
	return a.Stdin != nil && a.InTerminal
}

// defaultWidth is the width of a terminal that cannot say it.
const defaultWidth = 80

// width returns the width of the terminal that the output is, 0 if it is not one.
func (a *app) width() int {
	if a.Terminal != nil {
		if width, _, ok := a.Terminal(); ok {
			return width
		}
	}
	if a.OnTerminal {
		return defaultWidth
	}
	return 0
}

// confirm asks a question on standard error. Everything but yes means no.
func (a *app) confirm(ctx context.Context, question string) error {
	a.err.write(question + " [y/N] ")
	type answer struct {
		line string
		err  error
	}
	// Reading cannot be interrupted. The process ends right after an interrupt.
	answered := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(a.Stdin).ReadString('\n')
		answered <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		a.err.linef("")
		return ctx.Err()
	case got := <-answered:
		if got.err != nil && !errors.Is(got.err, io.EOF) {
			return got.err
		}
		if !strings.HasSuffix(got.line, "\n") {
			a.err.linef("")
		}
		switch strings.ToLower(strings.TrimSpace(got.line)) {
		case "y", "yes":
			return nil
		}
		return errDeclined
	}
}
