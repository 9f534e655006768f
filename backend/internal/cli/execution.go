package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
)

func (a *app) runCommand() *cobra.Command {
	var (
		variables []string
		revisions []string
		requestID string
		follow    bool
	)
	command := &cobra.Command{
		Use:   "run PIPELINE",
		Short: "Start an execution of a pipeline",
		Long: `Start an execution of the newest version of a pipeline.

With --follow, the command watches the execution until it ends: in a live view on a
terminal, otherwise with one line per event. The exit code is then 0 if the execution
succeeded and 1 if it did not. Interrupting the command does not stop the execution.

With --source-revision, a source action fetches the given revision instead of the newest
one. Write it as ACTION=TYPE:REVISION, or as ACTION=REVISION for a Git commit (the type
COMMIT_ID).`,
		Example: `  headrace run web --var Environment=staging -f
  headrace run web --source-revision Checkout=9fceb02d0ae598e95dc970b74767f19372d61af8`,
		Args: cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			values, err := parseVariables(variables)
			if err != nil {
				return err
			}
			overrides, err := parseRevisions(revisions)
			if err != nil {
				return err
			}
			response, err := c.Executions.StartExecution(ctx, &headracev1.StartExecutionRequest{
				Pipeline: pipelineName(c, args[0]), Variables: values, SourceRevisions: overrides, RequestId: requestID,
			})
			if err != nil {
				return err
			}
			if started := response.GetExecution(); !a.json() && !follow {
				a.out.linef("started %s (%s) on version %d", label(started), started.GetId(), started.GetPipelineVersion())
			}
			return a.goesOn(ctx, c, response, follow)
		}),
	}
	command.Flags().StringArrayVar(&variables, "var", nil, "value of a pipeline variable, as `NAME=VALUE` (repeatable)")
	command.Flags().StringArrayVar(&revisions, "source-revision", nil, "revision that a source action fetches, as `ACTION=TYPE:REVISION` (repeatable)")
	command.Flags().StringVar(&requestID, "request-id", "", "id of this request; repeating it returns the execution that was started the first time")
	command.Flags().BoolVarP(&follow, "follow", "f", false, "watch the execution until it ends")
	return command
}

// parseRevisions reads ACTION=TYPE:REVISION. A type is written in capitals; what
// has none is a commit.
func parseRevisions(texts []string) ([]*headracev1.SourceRevisionOverride, error) {
	var overrides []*headracev1.SourceRevisionOverride
	seen := map[string]bool{}
	for _, text := range texts {
		action, revision, ok := strings.Cut(text, "=")
		kind, value := "COMMIT_ID", revision
		if before, after, typed := strings.Cut(revision, ":"); typed && strings.Trim(before, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == "" {
			kind, value = before, after
		}
		if !ok || action == "" || kind == "" || value == "" {
			return nil, usagef("--source-revision is %q: use ACTION=COMMIT_ID:REVISION", text)
		}
		if seen[action] {
			return nil, usagef("--source-revision gives a revision of %s twice", action)
		}
		seen[action] = true
		overrides = append(overrides, &headracev1.SourceRevisionOverride{Action: action, RevisionType: kind, RevisionValue: value})
	}
	return overrides, nil
}

func parseVariables(texts []string) (map[string]string, error) {
	values := make(map[string]string, len(texts))
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, usagef("--var is %q: use NAME=VALUE", text)
		}
		if _, twice := values[name]; twice {
			return nil, usagef("--var gives %s twice", name)
		}
		values[name] = value
	}
	return values, nil
}

func (a *app) executionCommand() *cobra.Command {
	command := group("execution", "List, show, watch, stop and retry executions",
		a.executionListCommand(), a.executionShowCommand(), a.executionWatchCommand(), a.executionStopCommand(),
		a.executionRetryCommand(), a.executionOverrideCommand())
	// What people try for what execution watch shows.
	command.SuggestFor = []string{"events", "watch"}
	return command
}

