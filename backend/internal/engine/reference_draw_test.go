package engine_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// drain lets all come to an end: doors open, work ends well, times pass.
func (d *duel) drain() {
	for _, name := range stageNames() {
		if d.r.place(name).closed {
			d.step("enable " + name)
		}
	}
	for range 10000 {
		line := d.next()
		if line == "" {
			break
		}
		d.step(line)
	}
	for _, e := range d.r.all {
		require.False(d.w.t, e.live(), "execution %d never ends", e.number)
	}
}

func (d *duel) next() string {
	for _, e := range d.r.all {
		if names := e.runningNames(); len(names) > 0 {
			return fmt.Sprintf("ok %d %s", e.number, names[0])
		}
	}
	return d.due()
}

// due is the line of the turn that is due first, behind the wait for it.
func (d *duel) due() string {
	var first *execution.Turn
	for _, id := range slices.Sorted(maps.Keys(d.w.model.turns)) {
		if turn := d.w.model.turns[id]; turn.Kind != execution.TurnAction && (first == nil || turn.DueAt.Before(first.DueAt)) {
			first = turn
		}
	}
	if first == nil {
		return ""
	}
	if wait := first.DueAt.Sub(d.w.now.Truncate(time.Microsecond)); wait > 0 {
		d.step("wait " + wait.String())
	}
	e := d.w.model.executions[first.ExecutionID]
	if first.ID == entry(e) {
		if first.Kind == execution.TurnRecheck {
			return fmt.Sprintf("recheck %d", e.Number)
		}
		return fmt.Sprintf("expire %d", e.Number)
	}
	for _, stage := range e.Stages {
		for _, a := range stage.Actions {
			if a.ID == first.ID {
				return fmt.Sprintf("expire %d %s", e.Number, a.Name)
			}
		}
	}
	require.Failf(d.w.t, "a turn of nobody", "%s", first.ID)
	return ""
}

// runningNames are the actions and rules that a runner or a turn will answer for.
func (e *refExecution) runningNames() (names []string) {
	if !e.live() {
		return nil
	}
	for _, a := range e.stage().now() {
		if a.status == pipeline.InProgress && a.work != pipeline.WorkApproval {
			names = append(names, a.def.Name)
		}
	}
	if c := e.stage().condition(); c != nil {
		for _, rule := range c.rules {
			if rule.asked && rule.status == pipeline.InProgress {
				names = append(names, rule.def.Name)
			}
		}
	}
	return names
}

// inTurns tells whether an action or a rule runs in turns.
func (e *refExecution) inTurns(name string) bool {
	if rule := e.rule(name); rule != nil {
		return rule.polls()
	}
	return e.action(name).work == pipeline.WorkTurn
}

