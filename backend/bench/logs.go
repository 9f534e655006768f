package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
)

const (
	// largeLines are the lines of a log of 1 GB.
	largeLines = 10_000_000
	// largeHit is in its last line alone.
	largeHit = "the Needle in it"
)

// measureLargeLog measures how long a viewer waits that opens a log of 1 GB, through the RPCs of a
// server.
func (r *run) measureLargeLog(ctx context.Context) (err error) {
	data := filepath.Join(r.dir, "large-log")
	grpc, err := freePort(ctx)
	if err != nil {
		return err
	}
	web, err := freePort(ctx)
	if err != nil {
		return err
	}
	server := exec.CommandContext(ctx, r.headraced, "--data-dir", data, "--grpc-listen", grpc, "--http-listen", web, "--runner-slots", "0", "--log-level", "error")
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Process.Signal(syscall.SIGTERM), server.Wait()) }()
	if err := ready(ctx, "http://"+web+"/readyz"); err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(data, "admin.token"))
	if err != nil {
		return err
	}
	l := &largeLog{}
	if l.client, err = client.Dial(client.Config{Endpoint: grpc, Token: strings.TrimSpace(string(token))}, "bench"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.client.Close()) }()
	if err := l.start(ctx); err != nil {
		return err
	}
	if err := l.write(ctx, data); err != nil {
		return err
	}
	return r.measureLogReads(ctx, l)
}

// largeLog is a log of 1 GB on a server.
type largeLog struct {
	client       *client.Client
	name, action string
	execution    string
}

// start starts an execution whose action has no runner.
func (l *largeLog) start(ctx context.Context) error {
	name := client.PipelineName("default", "large")
	if _, err := l.client.Pipelines.CreatePipeline(ctx, &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
		Name: name, Definition: &headracev1.PipelineDefinition{Stages: []*headracev1.Stage{
			{Name: "Source", Actions: []*headracev1.Action{{
				Name: "Checkout", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
				Configuration:   map[string]string{"RepositoryUrl": "https://127.0.0.1/none", "Branch": "main"},
				OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
			}}},
			{Name: "Approve", Actions: []*headracev1.Action{{Name: "Manual", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1"}}},
		}},
	}}); err != nil {
		return err
	}
	started, err := l.client.Executions.StartExecution(ctx, &headracev1.StartExecutionRequest{Pipeline: name})
	if err != nil {
		return err
	}
	e := started.GetExecution()
	l.name, l.execution, l.action = e.GetName(), e.GetId(), e.GetStages()[0].GetActions()[0].GetId()
	return nil
}

// write writes the log into the server's storage.
func (l *largeLog) write(ctx context.Context, data string) error {
	bucket, err := blob.Open(ctx, blob.DirectoryURL(data), "logs")
	if err != nil {
		return err
	}
	log := logs.New(bucket.Unsynced(), logs.Config{Limit: 2 << 30}).Writer(&action.Attempt{
		Scope: action.Scope{ExecutionID: l.execution, ActionExecutionID: l.action}, Number: 1,
	})
	var piece bytes.Buffer
	for i := range largeLines {
		fmt.Fprintf(&piece, "2026-11-25T22:00:00Z \x1b[3%dmpackage %8d\x1b[0m compiled and tested, and some more packages to go\n", i%8, i+1)
		if piece.Len() < storedPiece && i < largeLines-1 {
			continue
		}
		if i == largeLines-1 {
			piece.WriteString(largeHit + "\n")
		}
		if _, err := log.Write(piece.Bytes()); err != nil {
			return err
		}
		piece.Reset()
	}
	return log.Close()
}

func (r *run) measureLogReads(ctx context.Context, l *largeLog) error {
	//nolint:gosec // The same lines in each run.
	random := rand.New(rand.NewPCG(1, 1))
	read := func(line func() int64) func() error {
		return func() error {
			number := line()
			page, err := l.client.Executions.ReadLog(ctx, &headracev1.ReadLogRequest{
				Name: l.name, ActionExecutionId: l.action, MaxLines: 100, Start: &headracev1.ReadLogRequest_LineNumber{LineNumber: number},
			})
			if err == nil && (len(page.GetLines()) == 0 || number > 0 && page.GetLines()[0].GetNumber() != number) {
				err = fmt.Errorf("line %d is not there", number)
			}
			return err
		}
	}
	search := func(text string, ignoreCase bool) func() error {
		return func() error {
			stream, err := l.client.Executions.SearchLogs(ctx, &headracev1.SearchLogsRequest{
				Parent: l.name, ActionExecutionId: l.action, Pattern: text, IgnoreCase: ignoreCase,
			})
			if err != nil {
				return err
			}
			hit, err := stream.Recv()
			if err == nil && hit.GetMatch().GetLineNumber() != largeLines+1 {
				err = fmt.Errorf("the hit is in line %d", hit.GetMatch().GetLineNumber())
			}
			return err
		}
	}
	call := func() error {
		_, err := l.client.Executions.GetExecution(ctx, &headracev1.GetExecutionRequest{Name: l.name})
		return err
	}
	var first []time.Duration
	for range 20 {
		if err := timeOf(&first, call); err != nil {
			return err
		}
	}
	for _, figure := range []struct {
		name  string
		times int
		do    func() error
		goal  string
	}{
		{"log_1gb_first_lines", 20, read(func() int64 { return 1 }), "value <= 500"},
		{"log_1gb_end", 20, read(func() int64 { return -100 }), "value <= 500"},
		{"log_1gb_any_line", 200, read(func() int64 { return 1 + random.Int64N(largeLines) }), "value <= 150"},
		{"log_1gb_hit_in_last_line", 5, search(largeHit, false), "value <= 1000"},
		{"log_1gb_hit_ignoring_case", 5, search(strings.ToUpper(largeHit), true), "value <= 1000"},
	} {
		var took []time.Duration
		for range figure.times {
			if err := timeOf(&took, figure.do); err != nil {
				return fmt.Errorf("%s: %w", figure.name, err)
			}
		}
		r.latency(figure.name, took, at(first, 50), "a call of GetExecution", figure.goal)
	}
	return nil
}

// timeOf notes how long something takes.
func timeOf(took *[]time.Duration, do func() error) error {
	begun := time.Now()
	err := do()
	*took = append(*took, time.Since(begun))
	return err
}