func (a *app) executionListCommand() *cobra.Command {
	var (
		statuses           []string
		limit              int
		by, revision       string
		triggers           []string
		startedFrom, until string
	)
	command := &cobra.Command{
		Use:   "list [PIPELINE]",
		Short: "List executions, newest first",
		Long: `List executions, newest first. With several filters, the list holds the executions that
match all of them.`,
		Example: `  headrace execution list web --status Failed --limit 5
  headrace execution list --by ann --from 2026-11-01 --to 2026-12-01T12:00:00Z
  headrace execution list web --revision 9fceb02d`,
		Args: cobra.MaximumNArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			request := &headracev1.ListExecutionsRequest{Parent: client.PipelineName(c.Account, pipeline.AnyPipeline)}
			if len(args) == 1 {
				request.Parent = pipelineName(c, args[0])
			}
			for _, text := range statuses {
				s, err := parseStatus(text)
				if err != nil {
					return err
				}
				request.Statuses = append(request.Statuses, s)
			}
			if limit < 1 {
				return usagef("--limit is %d: use 1 or more", limit)
			}
			request.TriggerTypes, request.Principal, request.Revision = triggers, by, revision
			var err error
			if request.StartTimeFrom, err = parseTime("--from", startedFrom); err != nil {
				return err
			}
			if request.StartTimeTo, err = parseTime("--to", until); err != nil {
				return err
			}
			all := &headracev1.ListExecutionsResponse{}
			for len(all.GetExecutions()) < limit {
				request.PageSize = int32(min(limit-len(all.GetExecutions()), pageSize))
				page, err := c.Executions.ListExecutions(ctx, request)
				if err != nil {
					return err
				}
				all.Executions = append(all.Executions, page.GetExecutions()...)
				all.NextPageToken = page.GetNextPageToken()
				if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
					break
				}
			}
			if a.json() {
				return a.out.document(all)
			}
			var rows [][]string
			for _, e := range all.GetExecutions() {
				rows = append(rows, []string{
					label(e), statusText(e.GetStatus()), timeText(e.GetStartTime()),
					elapsed(e.GetStartTime(), e.GetEndTime(), a.Now()), fmt.Sprint(e.GetPipelineVersion()),
					byText(e), revisionsText(e), summaryText(e),
				})
			}
			a.out.table([]string{"EXECUTION", "STATUS", "STARTED", "TOOK", "VERSION", "BY", "REVISION", "SUMMARY"}, rows)
			return nil
		}),
	}
	command.Flags().StringSliceVar(&statuses, "status", nil, "only executions with this `STATUS`, for example Failed (repeatable)")
	command.Flags().StringSliceVar(&triggers, "trigger-type", nil, "only executions with this `TYPE` of trigger, for example WebhookV2 (repeatable)")
	command.Flags().StringVar(&by, "by", "", "only executions that this `USER` started, or trigger:NAME for a trigger")
	command.Flags().StringVar(&revision, "revision", "", "only executions with a source revision, or a trigger's commit, that begins with this `ID`; at least 4 characters")
	command.Flags().StringVar(&startedFrom, "from", "", "only executions that started at this `TIME` or later, such as 2027-01-31 (in UTC) or 2027-01-31T08:00:00Z")
	command.Flags().StringVar(&until, "to", "", "only executions that started before this `TIME`")
	command.Flags().IntVar(&limit, "limit", 20, "maximum number of executions")
	return command
}

// parseTime reads the time or the day in UTC that a flag gives, nil for none.
func parseTime(flag, text string) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return timestamppb.New(at), nil
		}
	}
	return nil, usagef("%s is %q: use a time such as 2027-01-31 or 2027-01-31T08:00:00Z", flag, text)
}

// parseStatus takes a status as the text shows it or as JSON does.
func parseStatus(text string) (headracev1.ExecutionStatus, error) {
	var names []string
	for _, s := range executionStatuses() {
		if strings.EqualFold(string(s), text) || strings.EqualFold(pipelinepb.StatusToProto(s).String(), text) {
			return pipelinepb.StatusToProto(s), nil
		}
		names = append(names, string(s))
	}
	return 0, usagef("--status is %q: use one of %s", text, strings.Join(names, ", "))
}

