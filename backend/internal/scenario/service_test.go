package scenario_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// The types of actions and rules that a service elsewhere carries out, in turns.
var (
	typeCloud = pipeline.Type{
		ID:   pipeline.TypeID{Category: pipeline.CategoryBuild, Owner: pipeline.Owner, Provider: "Cloud", Version: "1"},
		Work: pipeline.WorkTurn, MaxInputs: 5, DefaultTimeout: time.Hour,
	}
	typeAlarm = pipeline.Type{
		ID:   pipeline.TypeID{Category: pipeline.CategoryRule, Owner: pipeline.Owner, Provider: "Alarm", Version: "1"},
		Work: pipeline.WorkTurn, MaxInputs: 5, MaySkip: true, DefaultTimeout: time.Hour,
	}
)

// elsewhere is the service that carries out these types. It stands for a real one so that
// the story decides what it answers. It outlives the servers.
//
// It finds work only by the id that it gave it, which the state of a turn holds: an abandon
// that was made before the server learned the id has no effect.
type elsewhere struct {
	mu   sync.Mutex
	down bool
	// jobs are all that were ever begun, oldest first.
	jobs []*job
	// during are called within the next turn of an action or rule, by its execution and
	// name.
	during map[string]func(context.Context) error
	// failed is why such a call failed.
	failed error
}

// job is work in the service.
type job struct {
	actionExecution string
	execution, name string
	id, status      string
	result          action.Result
}

const (
	jobRunning   = "running"
	jobEnded     = "ended"
	jobAbandoned = "abandoned"
)

var errServiceDown = errors.New("the service is down")

func newElsewhere() *elsewhere {
	return &elsewhere{during: make(map[string]func(context.Context) error)}
}

func nameOfTurn(turn action.Turn) string { return turn.Stage + "/" + turn.Action.Name }

// Take implements action.TurnExecutor.
func (s *elsewhere) Take(ctx context.Context, turn action.Turn, _ action.Tools) action.Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := turn.ExecutionID + " " + nameOfTurn(turn)
	if call := s.during[key]; call != nil {
		delete(s.during, key)
		s.failed = errors.Join(s.failed, call(ctx))
	}
	again := action.Outcome{Again: &action.Again{State: turn.State, Delay: time.Minute}}
	if s.down {
		return again
	}
	i := slices.IndexFunc(s.jobs, func(j *job) bool { return j.actionExecution == turn.ActionExecutionID })
	if i < 0 {
		i = len(s.jobs)
		s.jobs = append(s.jobs, &job{
			actionExecution: turn.ActionExecutionID, execution: turn.ExecutionID, name: nameOfTurn(turn),
			id: fmt.Sprintf("job-%d", i+1), status: jobRunning,
		})
	}
	j := s.jobs[i]
	if j.status == jobEnded {
		return action.Outcome{Result: j.result}
	}
	again.Again.State, again.Again.ExternalID = []byte(j.id), j.id
	return again
}

// Abandon implements action.TurnExecutor.
func (s *elsewhere) Abandon(_ context.Context, turn action.Turn, _ action.Tools) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errServiceDown
	}
	for _, j := range s.jobs {
		if j.id == string(turn.State) && j.status == jobRunning {
			j.status = jobAbandoned
		}
	}
	return nil
}

// end ends the job that runs for an action or a rule.
func (s *elsewhere) end(executionID, name string, result action.Result) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.jobs {
		if j.execution == executionID && j.name == name && j.status == jobRunning {
			j.status, j.result = jobEnded, result
			return nil
		}
	}
	return fmt.Errorf("the service runs no job for %s", name)
}

// The steps of a story.

func (w *world) setService(match []string, _ *statement) (*look, error) {
	w.elsewhere.mu.Lock()
	defer w.elsewhere.mu.Unlock()
	w.elsewhere.down = match[1] == "down"
	return nil, nil
}

func (w *world) endJob(match []string, _ *statement) (*look, error) {
	e, err := w.find(match[2])
	if err != nil {
		return nil, err
	}
	result := action.Result{Summary: "done by the service"}
	if match[3] == "fails" {
		result = action.Failed(action.JobFailed, "%s", match[4])
	}
	return nil, w.elsewhere.end(e.ID, match[1], result)
}

// abandonDuringTurn lets somebody abandon an execution while the next turn of an action is
// under way.
func (w *world) abandonDuringTurn(match []string, _ *statement) (*look, error) {
	e, err := w.find(match[2])
	if err != nil {
		return nil, err
	}
	who := w.identity(match[3])
	w.elsewhere.mu.Lock()
	defer w.elsewhere.mu.Unlock()
	w.elsewhere.during[e.ID+" "+match[1]] = func(ctx context.Context) error {
		_, err := w.executions.Stop(ctx, who, account, e.ID, true, "")
		return err
	}
	return nil, nil
}

func (w *world) lookJobs([]string, *statement) (*look, error) {
	w.elsewhere.mu.Lock()
	defer w.elsewhere.mu.Unlock()
	if w.elsewhere.failed != nil {
		return nil, w.elsewhere.failed
	}
	var lines []string
	for _, j := range w.elsewhere.jobs {
		lines = append(lines, strings.Join([]string{j.id, "of", j.name, "of", w.calledByID(j.execution), j.status}, " "))
	}
	return &look{lines: lines, match: matchAll(matches)}, nil
}
