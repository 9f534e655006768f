package engine_test

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// model is what a store holds after the changes that it was given: copies, with
// times as coarse as it keeps them.
type model struct {
	executions map[string]*execution.Execution
	leases     map[string]*execution.Lease
	turns      map[string]*execution.Turn
	// abandons are the turns that abandon work, by id: they belong to no execution.
	abandons map[string]*execution.Turn
	events   []execution.Event
	// ended holds executions as they were when they ended.
	ended map[string]string
	// queues are the executions in front of a stage, by arrival.
	queues map[string][]string
	state  *execution.PipelineState
	// told is what the first read events tell.
	told map[string]*replay
	// touched are the executions that the last change was about: no other can have
	// changed.
	touched map[string]bool
	read    int
}

func newModel() *model {
	return &model{
		executions: make(map[string]*execution.Execution),
		leases:     make(map[string]*execution.Lease),
		turns:      make(map[string]*execution.Turn),
		abandons:   make(map[string]*execution.Turn),
		ended:      make(map[string]string),
		queues:     make(map[string][]string),
		state:      &execution.PipelineState{},
		told:       make(map[string]*replay),
	}
}

// stateOf loads the state of a pipeline; PARALLEL executions have none.
func (m *model) stateOf(key execution.ScopeKey) *execution.PipelineState {
	if key.ExecutionID != "" {
		return &execution.PipelineState{}
	}
	return clone(m.state)
}

// stageAt finds a stage by its place in the definition, which differs from its
// place among those of a rollback.
func stageAt(e *execution.Execution, position int) *execution.Stage {
	for _, stage := range e.Stages {
		if stage.Position == position {
			return stage
		}
	}
	return nil
}

func coarse(times ...*time.Time) {
	for _, t := range times {
		if !t.IsZero() {
			*t = t.UTC().Truncate(time.Microsecond)
		}
	}
}

// live loads a scope.
func (m *model) live(key execution.ScopeKey) []*execution.Execution {
	all := m.rows(key)
	for i, e := range all {
		all[i] = clone(e)
	}
	return all
}

// rows are the live executions of a scope, not to be changed.
func (m *model) rows(key execution.ScopeKey) []*execution.Execution {
	all := []*execution.Execution{}
	for _, e := range m.executions {
		if !e.Status.Terminal() && e.Scope() == key {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *execution.Execution) int { return int(a.Number - b.Number) })
	return all
}

// apply writes a change, row by row, and judges each step from the state before.
func (m *model) apply(t tester, key execution.ScopeKey, in engine.Input, c *execution.Change) {
	t.Helper()
	m.touched = touched(c)
	before := make(map[string]*execution.Execution, len(m.touched))
	for id := range m.touched {
		if e, ok := m.executions[id]; ok {
			before[id] = snapshot(e)
		}
	}
	for _, e := range c.Resumed {
		require.Contains(t, m.ended, e.ID, "%s is resumed though it did not end", e.ID)
		require.Contains(t, c.Updated, e)
		delete(m.ended, e.ID)
	}
	m.applyExecutions(t, c)
	m.applyParts(t, c)
	m.applyWork(t, c)
	if c.State != nil {
		require.Equal(t, key, c.Scope)
		require.Empty(t, key.ExecutionID, "a PARALLEL execution has no state to change")
		m.state = clone(c.State)
		for _, s := range m.state.Stages {
			if s.Transition != nil {
				coarse(&s.Transition.At)
			}
		}
	}
	for _, ev := range c.Events {
		require.NotContains(t, m.ended, ev.ExecutionID, "an event %s %s after the end", ev.Subject, ev.State)
	}
	m.events = append(m.events, c.Events...)
	m.edges(t, before, in, c)
	m.lines(t, before, c)
	for id := range m.touched {
		e := m.executions[id]
		if _, ok := m.ended[id]; !ok && e.Status.Terminal() {
			m.ended[id] = text(e)
			last := lastEvent(m.events, id)
			require.Equal(t, execution.SubjectExecution, last.Subject, "the last event of an execution is its end")
		}
	}
	m.replayed(t)
}

