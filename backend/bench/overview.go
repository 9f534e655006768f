package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

const (
	// overviewGoal is the most that a view of 100 pipelines may take.
	overviewGoal      = time.Second
	overviewPipelines = 100
	overviewWatchers  = 30
	// largeExecution is how many actions the largest execution has.
	largeExecution = 1000
	// busyFor is how long the account is busy while watchers are counted, and busyEvery the
	// time between two changes.
	busyFor, busyEvery = 10 * time.Second, 50 * time.Millisecond
	opened             = 20
)

// errSeen ends a stream that has shown what was measured.
var errSeen = errors.New("seen")

// measureOverview measures what the views of an account wait for: with 100 pipelines, of which
// each has executions that wait, and a long history.
func (r *run) measureOverview(ctx context.Context, at place) (err error) {
	b, err := start(ctx, filepath.Join(r.dir, "overview_"+at.name), at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	newest, err := b.overviewHistory(ctx, r.history)
	if err != nil {
		return err
	}
	name := "overview_" + at.name + "_"
	large, err := b.large(ctx)
	if err != nil {
		return err
	}
	for _, view := range []struct {
		name  string
		watch service.AccountWatch
	}{
		{"all_pipelines", service.AccountWatch{Overview: true}},
		{"pipeline", service.AccountWatch{Overview: true, Pipelines: []string{"web0"}}},
		{"execution", service.AccountWatch{Overview: true, Executions: []pipeline.ExecutionName{executionName(newest)}}},
		{fmt.Sprintf("execution_of_%d_actions", largeExecution), service.AccountWatch{Overview: true, Executions: []pipeline.ExecutionName{executionName(large)}}},
	} {
		var took []time.Duration
		for range opened {
			d, err := b.open(ctx, view.watch)
			if err != nil {
				return err
			}
			took = append(took, d)
		}
		r.latency(name+view.name, took, overviewGoal, "the goal of a view", "p99 < 1000 ms")
	}
	if err := r.measureFilters(ctx, b, name, newest); err != nil {
		return err
	}
	return r.measureWatchers(ctx, b, name)
}

// releases is a definition of ten stages with ten actions each, and an approval before the last.
func releases() pipeline.Definition {
	def := chain(noopAction)
	def.ExecutionMode = pipeline.Queued
	last := manual().Stages[0]
	def.Stages = append(def.Stages[:9:9], last, def.Stages[9])
	return def
}

func agreer() auth.Identity {
	return auth.Identity{Principal: "agreer", Bindings: []auth.Binding{{Account: account, Role: auth.Approver}}}
}

func executionName(e *execution.Execution) pipeline.ExecutionName {
	return pipeline.ExecutionName{PipelineName: pipeline.PipelineName{Account: account, Pipeline: e.Pipeline}, ID: e.ID}
}

// overviewHistory makes pipelines with that many past action executions among them, and lets
// three executions of each wait. It returns one that has ended.
func (b *backend) overviewHistory(ctx context.Context, history int) (ended *execution.Execution, err error) {
	for i := range overviewPipelines {
		name := fmt.Sprintf("web%d", i)
		if err := b.define(ctx, name, releases()); err != nil {
			return nil, err
		}
		e, err := b.executions().Start(ctx, bencher(), account, name, service.StartInput{})
		if err != nil {
			return nil, err
		}
		if err := b.agree(ctx, e); err != nil {
			return nil, err
		}
		if err := b.copies(ctx, e, max(history/overviewPipelines/actionsPerExecution-1, 1)); err != nil {
			return nil, err
		}
		ended = e
		for range 3 {
			if _, err := b.executions().Start(ctx, bencher(), account, name, service.StartInput{}); err != nil {
				return nil, err
			}
		}
	}
	return ended, nil
}

// agree approves an execution once it waits for that.
func (b *backend) agree(ctx context.Context, e *execution.Execution) error {
	err := b.executions().Watch(ctx, bencher(), account, e.ID, 0, func(ev execution.Event) error {
		if ev.Action == "Agree" && ev.State == execution.EventStarted {
			return errSeen
		}
		return nil
	})
	if !errors.Is(err, errSeen) {
		return fmt.Errorf("execution %s of %s waits for nobody: %w", e.ID, e.Pipeline, err)
	}
	_, err = b.executions().Decide(ctx, agreer(), account, e.ID, service.Decision{Approve: true})
	return err
}

// large returns an execution of a thousand actions that has ended.
func (b *backend) large(ctx context.Context) (*execution.Execution, error) {
	def := chain(noopAction)
	for i := range def.Stages {
		stage := &def.Stages[i]
		for len(stage.Actions) < largeExecution/len(def.Stages) {
			a := noopAction(fmt.Sprintf("More%d", len(stage.Actions)))
			a.RunOrder = 1 + len(stage.Actions)%10
			stage.Actions = append(stage.Actions, a)
		}
	}
	if err := b.define(ctx, "large", def); err != nil {
		return nil, err
	}
	e, err := b.executions().Start(ctx, bencher(), account, "large", service.StartInput{})
	if err != nil {
		return nil, err
	}
	return e, b.executions().Watch(ctx, bencher(), account, e.ID, 0, func(execution.Event) error { return nil })
}

// open opens a stream that nobody else has open, and returns after which time it has shown all.
func (b *backend) open(ctx context.Context, watch service.AccountWatch) (time.Duration, error) {
	begun := time.Now()
	var took time.Duration
	err := b.executions().WatchAccount(ctx, bencher(), account, watch, func(p *service.AccountPatch) error {
		took = time.Since(begun)
		if len(p.DeletedPipelines)+len(p.DeletedExecutions) > 0 || len(p.Executions) != len(watch.Executions) {
			return fmt.Errorf("the snapshot lacks %v and %v", p.DeletedPipelines, p.DeletedExecutions)
		}
		return errSeen
	})
	if !errors.Is(err, errSeen) {
		return 0, err
	}
	return took, nil
}

// measureFilters reads the first page of histories with filters. The rarest match last of all.
func (r *run) measureFilters(ctx context.Context, b *backend, name string, newest *execution.Execution) error {
	for _, list := range []struct {
		name  string
		query service.ExecutionQuery
	}{
		{"history", service.ExecutionQuery{}},
		{"history_of_a_person", service.ExecutionQuery{Principal: bencher().Principal}},
		{"history_of_nobody", service.ExecutionQuery{Principal: "nobody"}},
		{"history_of_a_missing_revision", service.ExecutionQuery{Revision: "0123abcd"}},
		{"history_of_other_triggers", service.ExecutionQuery{Triggers: []execution.TriggerType{execution.TriggerWebhookV2}}},
		{"history_of_an_hour_without_any", service.ExecutionQuery{To: newest.StartedAt.Add(-24 * time.Hour)}},
	} {
		var took []time.Duration
		list.query.Size = pageSize
		for range opened {
			begun := time.Now()
			if _, err := b.executions().List(ctx, bencher(), account, list.query); err != nil {
				return err
			}
			took = append(took, time.Since(begun))
		}
		r.latency(name+list.name, took, overviewGoal, "the goal of a view", "p99 < 1000 ms")
	}
	return nil
}

// measureWatchers measures how long a change takes to a stream, and what more streams cost,
// while the account is busy.
func (r *run) measureWatchers(ctx context.Context, b *backend, name string) error {
	var alone float64
	for _, watchers := range []int{0, 1, overviewWatchers} {
		cpu, took, err := b.busy(ctx, watchers)
		if err != nil {
			return err
		}
		if watchers == 0 {
			alone = cpu
			continue
		}
		r.value(fmt.Sprintf("%scpu_of_%d_watchers", name, watchers), cpu-alone, "% of a CPU", alone, "the changes without watchers", "")
		r.latency(fmt.Sprintf("%schange_to_%d_watchers", name, watchers), took, time.Second, "a second", "p99 < 1000 ms")
	}
	return nil
}

// busy changes something again and again while streams are open. It returns the percentage of
// a CPU that the process used, and when each change arrived at all streams.
func (b *backend) busy(ctx context.Context, watchers int) (cpu float64, took []time.Duration, err error) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	group, watching := errgroup.WithContext(watching)
	seen := &arrivals{waits: make(map[string]*arrival), streams: watchers}
	var ready sync.WaitGroup
	ready.Add(watchers)
	for range watchers {
		group.Go(func() error {
			err := b.executions().WatchAccount(watching, bencher(), account, service.AccountWatch{Overview: true}, func(p *service.AccountPatch) error {
				if p.Snapshot {
					ready.Done()
					return nil
				}
				for _, s := range p.Pipelines {
					seen.note(s.Latest)
				}
				return nil
			})
			if watching.Err() != nil {
				return nil //nolint:nilerr // It was stopped.
			}
			return err
		})
	}
	ready.Wait()
	before, begun := processCPU(), time.Now()
	for i := 0; time.Since(begun) < busyFor; i++ {
		e, err := b.executions().Start(ctx, bencher(), account, fmt.Sprintf("web%d", i%overviewPipelines), service.StartInput{})
		if err != nil {
			return 0, nil, err
		}
		seen.expect(e.ID, time.Now())
		if _, err := b.executions().Stop(ctx, bencher(), account, e.ID, true, "measured"); err != nil {
			return 0, nil, err
		}
		time.Sleep(busyEvery)
	}
	cpu = 100 * float64(processCPU()-before) / float64(time.Since(begun))
	stop()
	return cpu, seen.took, group.Wait()
}

// arrivals notes when the streams have shown executions.
type arrivals struct {
	streams int

	mu    sync.Mutex
	waits map[string]*arrival
	took  []time.Duration
}

type arrival struct {
	begun time.Time
	seen  int
}

func (a *arrivals) expect(id string, begun time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waits[id] = &arrival{begun: begun}
}

func (a *arrivals) note(e *service.ExecutionSummary) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.waits[e.ID]
	if w == nil {
		return
	}
	if w.seen++; w.seen == a.streams {
		a.took = append(a.took, time.Since(w.begun))
		delete(a.waits, e.ID)
	}
}

// processCPU returns the time of CPUs that the process has used.
func processCPU() time.Duration {
	var usage syscall.Rusage
	// It fails for unknown arguments only.
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
