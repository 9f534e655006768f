// Command bench prints how fast Headrace is on this machine, each figure beside
// the limit that the same run measured: a durable commit, a fork and exec. It
// fails only where a figure cannot be taken, never because a machine is slow.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"text/tabwriter"
)

// figure is one row of the table and of the JSON file.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Limit is what the machine itself takes, measured in the same run.
	Limit float64 `json:"limit"`
	// Ratio is Value/Limit.
	Ratio float64 `json:"ratio"`

	limitIs, goal string
}

func newFigure(name string, value float64, unit string, limit float64, limitIs, goal string) figure {
	return figure{Name: name, Value: value, Unit: unit, Limit: limit, Ratio: value / limit, limitIs: limitIs, goal: goal}
}

func main() {
	headraced := flag.String("headraced", "bin/headraced", "the server whose start and memory are measured")
	jsonFile := flag.String("json", "", "also write the figures to this file")
	dir := flag.String("dir", "", "measure on this directory's disk (default: the temporary directory)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *headraced, *jsonFile, *dir)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, headraced, jsonFile, parent string) (err error) {
	dir, err := os.MkdirTemp(parent, "headrace-bench-")
	if err != nil {
		return err
	}
	defer func() {
		if e := os.RemoveAll(dir); err == nil {
			err = e
		}
	}()
	figures, err := measure(ctx, dir, headraced)
	if err != nil {
		return err
	}
	if err := show(figures); err != nil || jsonFile == "" {
		return err
	}
	data, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(jsonFile, append(data, '\n'), 0o600)
}

func show(figures []figure) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "figure\tvalue\tunit\tlimit\tratio\tgoal\tthe limit is")
	for _, f := range figures {
		fmt.Fprintf(w, "%s\t%.3f\t%s\t%.3f\t%.2f\t%s\t%s\n", f.Name, f.Value, f.Unit, f.Limit, f.Ratio, f.goal, f.limitIs)
	}
	return w.Flush()
}

func measure(ctx context.Context, dir, headraced string) ([]figure, error) {
	bounds, err := measureLimits(ctx, dir)
	if err != nil {
		return nil, err
	}
	var figures []figure
	for _, m := range []func(context.Context, string, limits) (figure, error){hopNoop, hopTrue, throughputNoop, throughputTrue} {
		f, err := m(ctx, dir, bounds)
		if err != nil {
			return nil, err
		}
		figures = append(figures, f)
	}
	server, err := measureServer(ctx, dir, headraced)
	return append(figures, server...), err
}
