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

// interactive tells whether a person can be asked: input and output are a terminal, and
// the output is not for a program.
func (a *app) interactive() bool {
	return a.Stdin != nil && a.InTerminal && a.OnTerminal && !a.json()
}

// confirm asks a question, to which everything but yes means no.
func (a *app) confirm(ctx context.Context, question string) error {
	a.out.write(question + " [y/N] ")
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
		a.out.linef("")
		return ctx.Err()
	case got := <-answered:
		if got.err != nil && !errors.Is(got.err, io.EOF) {
			return got.err
		}
		if !strings.HasSuffix(got.line, "\n") {
			a.out.linef("")
		}
		switch strings.ToLower(strings.TrimSpace(got.line)) {
		case "y", "yes":
			return nil
		}
		return errDeclined
	}
}