// draw chooses the next line, mostly one that does something.
func (d *duel) draw(t *rapid.T) string {
	var live, again, held, rolls, all, running, open, windows []*refExecution
	var back []string
	for _, e := range d.r.all {
		all = append(all, e)
		latest := e.stage().entered && (e.mode == pipeline.Parallel || d.r.place(e.stage().def.Name).latest == e)
		if latest && e.version == d.r.newest() && (e.status == pipeline.Failed || e.status == pipeline.Stopped || e.stage().count(pipeline.Failed) > 0) {
			again = append(again, e)
		}
		if c := e.stage().condition(); latest && c != nil && slices.Contains([]pipeline.Status{pipeline.InProgress, pipeline.Failed, pipeline.Errored}, c.status) {
			held = append(held, e)
		}
		for _, s := range e.stages {
			if s.place > 0 && s.status == pipeline.Succeeded && sameStage(e.def, d.r.versions[d.r.newest()-1], s.def.Name) {
				back = append(back, fmt.Sprintf("rollback %s %d", s.def.Name, e.number))
			}
		}
		if !e.live() {
			continue
		}
		live = append(live, e)
		if len(e.runningNames()) > 0 {
			running = append(running, e)
			if s := e.stage(); s.def.OnFailure != nil && d.r.place(s.def.Name).succeeded != nil {
				rolls = append(rolls, e)
			}
		}
		if len(e.openApprovals()) > 0 {
			open = append(open, e)
		}
		if e.stage().condition().waits() {
			windows = append(windows, e)
		}
	}
	pick := func(from []*refExecution) *refExecution { return rapid.SampledFrom(from).Draw(t, "execution") }
	stage := func() string { return rapid.SampledFrom(d.stages()).Draw(t, "stage") }
	type choice struct {
		weight int
		line   func() string
	}
	choices := []choice{{2, func() string { return "restart" }}}
	add := func(weight int, possible bool, line func() string) {
		if possible {
			choices = append(choices, choice{weight, line})
		}
	}
	room := len(all) < 14 && len(live) < 7 && (d.r.versions[d.r.newest()-1].Mode() != pipeline.Parallel || len(live) < 3)
	add(9, room, func() string {
		return "start " + rapid.SampledFrom([]string{"dora v=x", "dora v=x", "dora v=y", "dora"}).Draw(t, "variables")
	})
	add(5, room, func() string {
		d.step("start dora v=x")
		return d.through(d.r.all[len(d.r.all)-1], 5)
	})
	add(40, len(rolls) > 0, func() string {
		e := pick(rolls)
		return fmt.Sprintf("fail %d %s", e.number, e.runningNames()[0])
	})
	add(50, len(running) > 0, func() string {
		e := pick(running)
		name := rapid.SampledFrom(e.runningNames()).Draw(t, "name")
		verb := rapid.SampledFrom([]string{"ok", "ok", "ok", "ok", "ok", "ok", "fail", "fail", "fail", "broken", "lost", "lost"}).Draw(t, "verb")
		if e.inTurns(name) && rapid.Bool().Draw(t, "turn") {
			verb = rapid.SampledFrom([]string{"again", "again", "unanswered", "expire"}).Draw(t, "answer")
		}
		return fmt.Sprintf("%s %d %s", verb, e.number, name)
	})
	add(30, len(running)+len(open) > 0, func() string { return d.through(pick(append(running, open...)), 1+uniform(3).Draw(t, "through")) })
	add(4, len(all) > 0, func() string { return d.drawDead(t, pick(all)) })
	add(16, len(open) > 0, func() string {
		e := pick(open)
		line := fmt.Sprintf("%s %d %s", rapid.SampledFrom([]string{"approve", "approve", "approve", "reject"}).Draw(t, "verb"), e.number,
			rapid.SampledFrom([]string{"ann", "bob", "cy", "dora"}).Draw(t, "who"))
		if rapid.Bool().Draw(t, "named") {
			line += " " + e.stage().def.Name
			for _, a := range e.stage().now() {
				if a.approval != nil && a.status == pipeline.InProgress && rapid.Bool().Draw(t, "this") {
					return line + " " + a.def.Name
				}
			}
		}
		return line
	})
	add(2, true, func() string {
		return "require-rules " + rapid.SampledFrom([]string{"on", "off", "off"}).Draw(t, "required")
	})
	add(8, len(windows) > 0, func() string { return fmt.Sprintf("recheck %d", pick(windows).number) })
	add(6, len(open)+len(windows) > 0, d.due)
	add(3, len(open) > 0, func() string { return fmt.Sprintf("expire %d", pick(open).number) })
	add(3, true, func() string {
		return "wait " + rapid.SampledFrom([]string{"1m", "1h", "7h", "24h"}).Draw(t, "time")
	})
	add(6, len(live) > 0, func() string { return fmt.Sprintf("stop %d ann", pick(live).number) })
	add(4, len(live) > 0, func() string { return fmt.Sprintf("abandon %d ann", pick(live).number) })
	add(20, len(again) > 0, func() string { return d.drawRetry(t, pick(again)) })
	add(4, len(all) > 0, func() string { return d.drawRetry(t, pick(all)) })
	add(12, len(back) > 0 && len(all) < 14, func() string { return rapid.SampledFrom(back).Draw(t, "back") })
	add(3, len(all) > 0 && len(all) < 14, func() string { return fmt.Sprintf("rollback %s %d", stage(), pick(all).number) })
	add(14, len(held) > 0, func() string { return d.drawOverride(t, pick(held)) })
	add(3, len(all) > 0, func() string { return d.drawOverride(t, pick(all)) })
	add(1, len(all) > 0, func() string {
		kind := rapid.SampledFrom([]string{"before-entry", "on-success", "on-failure"}).Draw(t, "kind")
		return fmt.Sprintf("override %d %s %s \"fine", pick(all).number, stage(), kind)
	})
	doors := d.r.versions[d.r.newest()-1].Mode() != pipeline.Parallel
	add(3, doors, func() string { return "disable " + stage() + ` "holidays` })
	add(4, doors, func() string { return "enable " + stage() })
	add(2, d.r.newest() < 3, func() string {
		mode := strings.ToLower(string(d.r.versions[0].Mode()))
		line := "publish " + rapid.SampledFrom([]string{"", "cancel "}).Draw(t, "update")
		if rapid.IntRange(0, 3).Draw(t, "other") == 3 {
			mode = rapid.SampledFrom([]string{"superseded", "queued", "parallel"}).Draw(t, "mode")
			line += mode + " "
		} else {
			line += mode + " "
		}
		if rapid.Bool().Draw(t, "edit") {
			d.text = edited(t, d.text, mode)
		} else {
			d.text = drawText(t, mode)
		}
		return line + d.text
	})
	total := 0
	for _, c := range choices {
		total += c.weight
	}
	n := uniform(total).Draw(t, "choice")
	for _, c := range choices {
		if n -= c.weight; n < 0 {
			return c.line()
		}
	}
	return "restart"
}