// snapshot copies what steps are judged by; rows are changed field by field.
func snapshot(e *execution.Execution) *execution.Execution {
	copied := *e
	copied.Stages = nil
	for _, stage := range e.Stages {
		stage := *stage
		actions := stage.Actions
		stage.Actions = nil
		for _, a := range actions {
			a := *a
			stage.Actions = append(stage.Actions, &a)
		}
		stage.Conditions = clone(&stage.StageDetails).Conditions
		copied.Stages = append(copied.Stages, &stage)
	}
	return &copied
}

// head is an execution without its stages, and alone a stage without its actions:
// their rows are written apart.
func head(e *execution.Execution) *execution.Execution {
	copied := *e
	copied.Stages = nil
	return clone(&copied)
}

func alone(s *execution.Stage) *execution.Stage {
	copied := *s
	copied.Actions = nil
	return clone(&copied)
}

// touched are the executions of which a change says anything.
func touched(c *execution.Change) map[string]bool {
	ids := make(map[string]bool)
	for _, e := range slices.Concat(c.Started, c.Updated) {
		ids[e.ID] = true
	}
	for _, s := range slices.Concat(c.NewStages, c.Stages) {
		ids[s.ExecutionID] = true
	}
	for _, a := range slices.Concat(c.NewActions, c.Actions) {
		ids[a.ExecutionID] = true
	}
	for _, ev := range c.Events {
		ids[ev.ExecutionID] = true
	}
	return ids
}

func (m *model) applyWork(t tester, c *execution.Change) {
	t.Helper()
	for _, id := range c.DoneAttempts {
		delete(m.leases, id)
	}
	for _, id := range c.DoneTurns {
		delete(m.turns, id)
	}
	for _, l := range c.Leases {
		lease := clone(l)
		coarse(&lease.QueuedAt, &lease.Until)
		require.NotContains(t, m.leases, lease.Attempt.ActionExecutionID, "a second attempt while the first is pending")
		m.leases[lease.Attempt.ActionExecutionID] = lease
	}
	for _, turn := range c.Turns {
		turn := clone(turn)
		coarse(&turn.DueAt)
		if turn.Kind != execution.TurnAbandon {
			m.turns[turn.ID] = turn
			continue
		}
		require.Empty(t, turn.ExecutionID, "an abandon would end with its execution")
		require.Empty(t, turn.Scope, "an abandon would end with its pipeline")
		require.NotNil(t, turn.Work)
		require.NotNil(t, turn.Abandon)
		m.abandons[turn.ID] = turn
	}
}

// abandonedRule is abandonedWork for a rule.
func (m *model) abandonedRule(t tester, r, now *execution.Rule, in engine.Input, c *execution.Change) {
	t.Helper()
	i := slices.IndexFunc(c.Turns, func(turn *execution.Turn) bool { return turn.ID == execution.AbandonTurnID(r.ID) })
	finish, answered := in.(engine.Finish)
	answered = answered && finish.ActionExecutionID == r.ID && !finish.Unanswered
	if r.Work != pipeline.WorkTurn || r.Status == now.Status || answered {
		require.Negative(t, i, "the work of rule %s is abandoned though nothing ended it", r.Name)
		return
	}
	require.GreaterOrEqual(t, i, 0, "rule %s became %s by %T, and its work goes on", r.Name, now.Status, in)
	require.Equal(t, string(now.State), string(c.Turns[i].Work.State), "the newest state")
	require.Equal(t, r.Name, c.Turns[i].Work.Action.Name)
}

