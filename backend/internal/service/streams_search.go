package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Bounds of a search of logs.
const (
	// searchTime is how long a search goes on, and sends what it finds.
	searchTime = time.Minute
	// searchBytes is how much the matches of a search hold together.
	searchBytes = 16 << 20
)

// Reasons why a search ended early.
const (
	searchTooLong = "the search took longer than a minute; search fewer executions, or one action"
	searchTooMany = "there are more matches; use a more specific search, or ask for more matches"
	searchTooMuch = "the matches are larger than 16 MiB; use a more specific search, or less context"
)

// LogSearch says which logs to search, and for what.
type LogSearch struct {
	// ExecutionID is one execution; where it is empty, it is the newest executions of
	// Pipeline, at most that many.
	ExecutionID, Pipeline string
	Executions            int
	// ActionExecutionID is empty for all logs of the executions.
	ActionExecutionID string
	Pattern           logs.Pattern
	// Around is how many lines before and after a match are given with it.
	Around  int
	Matches int
}

// LogPlace says what a log is of: an action, or a rule of a condition.
type LogPlace struct {
	Execution         *execution.Execution
	Stage, Action     string
	Condition         pipeline.ConditionKind
	Rule              string
	ActionExecutionID string
}

// LogSearched says what a search looked at.
type LogSearched struct {
	Bytes, Logs, Matches int64
	// Incomplete says why not all was searched, empty where it was.
	Incomplete string
}

// errSearchEnds ends a search at one of its bounds.
var errSearchEnds = errors.New("the search came to a bound")

// SearchLogs gives the lines that match: of the newest execution first, in the order
// of the stages, of the lines in a log.
func (x *Streams) SearchLogs(ctx context.Context, who auth.Identity, account string, in LogSearch, emit func(LogPlace, logs.Match) error) (LogSearched, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return LogSearched{}, err
	}
	executions, err := x.searched(ctx, account, in)
	if err != nil {
		return LogSearched{}, err
	}
	end, err := x.searches.begin(ctx, x.stopping, account, who.Token)
	if err != nil {
		return LogSearched{}, err
	}
	defer end()
	s := &logSearch{LogSearch: in, emit: emit}
	limited, cancel := context.WithTimeout(ctx, x.searchTime)
	defer cancel()
	// A client that does not take what it is sent holds up no more than its own stream.
	stop := context.AfterFunc(limited, end)
	defer stop()
	for _, id := range executions {
		err = x.searchExecution(limited, account, id, s)
		if err != nil {
			break
		}
	}
	switch {
	case s.unsent != nil:
		err = s.unsent
	case errors.Is(err, errSearchEnds):
		err = nil
	case limited.Err() != nil && ctx.Err() == nil:
		s.done.Incomplete, err = searchTooLong, nil
	}
	if s.removed > 0 && s.done.Incomplete == "" {
		s.done.Incomplete = fmt.Sprintf("retention removed the logs of %d executions", s.removed)
	}
	return s.done, err
}

// searched returns the ids of the executions to search.
func (x *Streams) searched(ctx context.Context, account string, in LogSearch) ([]string, error) {
	if in.ExecutionID != "" {
		return []string{in.ExecutionID}, nil
	}
	found, err := listExecutions(ctx, x.config.Store, in.Pipeline, store.ExecutionFilter{Account: account, Size: in.Executions})
	ids := make([]string, len(found))
	for i, e := range found {
		ids[i] = e.ID
	}
	return ids, err
}

// logSearch is a search that is under way.
type logSearch struct {
	LogSearch
	emit  func(LogPlace, logs.Match) error
	done  LogSearched
	bytes int
	// unsent is the error of emit, after which nothing can be sent.
	unsent error
	// removed counts executions whose logs retention removed.
	removed int
}

func (x *Streams) searchExecution(ctx context.Context, account, id string, s *logSearch) error {
	e, err := readExecution(ctx, x.config.Store, account, id)
	if err != nil {
		return err
	}
	if !e.OutputsRemovedAt.IsZero() {
		s.removed++
		if s.ExecutionID != "" {
			return removedByRetention(e)
		}
		return nil
	}
	known := false
	for _, place := range logPlaces(e) {
		if s.ActionExecutionID != "" && s.ActionExecutionID != place.ActionExecutionID {
			continue
		}
		known = true
		select {
		case <-x.stopping:
			return ErrStopping
		default:
		}
		if err := x.searchLog(ctx, place, s); err != nil {
			return err
		}
	}
	if s.ActionExecutionID != "" && !known {
		return refuse(KindNotFound, pipeline.ReasonNotFound, "execution %q has no action or rule execution %q with a log", id, s.ActionExecutionID)
	}
	return nil
}

func (x *Streams) searchLog(ctx context.Context, place LogPlace, s *logSearch) error {
	log, err := x.config.Logs.Open(ctx, place.Execution.ID, place.ActionExecutionID)
	if err != nil {
		return err
	}
	defer log.Close()
	searched, err := log.Search(ctx, s.Pattern, s.Around, func(match logs.Match) error {
		if err := s.take(place, match); err != nil {
			return err
		}
		return ctx.Err()
	})
	s.done.Bytes += searched
	s.done.Logs++
	return err
}

// take gives a match, unless the search has come to a bound.
func (s *logSearch) take(place LogPlace, match logs.Match) error {
	if s.done.Matches == int64(s.Matches) {
		s.done.Incomplete = searchTooMany
		return errSearchEnds
	}
	s.bytes += len(match.Text)
	for _, line := range append(match.Before, match.After...) {
		s.bytes += len(line)
	}
	if s.bytes > searchBytes {
		s.done.Incomplete = searchTooMuch
		return errSearchEnds
	}
	s.done.Matches++
	s.unsent = s.emit(place, match)
	return s.unsent
}

// logPlaces returns what of an execution may have a log, in the order of the stages.
func logPlaces(e *execution.Execution) []LogPlace {
	var places []LogPlace
	for _, stage := range e.Stages {
		var after []LogPlace
		for _, condition := range stage.Conditions {
			for _, rule := range condition.Rules {
				if rule.Attempt == 0 {
					continue
				}
				place := LogPlace{Execution: e, Stage: stage.Name, Condition: condition.Kind, Rule: rule.Name, ActionExecutionID: rule.ID}
				if condition.Kind == pipeline.ConditionBeforeEntry {
					places = append(places, place)
				} else {
					after = append(after, place)
				}
			}
		}
		for _, a := range stage.Actions {
			if a.Work == pipeline.WorkAttempt {
				places = append(places, LogPlace{Execution: e, Stage: stage.Name, Action: a.Name, ActionExecutionID: a.ID})
			}
		}
		places = append(places, after...)
	}
	return places
}