// through lets an execution pass some stages.
func (d *duel) through(e *refExecution, stages int) string {
	for until := len(e.stages) + stages; e.live() && len(e.stages) < until; {
		var line string
		switch names, open := e.runningNames(), e.openApprovals(); {
		case len(names) > 0:
			line = fmt.Sprintf("ok %d %s", e.number, names[0])
		case len(open) > 0 && d.r.now.Before(open[0].until):
			line = fmt.Sprintf("approve %d p%d %s", e.number, len(open[0].agreed), e.stage().def.Name)
			for _, a := range e.stage().now() {
				if a.approval == open[0] {
					line += " " + a.def.Name
				}
			}
		default:
			return "restart"
		}
		d.step(line)
	}
	return "restart"
}

// uniform draws from 0 to n-1; integers of rapid are mostly small ones.
func uniform(n int) *rapid.Generator[int] {
	return rapid.Custom(func(t *rapid.T) int {
		drawn := 0
		for range 12 {
			drawn *= 2
			if rapid.Bool().Draw(t, "bit") {
				drawn++
			}
		}
		return drawn * n >> 12
	})
}

// stages are those of the newest version.
func (d *duel) stages() (all []string) {
	for _, stage := range d.r.versions[d.r.newest()-1].Stages {
		all = append(all, stage.Name)
	}
	return all
}

// drawDead is work that is over, or of no such kind.
func (d *duel) drawDead(t *rapid.T, e *refExecution) string {
	var names []string
	seen := make(map[string]int)
	for _, s := range e.stages {
		for _, a := range s.actions {
			seen[a.def.Name]++
			names = append(names, fmt.Sprintf("%s#%d", a.def.Name, seen[a.def.Name]))
		}
	}
	if len(names) == 0 {
		return fmt.Sprintf("recheck %d", e.number)
	}
	name := rapid.SampledFrom(names).Draw(t, "name")
	switch verb := rapid.SampledFrom([]string{"ok", "fail", "lost", "again", "unanswered", "late", "expire"}).Draw(t, "verb"); verb {
	case "late":
		return fmt.Sprintf("late %d %s %d", e.number, name, rapid.IntRange(0, 3).Draw(t, "attempt"))
	default:
		return fmt.Sprintf("%s %d %s", verb, e.number, name)
	}
}

func (d *duel) drawRetry(t *rapid.T, e *refExecution) string {
	line := fmt.Sprintf("retry %d", e.number)
	switch rapid.IntRange(0, 5).Draw(t, "named") {
	case 0:
		line += " " + rapid.SampledFrom(stageNames()).Draw(t, "stage")
	case 1, 2:
		line += " " + e.stage().def.Name
	}
	return line + rapid.SampledFrom([]string{"", " all"}).Draw(t, "mode")
}

func (d *duel) drawOverride(_ *rapid.T, e *refExecution) string {
	kind := "before-entry"
	if c := e.stage().condition(); c != nil {
		kind = strings.ReplaceAll(strings.ToLower(string(c.kind)), "_", "-")
	}
	return fmt.Sprintf("override %d %s %s \"fine", e.number, e.stage().def.Name, kind)
}

// edited adds a stage to a definition or takes one away, and leaves the others as they
// are.
func edited(t *rapid.T, text, mode string) string {
	stages := strings.Split(text, " | ")
	at := rapid.IntRange(0, len(stages)-1).Draw(t, "at")
	for _, name := range stageNames() {
		if !slices.ContainsFunc(stages, func(s string) bool { return strings.HasPrefix(s, name) }) && rapid.Bool().Draw(t, "insert") {
			conditions := drawConditions(t, strings.ToLower(name), mode != "parallel")
			return strings.Join(slices.Insert(stages, at, name+conditions+": "+strings.ToLower(name)+"1"), " | ")
		}
	}
	if len(stages) > 2 && rapid.Bool().Draw(t, "delete") {
		stages = slices.Delete(stages, at, at+1)
	}
	return strings.Join(stages, " | ")
}