// abandonedWork checks that the service is told of work exactly where it ends without its
// executor's answer, with the newest state that the executor told of.
func (m *model) abandonedWork(t tester, a, now *execution.Action, in engine.Input, c *execution.Change) {
	t.Helper()
	i := slices.IndexFunc(c.Turns, func(turn *execution.Turn) bool { return turn.ID == execution.AbandonTurnID(a.ID) })
	finish, answered := in.(engine.Finish)
	answered = answered && finish.ActionExecutionID == a.ID && !finish.Unanswered
	if a.Work != pipeline.WorkTurn || a.Status == now.Status || answered {
		require.Negative(t, i, "the work of %s is abandoned though nothing ended it", a.Name)
		return
	}
	require.GreaterOrEqual(t, i, 0, "%s became %s by %T, and its work goes on", a.Name, now.Status, in)
	work := c.Turns[i].Work
	require.Equal(t, a.ID, work.ActionExecutionID)
	require.Equal(t, string(now.Details.State), string(work.State), "the newest state")
	require.Equal(t, now.Details.Configuration, work.Action.Configuration)
}

func lastEvent(events []execution.Event, id string) execution.Event {
	for _, ev := range slices.Backward(events) {
		if ev.ExecutionID == id {
			return ev
		}
	}
	return execution.Event{}
}

func (m *model) applyExecutions(t tester, c *execution.Change) {
	t.Helper()
	for _, e := range c.Started {
		require.NotContains(t, m.executions, e.ID)
		row := head(e)
		coarse(&row.StartedAt, &row.UpdatedAt, &row.EndedAt)
		m.executions[e.ID] = row
	}
	for _, e := range c.Updated {
		row := m.executions[e.ID]
		require.NotNil(t, row)
		copied := head(e)
		row.Status, row.Summary, row.Revisions, row.Stop = copied.Status, copied.Summary, copied.Revisions, copied.Stop
		row.Cancel, row.Attempt = copied.Cancel, copied.Attempt
		row.UpdatedAt, row.EndedAt = copied.UpdatedAt, copied.EndedAt
		coarse(&row.UpdatedAt, &row.EndedAt)
	}
}

// applyParts writes changed rows before new ones, so that new actions are judged
// by how those before them ended.
func (m *model) applyParts(t tester, c *execution.Change) {
	t.Helper()
	for _, s := range c.NewStages {
		row := alone(s.Stage)
		coarse(&row.ArrivedAt, &row.StartedAt, &row.EndedAt)
		e := m.executions[s.ExecutionID]
		if e.Type == pipeline.TypeRollback {
			require.Empty(t, e.Stages, "a rollback runs one stage")
		} else {
			require.Equal(t, len(e.Stages), row.Position, "stages are never left out")
		}
		e.Stages = append(e.Stages, row)
	}
	for _, s := range c.Stages {
		row, copied := stageAt(m.executions[s.ExecutionID], s.Position), alone(s.Stage)
		row.Status, row.StartedAt, row.EndedAt, row.Entry = copied.Status, copied.StartedAt, copied.EndedAt, copied.Entry
		row.StageDetails = copied.StageDetails
		coarse(&row.StartedAt, &row.EndedAt)
	}
	for _, a := range c.Actions {
		stage, copied := stageAt(m.executions[a.ExecutionID], a.Stage), clone(a.Action)
		i := slices.IndexFunc(stage.Actions, func(row *execution.Action) bool { return row.ID == a.ID })
		require.GreaterOrEqual(t, i, 0)
		row := stage.Actions[i]
		row.Attempt, row.Status, row.Retried, row.EndedAt, row.Details = copied.Attempt, copied.Status, copied.Retried, copied.EndedAt, copied.Details
		coarse(&row.EndedAt)
	}
	for _, a := range c.NewActions {
		row := clone(a.Action)
		coarse(&row.StartedAt, &row.EndedAt)
		stage := stageAt(m.executions[a.ExecutionID], a.Stage)
		for _, other := range stage.Actions {
			if row.Retried || other.Retried {
				continue
			}
			require.NotEqual(t, other.Name, row.Name, "action %s runs twice", row.Name)
			require.False(t, other.RunOrder < row.RunOrder && other.Status != pipeline.Succeeded,
				"%s starts though %s before it is %s", row.Name, other.Name, other.Status)
		}
		stage.Actions = append(stage.Actions, row)
	}
}

