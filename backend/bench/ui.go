package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

const (
	// uiStages, uiRunOrders and uiSideBySide are the shape of an execution of 1,000 actions.
	uiStages, uiRunOrders, uiSideBySide = 20, 2, 25
	// changeEvery is the time between two decisions, each of which ends an action that another change
	// began: 100 changes a second. changesAtOnce is how many decisions may wait for their commits.
	changeEvery, changesAtOnce = 20 * time.Millisecond, 8
	// uiLogLines are the lines of a log of 1 GB, and uiLogLine the format of one for seq.
	uiLogLines = 10_000_000
	uiLogLine  = "line %.0f of the build, about as long as a line that a compiler writes, and some more words to go on"
	// logWritten is how long the action that writes it may take.
	logWritten = 20 * time.Minute
	// uiViewGoal is the most milliseconds that a view may take.
	uiViewGoal = 1000
)

// measureUI measures the web UI in a browser. If there is none it prints so.
func (r *run) measureUI(ctx context.Context) error {
	for _, part := range []struct {
		name    string
		measure func(ctx context.Context, b *browser, dir string) error
	}{
		{"ui_view", r.measureViews},
		{"ui_execution", r.measureLargeExecution},
		{"ui_log_1gb", r.measureLogView},
	} {
		if !r.wants(part.name) {
			continue
		}
		b, err := findBrowser()
		if err != nil {
			fmt.Fprintf(r.out, "%s: not measured: %v\n", part.name, err)
			_ = r.out.Flush()
			continue
		}
		if err := part.measure(ctx, b, filepath.Join(r.dir, part.name)); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// measureViews opens each view of an account with 100 pipelines and a long history.
func (r *run) measureViews(ctx context.Context, b *browser, dir string) (err error) {
	past, err := start(ctx, dir, onSQLite())
	if err != nil {
		return err
	}
	ended, err := past.overviewHistory(ctx, r.history)
	if err := errors.Join(err, past.stop()); err != nil {
		return err
	}
	s, err := startSite(ctx, r.headraced, dir, "--runner-slots", "0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	root, web := "/accounts/"+account, "/accounts/"+account+"/pipelines/"+ended.Pipeline
	script, err := b.start(ctx, "bench-views.mjs", s.settings(map[string]any{"views": []map[string]string{
		{"name": "overview", "path": root, "shows": ".strips [data-row]"},
		{"name": "overview_wall", "path": root + "?wall=1", "shows": ".tiles .tile"},
		{"name": "history", "path": root + "/executions", "shows": "table.list [data-row]"},
		{"name": "history_filtered", "path": root + "/executions?status=failed", "shows": "main .notice, table.list [data-row]"},
		{"name": "pipeline", "path": web, "shows": "main .heading"},
		{"name": "pipeline_history", "path": web + "/executions", "shows": "table.list [data-row]"},
		{"name": "execution", "path": web + "/executions/" + ended.ID, "shows": ".cell"},
		{"name": "execution_waterfall", "path": web + "/executions/" + ended.ID + "?face=waterfall", "shows": ".waterfall"},
		{"name": "execution_events", "path": web + "/executions/" + ended.ID + "?face=events", "shows": "main [data-row], main tbody tr, main ol li"},
		{"name": "versions", "path": web + "/versions", "shows": "table.list [data-row]"},
		{"name": "triggers", "path": root + "/triggers", "shows": "main .notice"},
		{"name": "decisions", "path": root + "/decisions", "shows": "main .notice"},
		{"name": "webhooks", "path": root + "/webhooks", "shows": "main .notice"},
		{"name": "deliveries", "path": root + "/deliveries", "shows": "main .notice"},
	}}))
	if err != nil {
		return err
	}
	return r.printBrowser(script, func(string) float64 { return uiViewGoal })
}

// measureLargeExecution changes 100 actions a second of an execution of 1,000 that a tab shows,
// and then opens it on a slow computer.
func (r *run) measureLargeExecution(ctx context.Context, b *browser, dir string) (err error) {
	past, err := start(ctx, dir, onSQLite())
	if err != nil {
		return err
	}
	name, err := past.startApprovals(ctx)
	if err := errors.Join(err, past.stop()); err != nil {
		return err
	}
	s, err := startSite(ctx, r.headraced, dir, "--runner-slots", "0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	script, err := b.start(ctx, "bench-execution.mjs", s.settings(map[string]any{
		"path": "/" + name, "list": "/accounts/" + account + "/pipelines/large/executions", "actions": uiStages * uiRunOrders * uiSideBySide,
	}))
	if err != nil {
		return err
	}
	if err := script.hear("watching"); err != nil {
		return err
	}
	begun := time.Now()
	if err := s.approveAll(ctx, name); err != nil {
		return errors.Join(err, script.kill())
	}
	rate := 2 * uiStages * uiRunOrders * uiSideBySide / time.Since(begun).Seconds()
	if err := script.say("changed"); err != nil {
		return err
	}
	r.value("ui_patches_rate", rate, "changes/s", 100, "changes a second that were wanted", "")
	return r.printBrowser(script, func(figure string) float64 {
		if strings.HasPrefix(figure, "ui_patches") {
			return 8
		}
		return 500
	})
}

// measureLogView reads a log of 1 GB that an action wrote.
func (r *run) measureLogView(ctx context.Context, b *browser, dir string) (err error) {
	repository := dir + ".git"
	if err := commitTo(ctx, repository); err != nil {
		return err
	}
	s, err := startSite(ctx, r.headraced, dir, "--isolation", "none", "--runner-slots", "1", "--log-limit", "2048")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	path, before, err := s.printLog(ctx, repository)
	if err != nil {
		return err
	}
	script, err := b.start(ctx, "bench-log.mjs", s.settings(map[string]any{"path": path, "lines": uiLogLines, "before": before}))
	if err != nil {
		return err
	}
	goals := map[string]float64{"ui_log_1gb_line": 150, "ui_log_1gb_hit": 1000, "ui_log_1gb_tab": 120}
	return r.printBrowser(script, func(figure string) float64 {
		if goal, ok := goals[figure]; ok {
			return goal
		}
		return 500
	})
}

// printBrowser prints what a script measures, beside goals.
func (r *run) printBrowser(script *browserScript, goal func(figure string) float64) error {
	return script.figures(func(f browserFigure) {
		limit := goal(f.Figure)
		if f.MiB > 0 {
			r.value(f.Figure, f.MiB, "MiB", limit, "the goal of a tab", fmt.Sprintf("value < %.0f", limit))
			return
		}
		took := make([]time.Duration, len(f.Took))
		for i, ms := range f.Took {
			took[i] = time.Duration(ms * float64(time.Millisecond))
		}
		if f.Percentile > 0 {
			r.value(f.Figure, milliseconds(at(took, f.Percentile)), "ms", limit, fmt.Sprintf("the goal of percentile %d of %d", f.Percentile, len(took)), fmt.Sprintf("value < %.0f", limit))
			return
		}
		r.latency(f.Figure, took, time.Duration(limit)*time.Millisecond, "the goal in the UI", fmt.Sprintf("value < %.0f", limit))
	})
}

// startApprovals starts an execution of 1,000 actions that people approve, and returns its name.
func (b *backend) startApprovals(ctx context.Context) (string, error) {
	def := pipeline.Definition{ExecutionMode: pipeline.Parallel}
	for i := range uiStages {
		stage := pipeline.Stage{Name: uiStage(i)}
		for order := range uiRunOrders {
			for n := range uiSideBySide {
				action := manual().Stages[0].Actions[0]
				action.Name, action.RunOrder = uiAction(order, n), order+1
				stage.Actions = append(stage.Actions, action)
			}
		}
		def.Stages = append(def.Stages, stage)
	}
	if err := b.define(ctx, "large", def); err != nil {
		return "", err
	}
	e, err := b.executions().Start(ctx, bencher(), account, "large", service.StartInput{})
	if err != nil {
		return "", err
	}
	return client.ExecutionName(account, "large", e.ID), nil
}

func uiStage(i int) string { return fmt.Sprintf("Stage%d", i) }

func uiAction(order, n int) string { return fmt.Sprintf("Agree%d%02d", order, n) }

// site is a server and a client of it.
type site struct {
	client *client.Client
	pid    int
	url    string
	token  string
	stop   func() error
}

// startSite starts headraced on a data directory with more arguments.
func startSite(ctx context.Context, headraced, data string, args ...string) (*site, error) {
	grpc, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	web, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	server := exec.CommandContext(ctx, headraced, append([]string{"--data-dir", data, "--grpc-listen", grpc, "--http-listen", web, "--log-level", "error"}, args...)...)
	server.Stderr = os.Stderr
	server.Cancel = func() error { return server.Process.Signal(os.Interrupt) }
	if err := server.Start(); err != nil {
		return nil, err
	}
	s := &site{pid: server.Process.Pid, url: "http://" + web}
	s.stop = func() error {
		var err error
		if s.client != nil {
			err = s.client.Close()
		}
		return errors.Join(err, server.Process.Signal(os.Interrupt), server.Wait())
	}
	if err := s.connect(ctx, grpc, data); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *site) connect(ctx context.Context, grpc, data string) error {
	if err := ready(ctx, s.url+"/readyz"); err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(data, "admin.token"))
	if err != nil {
		return err
	}
	s.token = strings.TrimSpace(string(token))
	s.client, err = client.Dial(client.Config{Endpoint: grpc, Token: s.token}, "bench")
	return err
}

