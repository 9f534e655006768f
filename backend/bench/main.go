// Command bench prints how fast Headrace is on this machine, each figure beside
// the limit that the same run measured: a durable commit, a fork and exec, a copy. It
// fails only where a figure cannot be taken, never because a machine is slow.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime/pprof"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres/postgrestest"
)

// figure is one row of the table and of the JSON file.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	// P99 is of latencies, whose Value is the median.
	P99  float64 `json:"p99,omitempty"`
	Unit string  `json:"unit"`
	// Limit is what the machine itself takes, measured in the same run.
	Limit float64 `json:"limit"`
	// Ratio is Value/Limit.
	Ratio float64 `json:"ratio"`

	limitIs, goal string
}

// run is one run of the bench.
type run struct {
	headraced string
	dir       string
	history   int
	waiting   int
	polls     int
	only      *regexp.Regexp
	cluster   *postgrestest.Cluster
	out       *tabwriter.Writer
	figures   []figure
}

func main() {
	headraced := flag.String("headraced", "bin/headraced", "the server whose start and memory are measured")
	jsonFile := flag.String("json", "", "also write the figures to this file")
	dir := flag.String("dir", "", "measure on this directory's disk (default: the temporary directory)")
	only := flag.String("only", ".*", "measure the figures whose names this expression matches, for instance .*_sqlite, growth or server")
	history := flag.Int("history", 1_000_000, "past action executions of the largest history")
	waiting := flag.Int("waiting", 100_000, "approvals, and as many attempts, that wait in other accounts while an execution is explained")
	polls := flag.Int("polls", 1000, "repositories that poll_1000_repositories polls")
	soakFor := flag.Duration("soak", 0, "instead keep 30 tabs of the web UI open for this time, and fail if the memory of server or tabs grows")
	profile := flag.String("cpuprofile", "", "write a CPU profile to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := profiled(*profile, func() error {
		if *soakFor > 0 {
			return soaked(ctx, *headraced, *dir, *soakFor)
		}
		return bench(ctx, *headraced, *jsonFile, *dir, *only, *history, *waiting, *polls)
	})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func profiled(path string, fn func() error) error {
	if path == "" {
		return fn()
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return errors.Join(err, file.Close())
	}
	err = fn()
	pprof.StopCPUProfile()
	return errors.Join(err, file.Close())
}