// edges checks that statuses moved as they may.
func (m *model) edges(t tester, before map[string]*execution.Execution, in engine.Input, c *execution.Change) {
	t.Helper()
	for id, old := range before {
		e := m.executions[id]
		resumed := slices.ContainsFunc(c.Resumed, func(r *execution.Execution) bool { return r.ID == id })
		if resumed {
			require.Contains(t, []pipeline.Status{pipeline.Failed, pipeline.Stopped}, old.Status)
			require.Equal(t, old.Attempt+1, e.Attempt)
			switch in.(type) {
			case engine.Retry, engine.Override:
			default:
				require.Failf(t, "resumed", "%s by %T", id, in)
			}
		} else {
			require.Equal(t, old.Attempt, e.Attempt)
		}
		if e.Status != old.Status && !resumed {
			require.False(t, old.Status.Terminal(), "execution %s left %s for %s", id, old.Status, e.Status)
			require.False(t, old.Status == pipeline.Stopping && e.Status != pipeline.Stopped, "Stopping became %s", e.Status)
		}
		for i, stage := range old.Stages {
			last := i == len(old.Stages)-1
			require.False(t, stage.Status.Terminal() && stage.Status != e.Stages[i].Status && (!resumed || !last), "a stage left %s", stage.Status)
			require.False(t, stage.Entered() && stage.StartedAt != e.Stages[i].StartedAt && (!resumed || !last), "a stage was entered twice")
			for j, a := range stage.Actions {
				m.edge(t, a, e.Stages[i].Actions[j], in)
				m.abandonedWork(t, a, e.Stages[i].Actions[j], in, c)
			}
			for j, condition := range stage.Conditions {
				now := e.Stages[i].Conditions[j]
				_, overridden := in.(engine.Override)
				require.False(t, condition.Status.Terminal() && now.Status != condition.Status && !overridden, "a condition left %s", condition.Status)
				for k, rule := range condition.Rules {
					m.abandonedRule(t, rule, now.Rules[k], in, c)
				}
			}
		}
	}
}

func (m *model) edge(t tester, a, now *execution.Action, in engine.Input) {
	t.Helper()
	require.False(t, a.Status.Terminal() && a.Status != now.Status, "an action left %s", a.Status)
	require.False(t, a.Retried && !now.Retried, "a replaced action counts again")
	if finish, ok := in.(engine.Finish); ok && finish.ActionExecutionID == a.ID && now.Status != a.Status {
		want := map[pipeline.Work]int{pipeline.WorkAttempt: a.Attempt, pipeline.WorkTurn: 0}
		require.Contains(t, want, a.Work)
		require.Equal(t, want[a.Work], finish.Attempt, "attempt %d was ended by the result of another", a.Attempt)
	}
	if now.Attempt != a.Attempt {
		lost, ok := in.(engine.Lost)
		require.True(t, ok && lost.ActionExecutionID == a.ID && now.Attempt == a.Attempt+1,
			"action %s went from attempt %d to %d by %T", a.Name, a.Attempt, now.Attempt, in)
	}
}

// lines checks who enters a stage: only the head of those who waited.
func (m *model) lines(t tester, before map[string]*execution.Execution, c *execution.Change) {
	t.Helper()
	for name, queue := range m.queues {
		m.queues[name] = slices.DeleteFunc(queue, func(id string) bool { return m.executions[id].Status.Terminal() })
	}
	for _, ev := range c.Events {
		e := m.executions[ev.ExecutionID]
		if ev.Subject != execution.SubjectStage || ev.State != execution.EventStarted || e.Mode == pipeline.Parallel {
			continue
		}
		if e.Type == pipeline.TypeRollback {
			// It enters before anyone who waits.
			continue
		}
		if queue := m.queues[ev.Stage]; len(queue) > 0 && !e.Status.Terminal() {
			require.Equal(t, queue[0], e.ID, "%s entered stage %s out of turn: %v", e.ID, ev.Stage, queue)
			m.queues[ev.Stage] = queue[1:]
		}
	}
	var arrived []*execution.Execution
	for id := range m.touched {
		e := m.executions[id]
		if current := e.Current(); current.Waiting() && (before[id] == nil || len(before[id].Stages) < len(e.Stages)) {
			arrived = append(arrived, e)
		}
	}
	slices.SortFunc(arrived, func(a, b *execution.Execution) int { return int(a.Current().Arrival - b.Current().Arrival) })
	for _, e := range arrived {
		m.queues[e.Current().Name] = append(m.queues[e.Current().Name], e.ID)
	}
}