func (a *app) executionShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show EXECUTION",
		Short:   "Show an execution with its stages, conditions and actions",
		Example: `  headrace execution show web#3`,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			e, err := a.execution(ctx, c, args[0])
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(&headracev1.GetExecutionResponse{Execution: e})
			}
			a.showExecution(e)
			if terminal(e.GetStatus()) {
				return nil
			}
			why, err := explain(ctx, c, e)
			if err != nil {
				return err
			}
			a.showApprovals(why)
			return nil
		}),
	}
}

// showApprovals shows the open approvals of an execution.
func (a *app) showApprovals(why *explained) {
	for _, reason := range why.GetReasons() {
		if reason.GetApproval() == nil {
			continue
		}
		a.out.linef("\n%s: %s", reasonPlace(reason), oneLine(reason.GetMessage()))
		for _, line := range a.approvalLines(why.execution, reason.GetApproval(), a.width()) {
			a.out.linef("  %s", line)
		}
	}
}

func (a *app) showExecution(e *headracev1.Execution) {
	started := timeText(e.GetStartTime())
	if by := startedBy(e); by != "" {
		started += " by " + by
	}
	attempt := ""
	if e.GetAttempt() > 1 {
		attempt = fmt.Sprint(e.GetAttempt())
	}
	a.out.fields(
		"Execution", label(e), "Id", e.GetId(), "Version", fmt.Sprint(e.GetPipelineVersion()),
		"Rollback to", rollbackText(e), "Attempt", attempt,
		"Status", statusText(e.GetStatus()), "Summary", e.GetStatusSummary(), "Started", started,
		"Trigger", triggeredText(e),
		"Ended", timeText(e.GetEndTime()), "Took", elapsed(e.GetStartTime(), e.GetEndTime(), a.Now()),
		"Logs and artifacts", removedText(e),
		"Variables", pairsText(e.GetVariables()), "Asked for", overridesText(e), "Revision", revisionsText(e),
	)
	if cancel := e.GetCancel(); cancel != nil {
		a.out.fields("Cancel", fmt.Sprintf("asked for by %s at %s, by the publication of version %d",
			cancel.GetPrincipal(), timeText(cancel.GetRequestTime()), cancel.GetPipelineVersion()))
	}
	if stop := e.GetStop(); stop != nil {
		asked := fmt.Sprintf("asked for by %s at %s", stop.GetPrincipal(), timeText(stop.GetRequestTime()))
		if stop.GetReason() != "" {
			asked += ": " + stop.GetReason()
		}
		a.out.fields("Stop", asked)
	}
	a.out.linef("")
	for _, l := range executionLines(e, a.Now()) {
		a.out.linef("%s", l.plain())
	}
}

// triggerAutomatedRollback is the trigger type of a rollback that nobody asked for.
const triggerAutomatedRollback = "AutomatedRollback"

// startedBy returns who or what started an execution.
func startedBy(e *headracev1.Execution) string {
	if e.GetTrigger().GetType() == triggerAutomatedRollback {
		return "the failure of a stage"
	}
	if name := e.GetTrigger().GetTrigger(); name != "" {
		return "trigger " + triggerLabel(name) + replayText(e.GetTrigger())
	}
	return e.GetTrigger().GetPrincipal()
}

// byText is startedBy for a column.
func byText(e *headracev1.Execution) string {
	if e.GetTrigger().GetType() == triggerAutomatedRollback {
		return "automatic"
	}
	t := e.GetTrigger()
	switch {
	case t.GetTrigger() == "":
		return t.GetPrincipal()
	case t.GetPullRequest() != nil:
		return fmt.Sprintf("trigger %s (pull request %d)", triggerLabel(t.GetTrigger()), t.GetPullRequest().GetNumber())
	case t.GetRef() != "":
		return fmt.Sprintf("trigger %s (%s)", triggerLabel(t.GetTrigger()), refText(t.GetRef()))
	default:
		return "trigger " + triggerLabel(t.GetTrigger())
	}
}