// settings are those of a script, with what it needs to log in.
func (s *site) settings(of map[string]any) map[string]any {
	of["url"], of["token"] = s.url, s.token
	return of
}

// approveAll approves the actions of an execution in their order, 50 a second.
func (s *site) approveAll(ctx context.Context, execution string) error {
	beat := time.NewTicker(changeEvery)
	defer beat.Stop()
	for stage := range uiStages {
		for order := range uiRunOrders {
			group, ctx := errgroup.WithContext(ctx)
			group.SetLimit(changesAtOnce)
			for n := range uiSideBySide {
				group.Go(func() error {
					_, err := s.client.Executions.DecideApproval(ctx, &headracev1.DecideApprovalRequest{
						Name: execution, Stage: uiStage(stage), Action: uiAction(order, n), Approve: true,
					})
					return err
				})
				select {
				case <-beat.C:
				case <-ctx.Done():
				}
			}
			if err := group.Wait(); err != nil {
				return err
			}
		}
	}
	return nil
}

// printLog lets an action write 1 GB, and returns the path of its log and how many lines it has
// before the first one that was printed.
func (s *site) printLog(ctx context.Context, repository string) (path string, before int64, err error) {
	if err := s.define(ctx, "large", repository, commandStage(fmt.Sprintf("seq -f '%s' %d", uiLogLine, uiLogLines))); err != nil {
		return "", 0, err
	}
	started, err := s.client.Executions.StartExecution(ctx, &headracev1.StartExecutionRequest{Pipeline: client.PipelineName("default", "large")})
	if err != nil {
		return "", 0, err
	}
	e, err := s.ended(ctx, started.GetExecution().GetName())
	if err != nil {
		return "", 0, err
	}
	log, err := s.client.Executions.StatLog(ctx, &headracev1.StatLogRequest{Name: e.GetName(), ActionExecutionId: e.GetStages()[1].GetActions()[0].GetId()})
	if err != nil {
		return "", 0, err
	}
	return "/" + e.GetName() + "/log/Build/Print/1", log.GetLineCount() - uiLogLines, nil
}

