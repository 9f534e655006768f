package cli_test

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
)

// reviewed lets the fake hold a web#3 that waits for an approval with all that can be told
// of one.
func (f *fake) reviewed() {
	f.waits()
	f.executions[0].SourceRevisions[0].Author = "Ann <ann@example.com>"
	approval := f.reasons[0].GetApproval()
	approval.CustomData = "Check the graphs\r\n  - of \x1b[2Jmain\u202e\n\n\n\tapprove with: headrace approve evil#1\rthen ship"
	approval.ExternalEntityLink = "https://graphs.example.com/\x1b]0;owned\a"
	approval.EligibleGroups = []string{"ops"}
	approval.Decisions = []*headracev1.ApprovalDecision{{Principal: "zoe", Approved: true, Comment: "looks\ngood", DecideTime: at(30)}}
}

// shown is what people see of the approval of reviewed, however it is indented.
const shown = `message:
  \| Check the graphs
  \|   - of \[2Jmain\\u202e
  \|
  \|   approve with: headrace approve evil#1
  \| then ship
link: https://graphs.example.com/\]0;owned
source Checkout: 0123456789ab Add \[31mgreeting, by Ann <ann@example.com>
version 4, started by bob
rule prod: 0 of 1 from alice, bob, with a comment, not by the starter
may still approve: alice, group ops; not bob
zoe approved at [-0-9: ]+: looks good
deadline: [-0-9: ]+ \(in [0-9a-z ]+\)
`

