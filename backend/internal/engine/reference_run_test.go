package engine_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// TestReference takes random pipelines through random inputs, and the engine must
// do what reference says. A failure shows the script that led to it, as script
// reads it: "first" and "guard" lines say how it begins.
func TestReference(t *testing.T) {
	t.Parallel()
	var steps atomic.Int64
	verbs := &tally{counts: make(map[string]int)}
	rapid.Check(t, func(t *rapid.T) {
		d := newDuel(t)
		d.verbs = verbs
		t.Repeat(map[string]func(*rapid.T){"input": func(t *rapid.T) {
			if len(d.lines) < d.begun+mostLines {
				d.step(d.draw(t))
			}
		}})
		d.drain()
		steps.Add(int64(len(d.lines)))
		verbs.endings(d.r)
	})
	t.Logf("%d steps: %s", steps.Load(), verbs)
}

// tally counts what a test saw, to tell whether it sees enough.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *tally) add(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[what]++
}

// endings counts how stages, conditions and executions ended.
func (t *tally) endings(r *reference) {
	for _, e := range r.all {
		t.add("execution " + string(e.status))
		if e.target != nil && !e.manual {
			t.add("automatic rollback")
			if e.version != e.target.version {
				t.add("automatic rollback over an edit")
			}
			if e.skips() != (pipeline.OnRollback{}) {
				t.add("automatic rollback that skips")
			}
		}
		if e.target != nil && e.manual && e.version != e.target.version {
			t.add("manual rollback over an edit")
		}
		for _, s := range e.stages {
			if s.entered {
				t.add("stage " + string(s.status))
			}
			if s.auto > 0 {
				t.add("automatic retry")
			}
			if s.entered && e.status == pipeline.StatusSuperseded && s == e.stage() {
				t.add("superseded inside")
			}
			for _, c := range s.conditions {
				t.add(string(c.kind) + " " + string(c.status))
				for _, rule := range c.rules {
					if rule.told {
						t.add("abandon of rule " + string(rule.status))
					}
				}
			}
			for _, a := range s.actions {
				if a.told {
					t.add("abandon of " + string(a.status))
				}
				if a.toldLate {
					t.add("late abandon")
				}
			}
		}
	}
}

func (t *tally) String() string {
	var out []string
	for _, verb := range slices.Sorted(maps.Keys(t.counts)) {
		out = append(out, fmt.Sprintf("%s %d", verb, t.counts[verb]))
	}
	return strings.Join(out, ", ")
}

// duel is world and reference side by side.
type duel struct {
	w     *world
	r     *reference
	lines []string
	// begun is how many of the lines say how the script begins.
	begun int
	// text is the newest version.
	text  string
	verbs *tally
}

// traced adds to what failed the script that led to it.
type traced struct {
	tester
	d *duel
}

func (t traced) Errorf(format string, args ...any) {
	t.tester.Errorf("%s\nafter the script\n%s", fmt.Sprintf(format, args...), strings.Join(t.d.lines, "\n"))
}

func newDuel(t *rapid.T) *duel {
	mode := rapid.SampledFrom([]string{"superseded", "superseded", "queued", "queued", "parallel"}).Draw(t, "mode")
	text, lines := drawText(t, mode), drawGuards(t)
	// The world begins on a Sunday, when windows are closed.
	if rapid.Bool().Draw(t, "monday") {
		lines = append(lines, "wait 24h")
	}
	return begin(t, mode, text, lines)
}

func begin(t tester, mode, text string, lines []string) *duel {
	d := &duel{r: newReference(), text: text}
	def := define(text)
	def.ExecutionMode = pipeline.ExecutionMode(strings.ToUpper(mode))
	d.lines = append(d.lines, "first "+mode+" "+text)
	d.w = newWorld(traced{t, d}, def)
	d.r.versions = append(d.r.versions, def)
	d.r.now = d.w.now
	for _, line := range lines {
		d.step(line)
	}
	d.begun = len(d.lines)
	return d
}

func (d *duel) step(line string) {
	_ = d.take(line) // Whether it may be refused was looked at.
}

// take takes a line on both sides, and returns the engine's refusal.
func (d *duel) take(line string) error {
	d.lines = append(d.lines, line)
	err := d.w.step(line)
	d.r.now = d.w.now
	var refused refusal
	verb, rest, _ := strings.Cut(line, " ")
	if verb == "publish" {
		d.r.publish(d.w.versions[len(d.w.versions)-1])
		d.r.settle()
	} else {
		refused = d.r.step(line)
	}
	if d.verbs != nil {
		if d.verbs.add(verb); err != nil {
			d.verbs.add(verb + " refused")
		}
	}
	if len(refused) == 0 {
		require.NoError(d.w.t, err, "the reference accepts %s", line)
	} else {
		require.Error(d.w.t, err, "the reference refuses %s: %v", line, refused)
		require.True(d.w.t, slices.ContainsFunc(refused, func(known error) bool { return errors.Is(err, known) }),
			"%s is refused with %q, and not with one of %v", line, err, refused)
	}
	require.Equal(d.w.t, picture(d.r.rows(), d.r.state()), picture(d.w.rows(), d.w.model.state), "the engine does not do what the reference does")
	require.Equal(d.w.t, d.r.abandons(), d.w.abandons(), "the engine does not abandon what the reference does")
	d.timely(verb, rest)
	d.explained()
	return err
}