// define makes a pipeline of a source and a stage.
func (s *site) define(ctx context.Context, name, repository string, stage *headracev1.Stage) error {
	_, err := s.client.Pipelines.CreatePipeline(ctx, &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
		Name: client.PipelineName("default", name), Definition: &headracev1.PipelineDefinition{Stages: []*headracev1.Stage{
			{Name: "Source", Actions: []*headracev1.Action{{
				Name: "Fetch", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
				Configuration:   map[string]string{"RepositoryUrl": repository, "Branch": "main"},
				OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
			}}},
			stage,
		}},
	}})
	return err
}

func commandStage(command string) *headracev1.Stage {
	return &headracev1.Stage{Name: "Build", Actions: []*headracev1.Action{{
		Name: "Print", Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1", Commands: []string{command},
	}}}
}

// commitTo makes a repository with a commit.
func commitTo(ctx context.Context, repository string) error {
	for _, args := range [][]string{
		{"init", "-q", "-b", "main", repository},
		{"-C", repository, "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q", "--allow-empty", "-m", "Print much"},
	} {
		if out, err := exec.CommandContext(ctx, "git", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w\n%s", args[0], err, out)
		}
	}
	return nil
}

// ended returns an execution once it has succeeded.
func (s *site) ended(ctx context.Context, name string) (*headracev1.Execution, error) {
	ctx, cancel := context.WithTimeout(ctx, logWritten)
	defer cancel()
	beat := time.NewTicker(100 * time.Millisecond)
	defer beat.Stop()
	for {
		got, err := s.client.Executions.GetExecution(ctx, &headracev1.GetExecutionRequest{Name: name})
		if err != nil {
			return nil, err
		}
		switch e := got.GetExecution(); e.GetStatus() {
		case headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED:
			return e, nil
		case headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS:
		default:
			return nil, fmt.Errorf("%s is %s", name, e.GetStatus())
		}
		select {
		case <-beat.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
