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

// execution returns the execution that a user's word names, with its stages.
func (a *app) execution(ctx context.Context, c *client.Client, word string) (*headracev1.Execution, error) {
	if client.Segment(word, "executions") != "" {
		return get(ctx, c, word)
	}
	if id, err := uuid.Parse(word); err == nil {
		return get(ctx, c, client.ExecutionName(c.Account, pipeline.AnyPipeline, id.String()))
	}
	name, digits, numbered := strings.Cut(word, "#")
	if name == "" {
		return nil, usagef("%q names no execution: use PIPELINE, PIPELINE#NUMBER or the execution's id", word)
	}
	if !numbered {
		return latest(ctx, c, name)
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

// findAction returns the action execution that a user's word names: Stage/Action
// or the action's name where only one stage has it.
func findAction(e *headracev1.Execution, word string) (string, *headracev1.ActionExecution, error) {
	var (
		found []string
		stage string
		match *headracev1.ActionExecution
		all   []string
	)
	for _, s := range e.GetStages() {
		for _, action := range s.GetActions() {
			full := s.GetStage() + "/" + action.GetAction()
			all = append(all, full)
			if word == full || word == action.GetAction() {
				found = append(found, full)
				stage, match = s.GetStage(), action
			}
		}
	}
	switch len(found) {
	case 1:
		return stage, match, nil
	case 0:
		if len(all) == 0 {
			return "", nil, fmt.Errorf("%s has not started an action yet", label(e))
		}
		return "", nil, fmt.Errorf("%s has no action %q so far: it has %s", label(e), word, strings.Join(all, ", "))
	}
	return "", nil, usagef("several stages of %s have an action %q: use one of %s", label(e), word, strings.Join(found, ", "))
}