// check is what holds after every decision.
func (m *model) check(t tester) {
	t.Helper()
	leases, turns := make(map[string]int), make(map[string]execution.TurnKind)
	holders, waiters := make(map[string]string), make(map[string]int)
	for _, id := range slices.Sorted(maps.Keys(m.executions)) {
		e := m.executions[id]
		if e.Status.Terminal() && !m.touched[id] {
			continue
		}
		if e.Status.Terminal() {
			same(t, m.ended[id], text(e), "an execution changed after its end")
			m.checkEnded(t, e)
			continue
		}
		stage := e.Current()
		require.NotNil(t, stage)
		switch {
		case stage.Waiting():
			require.NotEqual(t, pipeline.Parallel, e.Mode, "a PARALLEL execution waits for a stage")
			if e.Mode == pipeline.Superseded {
				waiters[stage.Name]++
			}
		case stage.Live():
			if e.Mode != pipeline.Parallel {
				require.NotContains(t, holders, stage.Name, "two executions in stage %s", stage.Name)
				holders[stage.Name] = id
			}
			m.wantedWork(t, e, leases, turns)
		default:
			require.Failf(t, "stuck", "execution %s is neither in a stage nor in front of one", show(e))
		}
	}
	for name, n := range waiters {
		require.Equal(t, 1, n, "there is one place in front of stage %s", name)
	}
	for _, e := range m.executions {
		if current := e.Current(); !e.Status.Terminal() && current.Waiting() {
			if transition := m.state.Stage(current.Name).Transition; transition != nil && transition.Disabled {
				continue
			}
			require.Contains(t, holders, current.Name, "%s waits for a stage that nobody holds", show(e))
		}
	}
	require.Len(t, m.leases, len(leases), "attempts of nobody are pending")
	for id, number := range leases {
		require.Contains(t, m.leases, id, "an action runs without an attempt")
		require.Equal(t, number, m.leases[id].Attempt.Number)
	}
	require.Len(t, m.turns, len(turns), "turns of nobody are pending")
	for id, kind := range turns {
		require.Contains(t, m.turns, id, "nothing will ever move %s", id)
		require.Equal(t, kind, m.turns[id].Kind)
	}
}

