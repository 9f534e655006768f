package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// pageSize is the most that the server lists of executions at once.
const pageSize = 100

// execution returns the execution to read that a user's word names, with its stages. Of a
// pipeline it is the latest. If others are in progress it says which one it is.
func (a *app) execution(ctx context.Context, c *client.Client, word string) (*headracev1.Execution, error) {
	return a.executionOr(ctx, c, word, func(ctx context.Context, c *client.Client, name string) (*headracev1.Execution, error) {
		e, err := latest(ctx, c, name)
		if err != nil {
			return nil, err
		}
		live, err := withStatus(ctx, c, name,
			headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS, headracev1.ExecutionStatus_EXECUTION_STATUS_STOPPING)
		var others []string
		for _, other := range live {
			if other.GetName() != e.GetName() {
				others = append(others, label(other))
			}
		}
		if len(others) > 0 {
			a.err.linef("headrace: this is %s, the newest execution of %s; also in progress: %s", label(e), name, strings.Join(others, ", "))
		}
		return e, err
	})
}

// named returns the execution that a user's word names, nil if it names a pipeline.
func (a *app) named(ctx context.Context, c *client.Client, word string) (*headracev1.Execution, error) {
	return a.executionOr(ctx, c, word, func(context.Context, *client.Client, string) (*headracev1.Execution, error) { return nil, nil })
}

// choice chooses one of the executions of a pipeline.
type choice func(ctx context.Context, c *client.Client, name string) (*headracev1.Execution, error)

// executionOr is execution with another choice for the name of a pipeline alone.
func (a *app) executionOr(ctx context.Context, c *client.Client, word string, of choice) (*headracev1.Execution, error) {
	if client.Segment(word, "executions") != "" {
		return get(ctx, c, word)
	}
	if id, err := uuid.Parse(word); err == nil && len(word) == len(id.String()) {
		e, err := get(ctx, c, client.ExecutionName(c.Account, pipeline.AnyPipeline, id.String()))
		if !client.IsNotFound(err) {
			return e, err
		}
		// The name of a pipeline may look like an id, too.
		_, absent := c.Pipelines.GetPipeline(ctx, &headracev1.GetPipelineRequest{Name: pipelineName(c, word)})
		if absent != nil {
			return nil, err
		}
		return of(ctx, c, word)
	}
	name, digits, numbered := strings.Cut(word, "#")
	if name == "" {
		return nil, usagef("%q names no execution: use PIPELINE, PIPELINE#NUMBER or the execution's id", word)
	}
	if !numbered {
		return of(ctx, c, name)
	}
	number, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || number < 1 {
		return nil, usagef("%q names no execution: what follows # must be its number, as in %s#1", word, name)
	}
	return byNumber(ctx, c, name, number)
}

func get(ctx context.Context, c *client.Client, name string) (*headracev1.Execution, error) {
	response, err := c.Executions.GetExecution(ctx, &headracev1.GetExecutionRequest{Name: name})
	return response.GetExecution(), err
}

func latest(ctx context.Context, c *client.Client, name string) (*headracev1.Execution, error) {
	response, err := c.Executions.ListExecutions(ctx, &headracev1.ListExecutionsRequest{
		Parent: pipelineName(c, name), PageSize: 1,
	})
	if err != nil {
		return nil, err
	}
	if len(response.GetExecutions()) == 0 {
		return nil, fmt.Errorf("the pipeline %s has no execution yet: start one with: headrace run %s", name, name)
	}
	return get(ctx, c, response.GetExecutions()[0].GetName())
}

// lastStage returns the stage where an execution is or ended, nil before the first.
func lastStage(e *headracev1.Execution) *headracev1.StageExecution {
	if len(e.GetStages()) == 0 {
		return nil
	}
	return e.GetStages()[len(e.GetStages())-1]
}

func byNumber(ctx context.Context, c *client.Client, name string, number int64) (*headracev1.Execution, error) {
	request := &headracev1.ListExecutionsRequest{Parent: pipelineName(c, name), PageSize: pageSize}
	for {
		response, err := c.Executions.ListExecutions(ctx, request)
		if err != nil {
			return nil, err
		}
		for _, e := range response.GetExecutions() {
			if e.GetNumber() == number {
				return get(ctx, c, e.GetName())
			}
			if e.GetNumber() < number {
				return nil, fmt.Errorf("the pipeline %s has no execution %d: the nearest below is %d",
					name, number, e.GetNumber())
			}
		}
		if response.GetNextPageToken() == "" {
			return nil, fmt.Errorf("the pipeline %s has no execution %d", name, number)
		}
		request.PageToken = response.GetNextPageToken()
	}
}

// pipelineName returns the resource name of the pipeline that a user's word names.
func pipelineName(c *client.Client, word string) string {
	if client.Segment(word, "pipelines") != "" {
		return word
	}
	return client.PipelineName(c.Account, word)
}

// label returns the short form of an execution, which execution reads back.
func label(e *headracev1.Execution) string {
	return fmt.Sprintf("%s#%d", client.Segment(e.GetName(), "pipelines"), e.GetNumber())
}