func bench(ctx context.Context, headraced, jsonFile, parent, only string, history, waiting, polls int) (err error) {
	names, err := regexp.Compile("^(?:" + only + ")$")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(parent, "headrace-bench-")
	if err != nil {
		return err
	}
	r := &run{
		headraced: headraced, dir: dir, history: history, waiting: waiting, polls: polls, only: names, cluster: &postgrestest.Cluster{Durable: true},
		out: tabwriter.NewWriter(os.Stdout, 32, 0, 2, ' ', 0),
	}
	defer func() { err = errors.Join(err, r.cluster.Stop(), os.RemoveAll(dir)) }()
	fmt.Fprintln(r.out, "figure\tvalue\tp99\tunit\tlimit\tratio\tgoal\tthe limit is")
	if err := r.measure(ctx); err != nil || jsonFile == "" {
		return err
	}
	data, err := json.MarshalIndent(r.figures, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(jsonFile, append(data, '\n'), 0o600)
}

func soaked(ctx context.Context, headraced, parent string, lasts time.Duration) (err error) {
	dir, err := os.MkdirTemp(parent, "headrace-soak-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return soak(ctx, headraced, dir, lasts, tabwriter.NewWriter(os.Stdout, 16, 0, 2, ' ', 0))
}

// wants tells whether a figure, or a group of them, was asked for.
func (r *run) wants(name string) bool { return r.only.MatchString(name) }

func (r *run) measure(ctx context.Context) error {
	f, err := processForks(ctx)
	if err != nil {
		return err
	}
	onDisk := sync.OnceValues(func() (commits, error) { return sqliteCommits(ctx, r.dir) })
	inPostgres := sync.OnceValues(func() (commits, error) { return postgresCommits(ctx, r.cluster) })
	for _, part := range []struct {
		at    place
		limit func() (commits, error)
		want  goals
	}{
		{onSQLite(), onDisk, goals{hopNoop: "ratio <= 1.5", hopTrue: "ratio <= 1.5", rateNoop: "value >= 10000", rateTrue: "ratio >= 0.6"}},
		{onPostgres(r.cluster, 1), inPostgres, goals{hopNoop: "ratio <= 2", rateNoop: "value >= 6000"}},
		{onPostgres(r.cluster, 2), inPostgres, goals{}},
	} {
		if err := r.measureRuns(ctx, part.at, part.limit, f, part.want); err != nil {
			return fmt.Errorf("%s: %w", part.at.name, err)
		}
	}
	if r.wants("growth") {
		c, err := onDisk()
		if err != nil {
			return err
		}
		if err := r.measureGrowth(ctx, c); err != nil {
			return fmt.Errorf("growth: %w", err)
		}
	}
	for _, at := range []place{onSQLite(), onPostgres(r.cluster, 1)} {
		if !r.wants("waiting_" + at.name) {
			continue
		}
		if err := r.measureWaiting(ctx, at); err != nil {
			return fmt.Errorf("waiting on %s: %w", at.name, err)
		}
	}
	for _, at := range []place{onSQLite(), onPostgres(r.cluster, 1)} {
		if !r.wants("overview_" + at.name) {
			continue
		}
		if err := r.measureOverview(ctx, at); err != nil {
			return fmt.Errorf("overview on %s: %w", at.name, err)
		}
	}
	if slices.ContainsFunc([]string{"artifact_put", "artifact_get", "log_write", "log_read"}, r.wants) {
		if err := r.measureStorage(ctx); err != nil {
			return fmt.Errorf("storage: %w", err)
		}
	}
	if r.wants("log_1gb") {
		if err := r.measureLargeLog(ctx); err != nil {
			return fmt.Errorf("large log: %w", err)
		}
	}
	if err := r.measureUI(ctx); err != nil {
		return err
	}
	if r.wants("push_decision_50k_files") {
		if err := r.measurePush(ctx); err != nil {
			return fmt.Errorf("push: %w", err)
		}
	}
	if r.wants("delivery_to_start") || r.wants("deliveries_50_clients") {
		if err := r.measureDeliveries(ctx); err != nil {
			return fmt.Errorf("deliveries: %w", err)
		}
	}
	if r.wants("poll_1000_repositories") {
		if err := r.measurePolls(ctx); err != nil {
			return fmt.Errorf("polls: %w", err)
		}
	}
	if r.wants("server") {
		return r.measureServer(ctx)
	}
	return nil
}

// latency prints the median of a latency, with the 99th percentile beside it.
func (r *run) latency(name string, took []time.Duration, limit time.Duration, limitIs, goal string) {
	f := newFigure(name, milliseconds(at(took, 50)), "ms", milliseconds(limit), limitIs, goal)
	f.P99 = milliseconds(at(took, 99))
	r.print(f)
}

func (r *run) value(name string, value float64, unit string, limit float64, limitIs, goal string) {
	r.print(newFigure(name, value, unit, limit, limitIs, goal))
}

func newFigure(name string, value float64, unit string, limit float64, limitIs, goal string) figure {
	return figure{Name: name, Value: value, Unit: unit, Limit: limit, Ratio: value / limit, limitIs: limitIs, goal: goal}
}

// print prints a row as soon as it is there.
func (r *run) print(f figure) {
	r.figures = append(r.figures, f)
	p99 := ""
	if f.P99 != 0 {
		p99 = fmt.Sprintf("%.3f", f.P99)
	}
	fmt.Fprintf(r.out, "%s\t%.3f\t%s\t%s\t%.3f\t%.2f\t%s\t%s\n", f.Name, f.Value, p99, f.Unit, f.Limit, f.Ratio, f.goal, f.limitIs)
	_ = r.out.Flush()
}