// wantedWork collects the work that must be pending for a stage that is live.
func (m *model) wantedWork(t tester, e *execution.Execution, leases map[string]int, turns map[string]execution.TurnKind) {
	t.Helper()
	stage := e.Current()
	id := e.ID + "/" + strconv.Itoa(stage.Position)
	running := 0
	for _, a := range stage.Actions {
		if a.Status.Terminal() {
			continue
		}
		running++
		require.False(t, a.Retried, "a replaced action runs")
		require.LessOrEqual(t, a.Attempt, engine.MaxAttempts)
		switch a.Work {
		case pipeline.WorkAttempt:
			leases[a.ID] = a.Attempt
		case pipeline.WorkTurn:
			turns[a.ID] = execution.TurnAction
			require.False(t, m.turns[a.ID].DueAt.After(m.turns[a.ID].Work.Deadline), "%s is looked at only after its deadline", a.Name)
		case pipeline.WorkApproval:
			turns[a.ID] = execution.TurnExpire
			require.False(t, engine.Met(a.Details.Approval), "an approval stays open though it has all it needs")
		case pipeline.WorkImmediate, pipeline.WorkTimed:
			require.Failf(t, "stuck", "nothing will ever end %s", a.Name)
		}
	}
	if stage.Entry != nil && !engine.Met(stage.Entry) {
		require.Equal(t, execution.PhaseApproval, stage.Phase)
		turns[id] = execution.TurnExpire
		require.True(t, stage.Entry.ExpiresAt.Equal(m.turns[id].DueAt), "the expiry is due when the time is over")
		require.Zero(t, running, "actions run though nobody approved the entry")
		return
	}
	if stage.Phase == execution.PhaseActions {
		require.Positive(t, running, "%s is in a stage where nothing runs", show(e))
		return
	}
	require.Zero(t, running, "actions run in phase %s", stage.Phase)
	require.NotEmpty(t, stage.Conditions)
	for i, c := range stage.Conditions {
		require.Equal(t, i < len(stage.Conditions)-1, c.Status.Terminal(), "which condition is being checked?")
	}
	c := stage.Conditions[len(stage.Conditions)-1]
	kinds := map[execution.Phase]pipeline.ConditionKind{
		execution.PhaseBeforeEntry: pipeline.ConditionBeforeEntry, execution.PhaseOnSuccess: pipeline.ConditionOnSuccess,
		execution.PhaseOnFailure: pipeline.ConditionOnFailure,
	}
	require.Equal(t, kinds[stage.Phase], c.Kind)
	windows, commands := 0, 0
	for _, rule := range c.Rules {
		switch {
		case rule.Status.Terminal():
		case rule.Provider == ruleWindow:
			windows++
		case rule.Provider == ruleCommands && !rule.StartedAt.IsZero():
			commands++
			leases[rule.ID] = rule.Attempt
		case rule.Work == pipeline.WorkTurn && !rule.StartedAt.IsZero():
			commands++
			turns[rule.ID] = execution.TurnAction
			require.False(t, m.turns[rule.ID].DueAt.After(rule.Deadline), "rule %s is looked at only after its deadline", rule.Name)
		}
	}
	if windows > 0 {
		require.Zero(t, commands, "commands run though a window is closed")
		turns[id] = execution.TurnRecheck
	}
	require.Positive(t, windows+commands, "nothing will ever decide the condition of %s", show(e))
}

func (m *model) checkEnded(t tester, e *execution.Execution) {
	t.Helper()
	require.False(t, e.EndedAt.IsZero())
	stage := e.Current()
	require.True(t, stage.Status.Terminal(), "an ended execution is still in stage %s", stage.Name)
	if e.Status == pipeline.StatusSuperseded {
		require.True(t, !stage.Entered() || letsSupersede(stage), "superseded inside of a stage")
		require.Equal(t, pipeline.Superseded, e.Mode, "only SUPERSEDED executions give way")
	}
	for _, s := range e.Stages {
		for _, a := range s.Actions {
			require.True(t, a.Status.Terminal(), "action %s outlives its execution", a.Name)
			require.False(t, a.EndedAt.IsZero())
		}
		for _, c := range s.Conditions {
			require.True(t, c.Status.Terminal(), "a condition outlives its execution")
			require.False(t, c.EndedAt.IsZero())
			for _, rule := range c.Rules {
				require.True(t, rule.Status.Terminal(), "rule %s outlives its execution", rule.Name)
			}
		}
	}
}

// letsSupersede tells whether a stage ended in a wait that a newer execution may
// end.
func letsSupersede(stage *execution.Stage) bool {
	waits := func(approval *execution.Approval) bool {
		return approval != nil && !engine.Met(approval) &&
			!slices.ContainsFunc(approval.Requirements, func(r execution.Requirement) bool { return !r.Supersede })
	}
	if waits(stage.Entry) {
		return true
	}
	return slices.ContainsFunc(stage.Actions, func(a *execution.Action) bool {
		return a.Status == pipeline.Abandoned && waits(a.Details.Approval)
	})
}
