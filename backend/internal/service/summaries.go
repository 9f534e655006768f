package service

import (
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// PipelineSummary is a pipeline in one line.
type PipelineSummary struct {
	Name string
	// Version is the newest one, 0 if there is none.
	Version int64
	Mode    pipeline.ExecutionMode
	// Stages are those of the newest version, in order.
	Stages []StageSummary
	// Latest is the execution that started last; nil if there is none.
	Latest *ExecutionSummary
	// Live is how many executions are live, and Approvals how many approvals of them are open.
	Live, Approvals int
}

// StageSummary is a stage of a pipeline in one line. In PARALLEL mode it is that of the
// execution that started last.
type StageSummary struct {
	Name string
	// Status is that of the stage in the execution that entered it last, whose id and number
	// follow; empty if none did.
	Status      pipeline.Status
	ExecutionID string
	Number      int64
	// Since is when the stage got the status: when it was entered, or when it ended.
	Since time.Time
	// Disabled is the inbound transition, nil unless it is disabled.
	Disabled *execution.Transition
	// Waiting is how many executions wait in front of the stage, Approvals how many approvals
	// are open in it.
	Waiting, Approvals int
}

// ExecutionSummary is an execution in one line.
type ExecutionSummary struct {
	ID              string
	Number          int64
	Status          pipeline.Status
	Started, Ended  time.Time
	Trigger         execution.TriggerType
	Principal       string
	Revision        string
	RevisionSummary string
}

func summaryOf(e *execution.Execution) *ExecutionSummary {
	if e == nil {
		return nil
	}
	s := &ExecutionSummary{
		ID: e.ID, Number: e.Number, Status: e.Status, Started: e.StartedAt, Ended: e.EndedAt,
		Trigger: e.Trigger.Type, Principal: e.Trigger.Principal,
	}
	s.Revision, s.RevisionSummary = mainRevision(e)
	return s
}

// mainRevision returns the revision that an execution is about, with its summary in one line: the
// first that its source actions fetched, or before that the commit of its trigger.
func mainRevision(e *execution.Execution) (id, summary string) {
	if len(e.Revisions) == 0 {
		return e.Trigger.To, ""
	}
	return e.Revisions[0].ID, firstLine(e.Revisions[0].Summary)
}

// maxLine bounds the line of a text in a list, in characters.
const maxLine = 200

// firstLine returns the start of the first line of a text.
func firstLine(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	if utf8.RuneCountInString(text) > maxLine {
		text = string([]rune(text)[:maxLine-1]) + "…"
	}
	return text
}

// pipelineShape is what a summary takes of the newest version of a pipeline.
type pipelineShape struct {
	version int64
	mode    pipeline.ExecutionMode
	stages  []string
}

func shapeOf(version int64, def *pipeline.Definition) *pipelineShape {
	shape := &pipelineShape{version: version, mode: def.Mode()}
	for i := range def.Stages {
		shape.stages = append(shape.stages, def.Stages[i].Name)
	}
	return shape
}

// maxShapes bounds the shapes that are kept for boards to come.
const maxShapes = 10_000

// knownShapes keeps the shapes of pipelines, so that a board does not read definitions that an
// earlier one has read.
type knownShapes struct {
	mu     sync.Mutex
	shapes map[string]*pipelineShape
}

func newKnownShapes() *knownShapes { return &knownShapes{shapes: make(map[string]*pipelineShape)} }

// get returns the shape of that version, nil if it is not known.
func (k *knownShapes) get(pipelineID string, version int64) *pipelineShape {
	k.mu.Lock()
	defer k.mu.Unlock()
	if shape := k.shapes[pipelineID]; shape != nil && shape.version == version {
		return shape
	}
	return nil
}

func (k *knownShapes) put(pipelineID string, shape *pipelineShape) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.shapes) >= maxShapes {
		clear(k.shapes)
	}
	k.shapes[pipelineID] = shape
}

// summarize returns the summary of a pipeline, whose shape is nil if it has no version.
func summarize(o *store.PipelineOverview, shape *pipelineShape) *PipelineSummary {
	s := &PipelineSummary{Name: o.Name, Version: o.Version, Latest: summaryOf(o.Latest), Live: o.Live}
	for _, n := range o.Approvals {
		s.Approvals += n
	}
	if shape == nil {
		return s
	}
	s.Mode = shape.mode
	for _, name := range shape.stages {
		stage := StageSummary{Name: name, Waiting: o.Waiting[name], Approvals: o.Approvals[name]}
		state := o.State.Stage(name)
		if state.Transition != nil && state.Transition.Disabled {
			stage.Disabled = state.Transition
		}
		switch entered := state.Latest; {
		case shape.mode == pipeline.Parallel && o.Latest != nil:
			stage.passed(o, o.Latest.ID, o.Latest.Number)
		case shape.mode != pipeline.Parallel && entered != nil:
			stage.passed(o, entered.ExecutionID, entered.Number)
		}
		s.Stages = append(s.Stages, stage)
	}
	return s
}

// passed notes the execution that is or was in the stage, if it was.
func (s *StageSummary) passed(o *store.PipelineOverview, id string, number int64) {
	for _, of := range o.Stages {
		if of.ExecutionID != id || of.Name != s.Name || !of.Entered() {
			continue
		}
		s.Status, s.ExecutionID, s.Number, s.Since = of.Status, id, number, of.EndedAt
		if s.Since.IsZero() {
			s.Since = of.StartedAt
		}
	}
}