// rollbackText returns what a rollback goes back to, empty for other executions.
func rollbackText(e *headracev1.Execution) string {
	if e.GetRollback() == nil {
		return ""
	}
	return fmt.Sprintf("%s#%d", client.Segment(e.GetName(), "pipelines"), e.GetRollback().GetTargetNumber())
}

// summaryText returns the summary of an execution, after what it rolls back to.
func summaryText(e *headracev1.Execution) string {
	target := rollbackText(e)
	switch {
	case target == "":
		return e.GetStatusSummary()
	case e.GetStatusSummary() == "":
		return "rollback to " + target
	}
	return "rollback to " + target + ": " + e.GetStatusSummary()
}

// overridesText returns the revisions that were asked for.
func overridesText(e *headracev1.Execution) string {
	var texts []string
	for _, o := range e.GetSourceRevisionOverrides() {
		texts = append(texts, fmt.Sprintf("%s %s of %s", o.GetRevisionType(), o.GetRevisionValue(), o.GetAction()))
	}
	return strings.Join(texts, "; ")
}

// revisionsText returns what the execution fetched, shortened as people know it.
func revisionsText(e *headracev1.Execution) string {
	var texts []string
	for _, r := range e.GetSourceRevisions() {
		texts = append(texts, revisionText(r))
	}
	return strings.Join(texts, "; ")
}

func revisionText(r *headracev1.SourceRevision) string {
	id := r.GetRevisionId()
	if len(id) == 40 {
		id = id[:12]
	}
	summary, _, _ := strings.Cut(r.GetRevisionSummary(), "\n")
	return strings.TrimSpace(id + " " + summary)
}

func (a *app) executionWatchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch EXECUTION",
		Short: "Watch an execution until it ends",
		Long: `Watch an execution until it ends: in a live view on a terminal, otherwise with one line
per event, starting with the first. The exit code is 0 if the execution succeeded and 1
if it did not.

With -o json, each event has all the fields of CodePipeline's events, and more.`,
		Example: `  headrace execution watch web
  headrace execution watch web#3 -o json`,
		Args: cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			e, err := a.execution(ctx, c, args[0])
			if err != nil {
				return err
			}
			return a.follow(ctx, c, e)
		}),
	}
}

func (a *app) executionStopCommand() *cobra.Command {
	var (
		abandon bool
		reason  string
	)
	command := &cobra.Command{
		Use:   "stop EXECUTION",
		Short: "Stop an execution after its running actions finish",
		Long: `Stop an execution. Its running actions finish first, unless you set --abandon. Waits for
an approval or a deployment window end at once.

With the name of a pipeline, exactly one of its executions must be in progress. If there
are several, the command lists them.`,
		Example: `  headrace execution stop web --reason "wrong branch"`,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			e, err := a.toStop(ctx, c, args[0], abandon)
			if err != nil {
				return err
			}
			response, err := c.Executions.StopExecution(ctx, &headracev1.StopExecutionRequest{
				Name: e.GetName(), Abandon: abandon, Reason: reason,
			})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			stopped := response.GetExecution()
			a.out.linef("%s is %s", label(stopped), statusText(stopped.GetStatus()))
			if !terminal(stopped.GetStatus()) {
				a.out.linef("it ends after its running actions; end them now with: %s",
					a.hint(c, "execution stop "+label(stopped)+" --abandon"))
			}
			return nil
		}),
	}
	command.Flags().BoolVar(&abandon, "abandon", false, "end running actions as Abandoned instead of waiting for them to finish")
	command.Flags().StringVar(&reason, "reason", "", "reason, recorded in the history")
	return command
}

// hint returns a command line that works in this user's situation.
func (a *app) hint(c *client.Client, rest string) string {
	line := "headrace " + rest
	// What the environment gave will be given again.
	if a.flags.Account != "" {
		line += " --account " + c.Account
	}
	if a.flags.Endpoint != "" {
		line += " --endpoint " + c.Endpoint
	}
	return line
}