// drawText makes 2 to 5 stages, whose order may differ between versions, with
// actions of all kinds and conditions.
func drawText(t *rapid.T, mode string) string {
	order := rapid.Permutation(stageNames()).Draw(t, "stages")[:rapid.IntRange(2, 5).Draw(t, "count")]
	var stages, earlier []string
	for _, name := range order {
		var groups []string
		most := 2
		if mode == "parallel" && rapid.IntRange(0, 4).Draw(t, "wide") == 4 {
			most = 8
		}
		n := 0
		for range rapid.SampledFrom([]int{1, 1, 1, 2, 3}).Draw(t, "groups") {
			var actions, made []string
			for range rapid.IntRange(1, most).Draw(t, "actions") {
				n++
				action := fmt.Sprintf("%s%d", strings.ToLower(name), n)
				word := rapid.SampledFrom([]string{"", "", "", "", "", "~", "?", "?"}).Draw(t, "kind") + action
				if rapid.IntRange(0, 30).Draw(t, "unknown") == 30 {
					word = "!" + action
				}
				if rapid.IntRange(0, 3).Draw(t, "lost") == 3 {
					word += "*"
				}
				if len(earlier) > 0 && rapid.IntRange(0, 3).Draw(t, "takes") == 3 {
					word += "<" + rapid.SampledFrom(earlier).Draw(t, "from")
				}
				if word[0] != '?' {
					made = append(made, action)
				}
				actions = append(actions, word)
			}
			earlier = append(earlier, made...)
			groups = append(groups, strings.Join(actions, " "))
		}
		conditions := drawConditions(t, strings.ToLower(name), mode != "parallel")
		stages = append(stages, name+conditions+": "+strings.Join(groups, "; "))
	}
	return strings.Join(stages, " | ")
}

func drawConditions(t *rapid.T, stage string, rollback bool) string {
	rules := func(kind string) string {
		some := rapid.SliceOfN(rapid.SampledFrom([]string{
			"v=x", "v=x", "v=x", "v=x", "v=y", "w9-17", "w9-17", "w0-23", "w16-20", "w9-17/600", "never", "nobody", "$" + stage + kind, "~" + stage + kind + "p",
		}), 1, 2).Draw(t, "rules")
		return strings.Join(slices.Compact(some), " ")
	}
	result := func(results ...string) string {
		if rollback {
			results = append(results, "rollback", "rollback")
		}
		return " " + rapid.SampledFrom(results).Draw(t, "result")
	}
	if rollback && uniform(4).Draw(t, "skips") == 3 {
		// Stages that pass, fail and are rolled back: what is drawn freely seldom gets there.
		before := rapid.SampledFrom([]string{"", "before v=x fail, ", "before w9-17 fail, ", "before w0-23 skip, "}).Draw(t, "gate")
		success := rapid.SampledFrom([]string{"", "", "success v=x rollback, ", "success w9-17 v=x rollback, "}).Draw(t, "smoke")
		skip := rapid.SampledFrom([]string{"conditions", "approvals", "conditions approvals"}).Draw(t, "skip")
		return " (" + before + success + "failure rollback, skip " + skip + ")"
	}
	var all []string
	switch uniform(10).Draw(t, "before") {
	case 8, 9:
		all = append(all, "before "+rules("b")+" fail")
	case 7:
		all = append(all, "before "+rapid.SampledFrom([]string{"v=x", "v=y", "v=x v=y"}).Draw(t, "rules")+" skip")
	}
	if uniform(4).Draw(t, "success") == 3 {
		all = append(all, "success "+rules("s")+result("fail"))
	}
	switch uniform(10).Draw(t, "failure") {
	case 4:
		all = append(all, "failure retry")
	case 5:
		all = append(all, "failure retry all")
	case 6, 7:
		all = append(all, "failure"+result("fail"))
	case 8:
		all = append(all, "failure "+rules("f")+result("fail"))
	case 9:
		all = append(all, "failure retry "+rules("f")+result("fail"))
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}

// drawGuards makes approval rules of entries and of actions.
func drawGuards(t *rapid.T) (lines []string) {
	rule := func(of string) {
		line := fmt.Sprintf("guard %s %d", of, rapid.IntRange(1, 2).Draw(t, "needs"))
		line += rapid.SampledFrom([]string{"", " supersede", " supersede"}).Draw(t, "newer")
		lines = append(lines, line+rapid.SampledFrom([]string{"", "", " 3h"}).Draw(t, "expires"))
	}
	for _, name := range stageNames() {
		if rapid.IntRange(0, 5).Draw(t, "entry") == 5 {
			rule(name + "/")
		}
		for n := 1; n <= 3; n++ {
			if rapid.IntRange(0, 2).Draw(t, "action") == 2 {
				rule(fmt.Sprintf("%s/%s%d", name, strings.ToLower(name), n))
			}
		}
	}
	return lines
}
