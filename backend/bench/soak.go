package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

const (
	// soakBrowsers have a session and a stream each, which their tabs share.
	soakBrowsers, soakTabs = 10, 3
	soakPipelines          = 10
	// soakEvery is the time between two executions that start and stop.
	soakEvery = 500 * time.Millisecond
	// soakSamples are taken in equal distances. The first quarter is the warm-up; growth is from the
	// median of the second quarter to that of the last one.
	soakSamples = 20
	// soakPrint is the command of an action that prints until it is stopped.
	soakPrint = `while :; do date +"%T.%N it still works"; sleep 0.2; done`
)

// soakSample is what the server and all tabs hold at a time.
type soakSample struct {
	// ServerMiB is resident memory.
	ServerMiB float64 `json:"-"`
	// HeapMiB is what scripts hold in all tabs after a collection, and LargestMiB in the largest.
	HeapMiB    float64 `json:"heap"`
	LargestMiB float64 `json:"largest"`
	// PrivateMiB is what the processes of the tabs have for themselves.
	PrivateMiB float64 `json:"private"`
	// Nodes and Listeners are those of all documents.
	Nodes     float64 `json:"nodes"`
	Listeners float64 `json:"listeners"`
}

// soakColumn is what may not grow by more than a bound.
type soakColumn struct {
	name  string
	of    func(soakSample) float64
	bound float64
}

func soakColumns() []soakColumn {
	return []soakColumn{
		{"server MiB", func(s soakSample) float64 { return s.ServerMiB }, 32},
		{"scripts MiB", func(s soakSample) float64 { return s.HeapMiB }, 30},
		{"largest tab MiB", func(s soakSample) float64 { return s.LargestMiB }, 4},
		{"processes MiB", func(s soakSample) float64 { return s.PrivateMiB }, 150},
		{"nodes", func(s soakSample) float64 { return s.Nodes }, 3_000},
		{"listeners", func(s soakSample) float64 { return s.Listeners }, 300},
	}
}

// soak keeps 30 tabs open on a busy account, prints what the server and the tabs hold, and fails if
// that grows by more than the bounds. The tabs are real ones in one Chromium, since a client without
// a browser would not show what a page keeps.
func soak(ctx context.Context, headraced, dir string, lasts time.Duration, out *tabwriter.Writer) (err error) {
	b, err := findBrowser()
	if err != nil {
		return err
	}
	repository := filepath.Join(dir, "repo")
	if err := commitTo(ctx, repository); err != nil {
		return err
	}
	s, err := startSite(ctx, headraced, filepath.Join(dir, "soak"), "--isolation", "none", "--runner-slots", "4")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	printing, err := s.seedSoak(ctx, repository)
	if err != nil {
		return err
	}
	paths := []string{"/accounts/default", "/accounts/default/pipelines/web0", "/" + printing, "/" + printing + "/log/Build/Print/1", "/accounts/default/executions"}
	script, err := b.start(ctx, "soak.mjs", s.settings(map[string]any{"browsers": soakBrowsers, "tabs": soakTabs, "paths": paths}))
	if err != nil {
		return err
	}
	samples, err := s.soakFor(ctx, script, lasts, out)
	if err != nil {
		return errors.Join(err, script.kill())
	}
	if err := errors.Join(script.say("end"), script.wait()); err != nil {
		return err
	}
	return judge(samples, out)
}

// soakFor starts and stops executions for a time, and takes samples.
func (s *site) soakFor(ctx context.Context, script *browserScript, lasts time.Duration, out *tabwriter.Writer) (samples []soakSample, err error) {
	if err := script.hear("ready"); err != nil {
		return nil, err
	}
	fmt.Fprint(out, "minute")
	for _, column := range soakColumns() {
		fmt.Fprint(out, "\t", column.name)
	}
	fmt.Fprintln(out)
	begun := time.Now()
	beat := time.NewTicker(soakEvery)
	defer beat.Stop()
	for i := 0; len(samples) < soakSamples; i++ {
		if err := s.startAndStop(ctx, fmt.Sprintf("web%d", i%soakPipelines)); err != nil {
			return nil, err
		}
		if time.Since(begun) >= lasts*time.Duration(len(samples)+1)/soakSamples {
			sample, err := s.sample(script)
			if err != nil {
				return nil, err
			}
			samples = append(samples, sample)
			fmt.Fprintf(out, "%.1f", time.Since(begun).Minutes())
			for _, column := range soakColumns() {
				fmt.Fprintf(out, "\t%.1f", column.of(sample))
			}
			fmt.Fprintln(out)
			_ = out.Flush()
		}
		select {
		case <-beat.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return samples, nil
}

func (s *site) startAndStop(ctx context.Context, name string) error {
	started, err := s.client.Executions.StartExecution(ctx, &headracev1.StartExecutionRequest{Pipeline: client.PipelineName("default", name)})
	if err != nil {
		return err
	}
	_, err = s.client.Executions.StopExecution(ctx, &headracev1.StopExecutionRequest{Name: started.GetExecution().GetName(), Abandon: true})
	return err
}

// sample asks the script for what the tabs hold.
func (s *site) sample(script *browserScript) (sample soakSample, err error) {
	if err := script.say("sample"); err != nil {
		return sample, err
	}
	if !script.lines.Scan() {
		return sample, errors.Join(errors.New("the script ended"), script.wait())
	}
	if err := json.Unmarshal(script.lines.Bytes(), &sample); err != nil {
		return sample, err
	}
	sample.ServerMiB, err = residentMiB(s.pid)
	return sample, err
}

// judge prints how much each column grew, and fails where it is more than its bound.
func judge(samples []soakSample, out *tabwriter.Writer) error {
	quarter := len(samples) / 4
	var grown []error
	fmt.Fprint(out, "growth")
	for _, column := range soakColumns() {
		by := middle(samples[len(samples)-quarter:], column.of) - middle(samples[quarter:2*quarter], column.of)
		fmt.Fprintf(out, "\t%+.1f", by)
		if by > column.bound {
			grown = append(grown, fmt.Errorf("%s grew by %.1f; at most %.0f allowed", column.name, by, column.bound))
		}
	}
	fmt.Fprint(out, "\nbound")
	for _, column := range soakColumns() {
		fmt.Fprintf(out, "\t%.0f", column.bound)
	}
	fmt.Fprintln(out)
	return errors.Join(append(grown, out.Flush())...)
}

// middle is the median of a column.
func middle(samples []soakSample, of func(soakSample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// seedSoak makes the pipelines of the account and starts an execution that prints until it is
// stopped, whose name it returns.
func (s *site) seedSoak(ctx context.Context, repository string) (printing string, err error) {
	approve := &headracev1.Stage{Name: "Approve", Actions: []*headracev1.Action{{Name: "Agree", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1"}}}
	for i := range soakPipelines {
		if err := s.define(ctx, fmt.Sprintf("web%d", i), repository, approve); err != nil {
			return "", err
		}
	}
	if err := s.define(ctx, "prints", repository, commandStage(soakPrint)); err != nil {
		return "", err
	}
	started, err := s.client.Executions.StartExecution(ctx, &headracev1.StartExecutionRequest{Pipeline: client.PipelineName("default", "prints")})
	return started.GetExecution().GetName(), err
}