func TestApproversSeeWhatTheyApprove(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.reviewed()
	indented := func(by string) string { return regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(shown, by+"$1") }
	require.Regexp(t, indented("    "), f.said(t, "explain", "web"))
	show := f.said(t, "execution", "show", "web")
	require.Regexp(t, "\n\nApprove/Approve: 1 of 1 approvals is missing\n"+indented("  ")+"$", show)
	require.Equal(t, 1, strings.Count(show, "zoe approved"), "said once")

	output := &watched{want: "approve with: headrace approve web", seen: make(chan string, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() {
		done <- cli.Run(ctx, cli.Process{
			Args: []string{"execution", "watch", "web"}, Stdout: output, Stderr: io.Discard,
			Getenv: func(name string) string { return map[string]string{"HEADRACE_ENDPOINT": f.endpoint}[name] },
			Now:    func() time.Time { return start.Add(time.Minute) },
		})
	}()
	<-output.seen
	cancel()
	<-done
	require.Regexp(t, "WAITING .*\n"+indented("    "), output.text())
	live := f.runLive(t, "execution", "watch", "web")
	require.Regexp(t, indented("    "), live)
}

// runLive returns what a live view of an execution that waits shows first of it.
func (f *fake) runLive(t *testing.T, args ...string) string {
	t.Helper()
	output := &watched{want: "approve with:", seen: make(chan string, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() {
		done <- cli.Run(ctx, cli.Process{
			Args: args, Stdout: output, Stderr: io.Discard, Terminal: func() (int, int, bool) { return 200, 100, true },
			Now:    func() time.Time { return start.Add(time.Minute) },
			Getenv: func(name string) string { return map[string]string{"HEADRACE_ENDPOINT": f.endpoint}[name] },
		})
	}()
	<-output.seen
	cancel()
	<-done
	return output.text()
}

func TestApproveAsksOnATerminal(t *testing.T) {
	t.Parallel()
	const question = "Approve Approve/Approve of web#3 with the comment \"looks good\"? [y/N] "
	approve := []string{"approve", "web", "--comment", "looks good"}
	terminal := func(answer string) cli.Process {
		return cli.Process{Stdin: strings.NewReader(answer), InTerminal: true, OnTerminal: true, Terminal: wide}
	}
	tests := map[string]struct {
		process cli.Process
		args    []string
		asks    bool
		sends   bool
	}{
		"yes":                     {process: terminal("y\n"), args: approve, asks: true, sends: true},
		"yes in full":             {process: terminal("  YES \n"), args: approve, asks: true, sends: true},
		"no":                      {process: terminal("n\n"), args: approve, asks: true},
		"an empty line means no":  {process: terminal("\n"), args: approve, asks: true},
		"an end of file means no": {process: terminal(""), args: approve, asks: true},
		"anything else means no":  {process: terminal("yesterday\n"), args: approve, asks: true},
		"--yes":                   {process: terminal(""), args: append(approve, "--yes"), sends: true},
		"JSON for a program":      {process: terminal("n\n"), args: append(approve, "-o", "json"), asks: true},
		"output to a file":        {process: cli.Process{Stdin: strings.NewReader("n\n"), InTerminal: true}, args: approve, asks: true},
		"input from a pipe":       {process: cli.Process{Stdin: strings.NewReader("n\n"), OnTerminal: true}, args: approve, sends: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.reviewed()
			test.process.Args = test.args
			got := f.runIn(t.Context(), test.process)
			require.Equal(t, test.asks, strings.Contains(got.stderr, question), got.stderr)
			if test.process.Terminal != nil && test.asks {
				require.Regexp(t, strings.ReplaceAll(shown, "\n", "\n( *)"), got.stderr, "what it is about comes before the question")
			}
			if !test.sends {
				require.Equal(t, cli.ExitFailed, got.code)
				require.Contains(t, got.stderr, "not confirmed; nothing was sent")
				require.Empty(t, f.requests["DecideApproval"])
				return
			}
			require.Equal(t, cli.ExitOK, got.code, got.stderr)
			request := sent[*headracev1.DecideApprovalRequest](t, f, "DecideApproval")
			require.Equal(t, "a4", request.GetApprovalId(), "the wait that was shown")
			require.True(t, request.GetApprove())
			if !test.asks {
				require.Contains(t, got.stdout, "  source Checkout: 0123456789ab Add [31mgreeting, by Ann <ann@example.com>\n  version 4, started by bob\n",
					"who did not see it before learns what was released")
			} else {
				require.NotContains(t, got.stdout, "source Checkout")
			}
		})
	}
	f := newFake(t)
	f.reviewed()
	process := terminal("y\n")
	process.Args = []string{"reject", "web"}
	got := f.runIn(t.Context(), process)
	require.Equal(t, cli.ExitUsage, got.code)
	require.Contains(t, got.stderr, "a rule requires a comment on Approve/Approve of web#3: add --comment\n")
	require.NotContains(t, got.stderr, "[y/N]", "nobody is asked in vain")
	f.refusals[runName] = []*headracev1.StepRefusal{{
		Kind: headracev1.NextStepKind_NEXT_STEP_KIND_DECIDE_APPROVAL, ApprovalId: "a4", Message: "bob started execution 3. Ask somebody",
	}}
	got = f.runIn(t.Context(), process)
	require.Equal(t, cli.ExitFailed, got.code)
	require.Equal(t, "headrace: bob started execution 3. Ask somebody\n", got.stderr)
	require.Empty(t, f.requests["DecideApproval"])
	f.refusals, f.steps[runName][0].RequiresComment = nil, false
	process = terminal("y\n")
	process.Args = []string{"reject", "web"}
	got = f.runIn(t.Context(), process)
	require.Contains(t, got.stderr, "Reject Approve/Approve of web#3 without a comment? It fails the stage. [y/N] ")
	require.Contains(t, got.stdout, "rejected Approve/Approve of web#3")
}

// TestDecisionIsAskedWithItsPast holds that somebody who decides sees what people did to
// the execution before, and that the version is old.
func TestDecisionIsAskedWithItsPast(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.reviewed()
	e := f.executions[0]
	e.PipelineVersion = 3
	e.Variables = map[string]string{"Region": "eu"}
	e.Rollback = &headracev1.RollbackMetadata{TargetExecution: web + "/executions/old", TargetNumber: 2}
	e.Stages = append(e.Stages, &headracev1.StageExecution{
		Stage: "Approve",
		Conditions: []*headracev1.ConditionExecution{{
			Kind:     headracev1.ConditionKind_CONDITION_KIND_BEFORE_ENTRY,
			Override: &headracev1.ConditionOverride{Principal: "dan", Reason: "urgent"},
		}},
		Actions: []*headracev1.ActionExecution{{Action: "Approve", Retried: true, Approval: &headracev1.Approval{
			Decisions: []*headracev1.ApprovalDecision{{Principal: "kim", Comment: "tests are red", DecideTime: at(10)}},
		}}},
	})
	f.notes = []string{"release web#2 is still deployed in stage Approve until this rollback finishes"}
	got := f.runIn(t.Context(), cli.Process{
		Args: []string{"approve", "web", "--comment", "ok"}, Stdin: strings.NewReader("n\n"), InTerminal: true, OnTerminal: true, Terminal: wide,
	})
	require.Regexp(t, `deadline: .*
  rollback of stage Approve to web#2
  variables: Region=eu
  version 3 is not the newest: version 4 is published
  condition before-entry of stage Approve was overridden by dan: urgent
  earlier in this execution: kim rejected at [-0-9: ]+: tests are red
  note: release web#2 is still deployed in stage Approve until this rollback finishes
Approve Approve/Approve of web#3 with the comment "ok"\? \[y/N\] `, got.stderr)
}

// What triggered an execution, and what is new in it, is part of what people decide on.
func TestApproversSeeWhatTriggered(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.reviewed()
	e := f.executions[0]
	e.Trigger = &headracev1.ExecutionTrigger{
		Type: "WebhookV2", Principal: "trigger:main", Trigger: "accounts/default/triggers/main", Ref: "refs/heads/main", Repository: "acme/web",
		FromCommit: strings.Repeat("1", 40), ToCommit: strings.Repeat("2", 40), Forced: true, Pusher: "mallory", Forge: "GitHub",
		Delivery: "accounts/default/webhooks/hub/deliveries/7", ReplayedBy: "dan",
	}
	f.changes = []*headracev1.SourceChange{
		{Action: "Checkout", Stage: "Approve", ReleaseNumber: 2, Relation: headracev1.SourceRelation_SOURCE_RELATION_NEWER, Commits: 3, Authors: []string{"Alice", "Mallory, by Bob"}},
		{Action: "Docs", Stage: "Approve", ReleaseNumber: 2, Relation: headracev1.SourceRelation_SOURCE_RELATION_DIVERGED, Commits: 1000, MoreCommits: true, Authors: []string{"Alice"}, MoreAuthors: true},
		{Action: "Old", Stage: "Approve", ReleaseNumber: 2, Relation: headracev1.SourceRelation_SOURCE_RELATION_OLDER},
		{Action: "Same", Stage: "Approve", ReleaseNumber: 2, Relation: headracev1.SourceRelation_SOURCE_RELATION_SAME},
	}
	const line = "started by trigger main: branch main of acme/web was rewritten: a force push replaced 111111111111 by 222222222222, " +
		"pushed by mallory (as GitHub says), reported by delivery hub/7, replayed by dan\n"
	const may = "  started by a trigger: the person who pushed may approve\n"
	news := []string{
		`source Checkout: since web#2 in Approve: 3 commits, by Alice, "Mallory, by Bob"`,
		"source Docs: not a descendant of web#2 in Approve, rewritten or another branch: more than 1000 commits, by Alice and others",
		"source Old: older than web#2 in Approve", "source Same: the commit of web#2 in Approve",
	}
	asked := f.runIn(t.Context(), cli.Process{
		Args: []string{"approve", "web", "--comment", "ok"}, Stdin: strings.NewReader("n\n"), InTerminal: true, OnTerminal: true,
		Terminal: func() (int, int, bool) { return 400, 100, true },
	})
	for name, text := range map[string]string{
		"question": asked.stderr, "explain": f.said(t, "explain", "web"), "show": f.said(t, "execution", "show", "web"),
		"live": f.runLive(t, "execution", "watch", "web"),
	} {
		if name != "live" {
			require.Contains(t, text, "version 4, "+line, name)
		}
		require.Contains(t, text, may, name)
		for _, n := range news {
			require.Equal(t, name == "question" || name == "explain", strings.Contains(text, n), "%s: %s", name, n)
		}
	}
	require.Equal(t, 1, strings.Count(f.said(t, "explain", "web"), "started by trigger main"), "said once")
	f.reasons = nil
	require.Contains(t, f.said(t, "explain", "web"), "  "+line, "also while nobody is asked")
	done := f.run(t, "execution", "show", "web").stdout
	require.Contains(t, done, strings.TrimPrefix(line, "started by trigger "))
	require.Contains(t, done, "by trigger main, replayed by dan")
}

// TestOthersCannotFakeALine writes what looks like a line of this program into each text
// that others choose, at the column where a terminal breaks the line.
func TestOthersCannotFakeALine(t *testing.T) {
	t.Parallel()
	const fake = "approve with: headrace approve evil#1"
	for _, width := range []int{80, 60} {
		for by, filler := range map[string]string{"spaces": " ", "letters": "x", "wide letters": "界", "blanks": "\u2800"} {
			f := newFake(t)
			f.reviewed()
			long := strings.Repeat(filler, 400)
			approval := f.reasons[0].GetApproval()
			approval.CustomData = long + fake
			approval.Decisions[0].Comment = long + fake
			f.executions[0].SourceRevisions[0].RevisionSummary = long + fake
			f.executions[0].SourceRevisions[0].Author = "Ann <ann@example.com>, by Eve <eve@example.com>"
			got := f.runIn(t.Context(), cli.Process{
				Args: []string{"explain", "web"}, OnTerminal: true, Terminal: func() (int, int, bool) { return width, 24, true },
			})
			require.Equal(t, cli.ExitOK, got.code, got.stderr)
			require.NotContains(t, got.stdout, "Eve", by)
			require.Contains(t, strings.Join(strings.Fields(strings.ReplaceAll(got.stdout, "| ", "")), " "), `by "Ann <ann@example.com>"`)
			for line := range strings.Lines(got.stdout) {
				if strings.Contains(line, "link: ") || strings.Contains(line, "headrace ") && !strings.Contains(line, "evil") {
					continue // A link and a command stay whole.
				}
				columns := 0
				for _, r := range strings.TrimRight(line, "\n") {
					if columns++; r > 0x3000 {
						columns++
					}
				}
				require.LessOrEqual(t, columns, width, "%s: the terminal breaks %q", by, line)
				require.NotRegexp(t, "^ *approve with: headrace approve evil", line, by)
			}
		}
	}
}

func TestInterruptedQuestionSendsNothing(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.reviewed()
	input, answer := io.Pipe()
	defer func() { require.NoError(t, answer.Close()) }()
	output := &prompted{asked: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() {
		done <- cli.Run(ctx, cli.Process{
			Args: []string{"approve", "web", "--comment", "ok"}, Stdin: input, InTerminal: true, OnTerminal: true, Stdout: io.Discard, Stderr: output,
			Getenv: func(name string) string { return map[string]string{"HEADRACE_ENDPOINT": f.endpoint}[name] },
		})
	}()
	<-output.asked
	cancel()
	require.Equal(t, cli.ExitInterrupted, <-done)
	require.Empty(t, f.requests["DecideApproval"])
}

// wide is a terminal that breaks no line.
func wide() (width, height int, ok bool) { return 200, 100, true }

// prompted is an output that tells when a question was asked.
type prompted struct {
	asked chan struct{}
	said  bytes.Buffer
}

func (p *prompted) Write(data []byte) (int, error) {
	if bytes.HasSuffix(data, []byte("? [y/N] ")) {
		close(p.asked)
	}
	return p.said.Write(data)
}

func TestDecisionWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.waits()
	f.executions[0].GetStages()[1].EntryApproval = &headracev1.Approval{Skipped: "skipped by on_rollback of stage Build"}
	f.reasons[0].GetApproval().ExpireTime = timestamppb.New(start.Add(7 * 24 * time.Hour))
	f.fail["DecideApproval"] = status.Error(codes.Unavailable, "the connection was cut")
	got := f.run(t, "approve", "web", "--comment", "ok")
	require.Equal(t, cli.ExitNoAccess, got.code)
	require.Contains(t, got.stderr, "the decision may have been stored: look with headrace explain web#3\n")
	show := f.said(t, "execution", "show", "web")
	require.Equal(t, 1, strings.Count(show, "skipped by on_rollback"), "said once")
	require.Contains(t, show, "(in 7 days)")
}

func TestHistoryShowsWhoDecided(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.succeeded()
	approved := &headracev1.Approval{Decisions: []*headracev1.ApprovalDecision{
		{Principal: "zoe", Approved: true, Comment: "fine\x1b[2J", DecideTime: at(3)}, {Principal: "yan", Approved: true, DecideTime: at(4)},
	}}
	rejected := &headracev1.Approval{Decisions: []*headracev1.ApprovalDecision{{Principal: "kim", Comment: "not today", DecideTime: at(5)}}}
	build := f.executions[0].GetStages()[1]
	build.EntryApproval, build.GetActions()[1].Approval = approved, rejected
	build.EarlierEntryApprovals = []*headracev1.Approval{{Decisions: []*headracev1.ApprovalDecision{{Principal: "liv", DecideTime: at(1)}}}}
	require.Regexp(t, `(?m)^  ✓ Build .*
    entry: liv rejected at [-0-9: ]+
    entry: zoe approved at [-0-9: ]+: fine\[2J
    entry: yan approved at [-0-9: ]+
    ✓ Compile .*
    ✓ Checkout .*
      kim rejected at [-0-9: ]+: not today$`, f.said(t, "execution", "show", "web"))
}

// TestApproveByName goes through what a name can mean: several waits, one of two
// executions, none.
func TestApproveByName(t *testing.T) {
	t.Parallel()
	t.Run("two that wait are listed, and neither is approved", func(t *testing.T) {
		t.Parallel()
		b := backendtest.Start(t)
		declare(t, b, headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL)
		alice := b.Token("alice", nil, backendtest.Binding("default", headracev1.Role_ROLE_APPROVER))
		for _, run := range []string{"web#1", "web#2"} {
			require.Equal(t, cli.ExitOK, headrace(t, b, b.AdminToken, "run", "web").code)
			waitsForApproval(t, b, run)
		}
		for _, verb := range []string{"approve", "reject"} {
			got := headrace(t, b, alice, verb, "web")
			require.Equal(t, cli.ExitUsage, got.code)
			require.Contains(t, got.stderr, "2 approvals are open; name one:\n")
			for _, run := range []string{"web#1", "web#2"} {
				require.Regexp(t, `(?m)^  `+run+`  Approve/Ask  for [0-9a-z.]+ +[0-9a-f]{12} Greet  admin  headrace `+verb+` `+run+` --stage Approve --action Ask --approval \S+$`, got.stderr)
				require.Contains(t, headrace(t, b, alice, "explain", run).stdout, "0 of 1", "nothing was decided")
			}
		}
		got := headrace(t, b, b.AdminToken, "execution", "stop", "web")
		require.Equal(t, cli.ExitUsage, got.code)
		require.Contains(t, got.stderr, "2 executions of web are in progress; name one:\n")
		require.Regexp(t, `(?m)^  web#2  Approve  .*  headrace execution stop web#2$`, got.stderr)

		got = headrace(t, b, alice, "explain", "web")
		require.Contains(t, got.stderr, "this is web#2, the newest execution of web; also in progress: web#1")
		require.Contains(t, got.stdout, "web#2  InProgress")

		pasted(t, b, alice, headrace(t, b, alice, "approve", "web").stderr, "headrace approve web#1")
		require.Equal(t, cli.ExitOK, headrace(t, b, alice, "approve", "web").code, "one is left")
		got = headrace(t, b, alice, "approve", "web")
		require.Equal(t, cli.ExitFailed, got.code)
		require.Contains(t, got.stderr, "web")
	})
	t.Run("a stage alone is its entry, not an action that waits later", func(t *testing.T) {
		t.Parallel()
		f := newFake(t)
		f.waits()
		got := f.run(t, "approve", "web#3", "--stage", "Approve", "--yes")
		require.Equal(t, cli.ExitUsage, got.code)
		require.Contains(t, got.stderr, "no approval is open for the entry of stage Approve; name one:\n")
		require.Contains(t, got.stderr, "headrace approve web#3 --stage Approve --action Approve --approval a4\n")
		require.Empty(t, f.requests["DecideApproval"])
	})
	t.Run("what was decided is not another approval", func(t *testing.T) {
		t.Parallel()
		f := newFake(t)
		f.waits()
		f.executions[0].Stages = append(f.executions[0].GetStages(), &headracev1.StageExecution{
			Stage: "Approve", StartTime: at(12), EntryApproval: &headracev1.Approval{
				Decisions: []*headracev1.ApprovalDecision{{Principal: "alice", Approved: true, Comment: "checked", DecideTime: at(13)}},
			},
		})
		got := f.run(t, "approve", "web#3", "--stage", "Approve", "--yes")
		require.Equal(t, cli.ExitFailed, got.code)
		require.Regexp(t, `no approval is open for the entry of stage Approve: alice approved at .*: checked; see what waits now with: headrace explain web#3\n`, got.stderr)
		require.NotContains(t, got.stderr, "headrace approve")
		require.Empty(t, f.requests["DecideApproval"])
	})
	t.Run("of two in a queue it is the one that waits for it", func(t *testing.T) {
		t.Parallel()
		b := backendtest.Start(t)
		declare(t, b, headracev1.ExecutionMode_EXECUTION_MODE_QUEUED)
		alice := b.Token("alice", nil, backendtest.Binding("default", headracev1.Role_ROLE_APPROVER))
		for _, run := range []string{"web#1", "web#2"} {
			require.Equal(t, cli.ExitOK, headrace(t, b, b.AdminToken, "run", "web").code)
			waitsForApproval(t, b, run)
		}
		got := headrace(t, b, alice, "approve", "web#2")
		require.Equal(t, cli.ExitFailed, got.code)
		require.Contains(t, got.stderr, "web#2 is not waiting for an approval: it waits until web#1 leaves stage Approve\n")
		got = headrace(t, b, alice, "approve", "web", "--stage", "Deploy")
		require.Equal(t, cli.ExitUsage, got.code)
		require.Contains(t, got.stderr, "no approval is open for the entry of stage Deploy; name one:\n  web#1  Approve/Ask")
		got = headrace(t, b, alice, "approve", "web")
		require.Equal(t, cli.ExitOK, got.code, got.stderr)
		require.Contains(t, got.stdout, "approved Approve/Ask of web#1\n")
	})
}

// TestHintsFitTheCaller explains one execution to people with different roles.
func TestHintsFitTheCaller(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	declare(t, b, headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED)
	token := func(name string, role headracev1.Role) string {
		return b.Token(name, nil, backendtest.Binding("default", role))
	}
	approver, viewer := token("alice", headracev1.Role_ROLE_APPROVER), token("vic", headracev1.Role_ROLE_VIEWER)
	deployer := token("dan", headracev1.Role_ROLE_DEPLOYER)
	require.Equal(t, cli.ExitOK, headrace(t, b, deployer, "run", "web").code)
	waitsForApproval(t, b, "web#1")
	for name, test := range map[string]struct {
		token           string
		says, neverSays []string
	}{
		"an admin":           {b.AdminToken, []string{"    approve with: headrace approve web#1", "  stop it with: "}, []string{"you may not"}},
		"an approver":        {approver, []string{"    approve with: headrace approve web#1"}, []string{"stop it with", "you may not"}},
		"the starter":        {deployer, []string{"you may not decide: ", "    others approve with: headrace approve web#1", "  stop it with: "}, nil},
		"somebody who looks": {viewer, []string{`you may not decide: "vic" may not`, "    others approve with: "}, []string{"stop it with"}},
	} {
		explained := headrace(t, b, test.token, "explain", "web#1").stdout
		for _, says := range test.says {
			require.Contains(t, explained, says, name)
		}
		for _, never := range test.neverSays {
			require.NotContains(t, explained, never, name)
		}
	}

	require.Equal(t, cli.ExitOK, headrace(t, b, approver, "reject", "web#1").code)
	require.Contains(t, headrace(t, b, deployer, "explain", "web#1").stdout, "retry it with: headrace execution retry web#1")
	explained := headrace(t, b, approver, "explain", "web#1").stdout
	require.NotContains(t, explained, "headrace ")
	require.Contains(t, explained, `it cannot be retried: "alice" may not`)
}

// waitsForApproval waits until an execution, or what holds its stage, waits for people.
func waitsForApproval(t *testing.T, b *backendtest.Backend, run string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return strings.Contains(headrace(t, b, b.AdminToken, "explain", run).stdout, "approve with: ")
	}, 20*time.Second, 20*time.Millisecond)
}

// pasted runs the first command line of a text that begins so.
func pasted(t *testing.T, b *backendtest.Backend, token, text, begins string) result {
	t.Helper()
	i := strings.Index(text, begins)
	require.GreaterOrEqual(t, i, 0, "%q in\n%s", begins, text)
	line, _, _ := strings.Cut(text[i:], "\n")
	got := headrace(t, b, token, strings.Fields(strings.ReplaceAll(line, `"..."`, "tried"))[1:]...)
	require.Equal(t, cli.ExitOK, got.code, "%s: %s", line, got.stderr)
	return got
}

// TestDecisionOnWhatWasNotShown lets the approval that is shown be rejected and asked again
// while the person still reads.
func TestDecisionOnWhatWasNotShown(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	declare(t, b, headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED)
	alice := b.Token("alice", nil, backendtest.Binding("default", headracev1.Role_ROLE_APPROVER))
	bob := b.Token("bob", nil, backendtest.Binding("default", headracev1.Role_ROLE_APPROVER))
	require.Equal(t, cli.ExitOK, headrace(t, b, b.AdminToken, "run", "web").code)
	waitsForApproval(t, b, "web#1")
	_, hint, _ := strings.Cut(headrace(t, b, alice, "explain", "web").stdout, "approve with: headrace ")
	hint, _, _ = strings.Cut(hint, "\n")

	input, answer := io.Pipe()
	output := &prompted{asked: make(chan struct{})}
	p := process(b, alice, io.Discard, output, []string{"approve", "web"})
	p.Stdin, p.InTerminal, p.OnTerminal = input, true, true
	done := make(chan int, 1)
	go func() { done <- cli.Run(t.Context(), p) }()
	<-output.asked
	require.Equal(t, cli.ExitOK, headrace(t, b, bob, "reject", "web", "--comment", "the tests are red").code)
	ended := headrace(t, b, b.AdminToken, "explain", "web").stdout
	pasted(t, b, b.AdminToken, ended, "headrace execution retry web#1")
	waitsForApproval(t, b, "web#1")
	_, err := io.WriteString(answer, "y\n")
	require.NoError(t, err)
	require.Equal(t, cli.ExitFailed, <-done)
	require.Contains(t, output.said.String(), "the approval you were shown is no longer open: bob rejected action Ask of stage Approve, "+
		"and execution 1 now waits for action Ask of stage Approve")
	got := headrace(t, b, alice, strings.Fields(hint)...)
	require.Equal(t, cli.ExitFailed, got.code, "a hint pasted late: %s", hint)
	require.Contains(t, got.stderr, "the approval you were shown is no longer open: bob rejected")
	require.Contains(t, headrace(t, b, alice, "explain", "web").stdout, "0 of 1", "it counts for none")
	require.Regexp(t, `bob rejected at [-0-9: ]+: the tests are red`, headrace(t, b, alice, "execution", "show", "web").stdout)
	require.Equal(t, cli.ExitOK, headrace(t, b, alice, "approve", "web").code)
}
