package crashtest

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/window"
)

// The checks of the chaos have to find what they look for, which a healthy server
// never shows them.

// declaredShort is a pipeline of two stages with a command in each.
func declaredShort() []*headracev1.Stage {
	command := func(name, lost string) []*headracev1.Action {
		return []*headracev1.Action{{Name: name, Provider: "Commands", OnLost: lost}}
	}
	return []*headracev1.Stage{
		{Name: "A", Actions: command("a", "retry")},
		{Name: "B", Actions: command("b", "fail")},
	}
}

// events reads one event a line: the number of the execution, what it is about
// (nothing for the execution, A for a stage, A/a/1 for an action in its attempt), the
// state, and the message or, of an action, the code.
func events(t *testing.T, text string) (all []numbered) {
	t.Helper()
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		number, err := strconv.ParseInt(fields[0], 10, 64)
		require.NoError(t, err, line)
		ev := &headracev1.Event{Position: int64(len(all) + 1), ExecutionAttempt: 1, Subject: headracev1.EventSubject_EVENT_SUBJECT_PIPELINE_EXECUTION}
		rest := fields[1:]
		if rest[0] != strings.ToUpper(rest[0]) || len(rest[0]) == 1 {
			part := strings.Split(rest[0], "/")
			ev.Subject, ev.Stage, rest = headracev1.EventSubject_EVENT_SUBJECT_STAGE_EXECUTION, part[0], rest[1:]
			if len(part) == 3 {
				attempt, err := strconv.ParseInt(part[2], 10, 32)
				require.NoError(t, err, line)
				ev.Subject, ev.Action, ev.ActionExecutionId, ev.Attempt = headracev1.EventSubject_EVENT_SUBJECT_ACTION_EXECUTION, part[1], part[1], int32(attempt)
			}
		}
		ev.State, ev.Message = rest[0], strings.Join(rest[1:], " ")
		if ev.Action != "" {
			ev.ExecutionResult = &headracev1.ActionExecutionResult{ErrorCode: ev.Message}
		}
		all = append(all, numbered{number, ev})
	}
	return all
}

func TestHistoriesThatCannotBe(t *testing.T) {
	t.Parallel()
	const whole = "1 STARTED\n1 A STARTED\n1 A/a/1 STARTED\n1 A/a/1 LOST\n1 A/a/2 STARTED\n1 A/a/2 SUCCEEDED\n1 A SUCCEEDED\n" +
		"1 B STARTED\n1 B/b/1 STARTED\n1 B/b/1 SUCCEEDED\n1 B SUCCEEDED\n1 SUCCEEDED"
	check := func(t *testing.T, text string) error {
		t.Helper()
		var own []*headracev1.Event
		for _, ev := range events(t, text) {
			own = append(own, ev.Event)
		}
		h, err := replay(declaredShort(), own)
		if err == nil {
			err = h.lossesAsDeclared()
		}
		return err
	}
	require.NoError(t, check(t, whole))
	all := strings.Split(whole, "\n")
	for i := range all {
		missing := append(append([]string{}, all[:i]...), all[i+1:]...)
		require.Error(t, check(t, strings.Join(missing, "\n")), "without %q", all[i])
		twice := append(append([]string{}, all[:i+1]...), all[i:]...)
		require.Error(t, check(t, strings.Join(twice, "\n")), "with %q twice", all[i])
	}
	for name, text := range map[string]string{
		"something follows the end":       whole + "\n1 B RESUMED",
		"it ends inside of a stage":       "1 STARTED\n1 A STARTED\n1 SUPERSEDED",
		"it fails where nothing failed":   "1 STARTED\n1 FAILED",
		"a stage is left out":             "1 STARTED\n1 B STARTED",
		"a loss fails what is to go on":   "1 STARTED\n1 A STARTED\n1 A/a/1 STARTED\n1 A/a/1 LOST\n1 A/a/1 FAILED RunnerLost\n1 A FAILED\n1 FAILED",
		"a stage ends over what runs":     "1 STARTED\n1 A STARTED\n1 A/a/1 STARTED\n1 A FAILED\n1 FAILED",
		"a stage without its action ends": "1 STARTED\n1 A STARTED\n1 A SUCCEEDED",
	} {
		require.Error(t, check(t, text), name)
	}
}