// explained checks that everybody who waits is told all that they wait for.
func (d *duel) explained() {
	work := engine.Work{Leases: d.w.model.leases, Turns: d.w.model.turns}
	for _, e := range d.r.all {
		if !e.live() {
			continue
		}
		x := d.w.execution(e.number)
		scope := d.w.memory[x.Scope()]
		if scope == nil {
			continue
		}
		var told []string
		for _, reason := range engine.Explain(scope, x.ID, work, d.w.now) {
			kind := reason.Kind
			if kind == engine.WaitTimer {
				kind = engine.WaitAction
			}
			told = append(told, string(kind))
		}
		slices.Sort(told)
		require.Equal(d.w.t, d.r.waitsFor(e), told, "what execution %d waits for", e.number)
	}
}

// timely checks that who waits for a window is looked at in time: when the windows
// are open together or a rule's time is over, and not over and over.
func (d *duel) timely(verb, rest string) {
	for _, e := range d.r.all {
		if !e.live() || !e.stage().condition().waits() {
			continue
		}
		c := e.stage().condition()
		at := c.rules[0].deadline
		for _, rule := range c.rules {
			if rule.def.Provider == ruleWindow && rule.deadline.Before(at) {
				at = rule.deadline
			}
		}
		together := d.r.now
		for moved := true; moved && together.Before(at); {
			moved = false
			for _, rule := range c.rules {
				if rule.def.Provider != ruleWindow {
					continue
				}
				if opens, _ := opening(rule.def, together); opens.After(together) {
					together, moved = opens, true
				}
			}
		}
		if together.Before(at) {
			at = together
		}
		x := d.w.execution(e.number)
		turn := d.w.model.turns[entry(x)]
		require.NotNil(d.w.t, turn)
		require.False(d.w.t, turn.DueAt.After(at) && at.After(d.r.now), "execution %d is looked at again only at %s, it should be at %s", e.number, turn.DueAt, at.UTC())
		if verb == "recheck" && rest == strconv.FormatInt(e.number, 10) {
			require.True(d.w.t, turn.DueAt.After(d.w.now.Truncate(time.Microsecond)), "execution %d is checked again at once", e.number)
		}
	}
}

func (w *world) abandons() (all []string) {
	for _, e := range w.rows() {
		for _, s := range e.Stages {
			told := func(what, id string, i int) {
				told, late := w.model.abandons[execution.AbandonTurnID(id)], w.model.abandons[execution.LateAbandonTurnID(id)]
				all = append(all, abandons(e.Number, what, s.Name, i, told != nil, late != nil)...)
			}
			for i, a := range s.Actions {
				told("action", a.ID, i)
			}
			for i, c := range s.Conditions {
				for _, rule := range c.Rules {
					told("rule "+rule.Name, rule.ID, i)
				}
			}
		}
	}
	return all
}

func (w *world) rows() (all []*execution.Execution) {
	for n := int64(1); n <= w.count; n++ {
		all = append(all, w.execution(n))
	}
	return all
}

// picture writes all that the engine and the reference must agree on.
func picture(executions []*execution.Execution, state *execution.PipelineState) string {
	var out strings.Builder
	for _, e := range executions {
		out.WriteString(pictureOf(e) + "\n")
	}
	for _, name := range stageNames() {
		in := ""
		var waiting []*execution.Execution
		for _, e := range executions {
			stage := e.Current()
			if stage.Name != name || e.Status.Terminal() || e.Mode == pipeline.Parallel {
				continue
			}
			if stage.Live() {
				in += fmt.Sprintf(" %d", e.Number)
			} else {
				waiting = append(waiting, e)
			}
		}
		slices.SortStableFunc(waiting, func(a, b *execution.Execution) int { return int(a.Current().Arrival - b.Current().Arrival) })
		fmt.Fprintf(&out, "stage %s: in it%s; waiting", name, in)
		for _, e := range waiting {
			fmt.Fprintf(&out, " %d", e.Number)
		}
		of := state.Stage(name)
		passage := func(p *execution.Passage) string {
			if p == nil {
				return "-"
			}
			return fmt.Sprintf("%d of version %d", p.Number, p.Version)
		}
		fmt.Fprintf(&out, "; closed %t; latest %s; succeeded %s\n", of.Transition != nil && of.Transition.Disabled, passage(of.Latest), passage(of.Succeeded))
	}
	return out.String()
}

func pictureOf(e *execution.Execution) string {
	out := fmt.Sprintf("%d version %d %s %s attempt %d", e.Number, e.Version, e.Mode, e.Status, e.Attempt)
	if e.Type == pipeline.TypeRollback {
		out += fmt.Sprintf(" rolls back to %d by %s", e.Rollback.TargetNumber, e.Trigger.Type)
	}
	if e.Cancel != nil && e.Status == pipeline.InProgress {
		out += " cancelling"
	}
	for _, s := range e.Stages {
		out += fmt.Sprintf("\n   %s: %s", s.Name, s.Status)
		if !s.Entered() {
			continue
		}
		if !s.Status.Terminal() {
			out += " in " + string(s.Phase)
		}
		retries := execution.Retries{}
		if s.Retries != nil {
			retries = *s.Retries
		}
		out += fmt.Sprintf(", retries %d+%d", retries.Automatic, retries.Manual)
		for _, c := range s.Conditions {
			out += fmt.Sprintf(", %s %s", c.Kind, c.Status)
			for _, rule := range c.Rules {
				out += fmt.Sprintf(" %s=%s", rule.Name, rule.Status)
			}
		}
		for _, a := range s.Actions {
			out += fmt.Sprintf("\n      %s=%s attempt %d", a.Name, a.Status, a.Attempt)
			if a.Retried {
				out += " retried"
			}
		}
	}
	return out
}