func TestOrdersThatCannotBe(t *testing.T) {
	t.Parallel()
	const queued, superseded = headracev1.ExecutionMode_EXECUTION_MODE_QUEUED, headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED
	const passed = "1 A SUCCEEDED\n1 B STARTED\n"
	const ends = "1 B SUCCEEDED\n1 SUCCEEDED\n"
	const start = "1 STARTED\n1 A STARTED\n2 STARTED\n3 STARTED\n"
	rest := func(n string) string {
		return n + " A STARTED\n" + n + " A FAILED\n" + n + " FAILED\n"
	}
	superseding := "3 STARTED\n2 SUPERSEDED superseded by execution 3 in front of stage A\n"
	for name, c := range map[string]struct {
		mode headracev1.ExecutionMode
		text string
		ok   bool
	}{
		"first come, first served":         {queued, start + passed + rest("2") + rest("3") + ends, true},
		"a stage holds two":                {queued, start + rest("2") + passed + rest("3") + ends, false},
		"one overtakes":                    {queued, start + passed + rest("3") + rest("2") + ends, false},
		"one is left waiting":              {queued, start + passed + rest("2") + ends, false},
		"one is left inside":               {queued, start + passed + rest("2") + rest("3"), false},
		"a number comes late":              {queued, "2 STARTED\n1 STARTED\n", false},
		"one stops waiting":                {queued, start + "2 STOPPED\n" + passed + rest("3") + ends, true},
		"the newest takes the place":       {superseded, "1 STARTED\n1 A STARTED\n2 STARTED\n" + superseding + passed + rest("3") + ends, true},
		"two keep waiting":                 {superseded, start + passed + rest("2") + rest("3") + ends, false},
		"an older one supersedes":          {superseded, "1 STARTED\n1 A STARTED\n2 STARTED\n2 SUPERSEDED superseded by execution 1 in front of stage A\n", false},
		"one is superseded inside":         {superseded, "1 STARTED\n1 A STARTED\n2 STARTED\n1 SUPERSEDED superseded by execution 2 in front of stage A\n", false},
		"one is superseded at an approval": {superseded, "1 STARTED\n1 A STARTED\n2 STARTED\n1 SUPERSEDED superseded by execution 2 at an approval of stage A\n", false},
	} {
		err := checkOrder(c.mode, declaredShort(), events(t, c.text))
		if c.ok {
			require.NoError(t, err, name)
		} else {
			require.Error(t, err, name)
		}
	}
}

func TestDecisionsThatCannotBe(t *testing.T) {
	t.Parallel()
	const ref = "refs/heads/main"
	commits := []string{"a", "b", "c", "d", "e"}
	// Each line is a decision: the ends of the move, S for one that starts an execution, else the reason, and how it was found.
	decisions := func(text string) (all []*headracev1.TriggerDecision) {
		for line := range strings.Lines(text) {
			fields := strings.Fields(line)
			d := &headracev1.TriggerDecision{Ref: ref, FromCommit: fields[0], ToCommit: fields[1], Outcome: headracev1.TriggerOutcome_TRIGGER_OUTCOME_NOT_STARTED}
			switch fields[2] {
			case "S":
				d.Outcome, d.Execution = headracev1.TriggerOutcome_TRIGGER_OUTCOME_STARTED, "e"
			case "STARTED_BEFORE":
				d.Outcome = headracev1.TriggerOutcome_TRIGGER_OUTCOME_DUPLICATE
			}
			d.Reason = fields[2]
			if d.FoundBy = "WEBHOOK"; len(fields) > 3 {
				d.FoundBy = fields[3]
			}
			all = append(all, d)
		}
		return all
	}
	require.NoError(t, checkEach(ref, commits, decisions("c e S\na b S\na b STARTED_BEFORE\nb c S\nb c REPEATED\nd e OVERTAKEN")))
	for name, text := range map[string]string{
		"a move starts twice":              "a b S\na b S\nb e S",
		"a move starts nothing":            "a b NO\nb e S",
		"a move is missing":                "a b S\nc e S",
		"the last move is missing":         "a b S\nb d S",
		"the first move is missing":        "b e S",
		"a move leads back":                "a c S\nc b S\nb e S",
		"two moves begin at one commit":    "a b S\nb e S\nb c S",
		"a decision is about no such head": "a b S\nb e S\nx y S",
	} {
		require.Error(t, checkEach(ref, commits, decisions(text)), name)
	}
	// b and d change web.
	for text, ok := range map[string]bool{
		"a b S\nb c NO\nc e S":                true,
		"a b COALESCED\nb c S\nc e S":         true,
		"a e S":                               true,
		"a b NO\nb c NO\nc e S":               false,
		"a b S\nb c S\nc e S":                 false,
		"a b S\nb c NO\nb c NO REPLAY\nc e S": true,
		"a b S\nb c NO\nb c S REPLAY\nc e S":  false,
		"a b COALESCED\nb c NO\nc e S":        false,
		"a b S\nb c NO\nc e COALESCED":        false,
		"a b S\nb c NO":                       false,
		"a b S\na b S\nb c NO\nc e S":         false,
		"a b S\nb c COALESCED\nc e NO":        false,
	} {
		err := checkFiles(ref, commits, decisions(text))
		if ok {
			require.NoError(t, err, text)
		} else {
			require.Error(t, err, text)
		}
	}
}

func TestRecordsThatCannotBe(t *testing.T) {
	t.Parallel()
	n, err := parseRecord("e a a 1 begins\ne a a 2 begins\ne a a 2 ends\n")
	require.NoError(t, err)
	for _, text := range []string{
		"e a a 1 begins\ne a a 1 begins\n", "e a a 1 begins\ne a a 1 ends\ne a a 1 ends\n", "e a a 1 ends\n", "e a a 1 begins\ne a a 1 ends\ne a a 1 begins\n", "torn",
	} {
		_, err := parseRecord(text)
		require.Error(t, err, text)
	}

	of := func(status, code string, attempt int32) *history {
		return &history{stages: []*stageHistory{{declared: declaredShort()[0], actions: []*actionHistory{
			{id: "a", name: "a", attempt: attempt, status: status, code: code},
		}}}}
	}
	require.ErrorContains(t, n.check(of("SUCCEEDED", "", 3)), "noted \"\"")
	require.ErrorContains(t, n.check(of("SUCCEEDED", "", 1)), "noted \"begins\"")
	require.ErrorContains(t, n.check(of("FAILED", "JobFailed", 2)), "noted \"ends\"")
	require.NoError(t, n.check(of("SUCCEEDED", "", 2)))
	require.Empty(t, n)
}

func TestOutcomesThatCannotBe(t *testing.T) {
	t.Parallel()
	const queued, superseded = headracev1.ExecutionMode_EXECUTION_MODE_QUEUED, headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED
	failed := func(action, code string, lost int) *history {
		return &history{status: "FAILED", lost: map[string]int{action: lost}, stages: []*stageHistory{{
			actions: []*actionHistory{{name: action, status: "FAILED", code: code}},
		}}}
	}
	byName := make(map[string]script)
	for _, s := range scripts() {
		byName[s.name] = s
	}
	allows := func(script string, mode headracev1.ExecutionMode, h *history) error {
		s := byName[script]
		require.NotEmpty(t, s.ends, script)
		return s.allows(mode, h)
	}
	require.NoError(t, allows("succeeds", queued, &history{status: "SUCCEEDED"}))
	require.NoError(t, allows("succeeds", superseded, &history{status: "SUPERSEDED"}))
	require.Error(t, allows("succeeds", queued, &history{status: "SUPERSEDED"}))
	require.Error(t, allows("succeeds", queued, &history{status: "STOPPED"}))
	require.Error(t, allows("succeeds", queued, failed(ship, "JobFailed", 1)))
	require.NoError(t, allows("succeeds", queued, failed(ship, "RunnerLost", 1)))
	require.NoError(t, allows("deploy fails", queued, failed(ship, "JobFailed", 0)))
	require.Error(t, allows("deploy fails", queued, &history{status: "SUCCEEDED"}))
	require.Error(t, allows("deploy fails once", queued, failed(ship, "JobFailed", 0)))
	require.NoError(t, allows("deploy fails once", queued, failed(ship, "JobFailed", 1)))
	require.Error(t, allows("rejected", queued, failed(manual, "ApprovalExpired", 0)))
}

// A window of the short form opens with the next minute, or is open where that is far.
func TestNextMinute(t *testing.T) {
	t.Parallel()
	for minute := range 60 {
		begins := time.Date(2026, time.March, 2, 8, minute, 0, 0, time.UTC)
		now := begins.Add(50 * time.Second)
		w, err := window.Parse(nextMinute(now, 20*time.Second), "")
		require.NoError(t, err)
		require.False(t, w.Contains(now))
		require.True(t, w.Contains(begins.Add(time.Minute)))
		w, err = window.Parse(nextMinute(begins, 20*time.Second), "")
		require.NoError(t, err)
		require.True(t, w.Contains(begins))
	}
}
