package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// maxEventBytes bounds an event for trigger test, as deliveries are bounded.
const maxEventBytes = 1 << 20

func (a *app) triggerCommand() *cobra.Command {
	command := group("trigger", "Inspect what starts executions, and why nothing was started",
		a.listTriggersCommand(), a.showTriggerCommand(), a.explainTriggerCommand(), a.deliveriesCommand(), a.deliveryCommand(), a.replayCommand(),
		a.testTriggerCommand(), a.pauseTriggerCommand(), a.resumeTriggerCommand(), a.backfillCommand())
	command.Long = `Inspect what starts executions, and why nothing was started.

A TRIGGER is the name of a trigger, or PIPELINE/SOURCE_ACTION for the trigger block or the
change detection of a pipeline's source action.`
	return command
}

func (a *app) listTriggersCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list [PIPELINE]",
		Short: "List the triggers of the account or of a pipeline",
		Long: `List the triggers of the account or of a pipeline, with the newest decision of each. The list
includes trigger blocks of pipelines and source actions that detect changes.`,
		Example: "  headrace trigger list\n  headrace trigger list web",
		Args:    cobra.MaximumNArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			request := &headracev1.ListTriggersRequest{Parent: client.AccountName(c.Account)}
			if len(args) > 0 {
				request.Parent = pipelineName(c, args[0])
			}
			all := &headracev1.ListTriggersResponse{}
			for {
				page, err := c.Triggers.ListTriggers(ctx, request)
				if err != nil {
					return err
				}
				all.Triggers = append(all.Triggers, page.GetTriggers()...)
				if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
					break
				}
			}
			if a.json() {
				return a.out.document(all)
			}
			var rows [][]string
			for _, trigger := range all.GetTriggers() {
				state := "active"
				if trigger.GetPause() != nil {
					state = "paused"
				}
				decision := trigger.GetLatestDecision()
				rows = append(rows, []string{
					triggerLabel(trigger.GetName()), client.Segment(trigger.GetPipeline(), "pipelines"), sourceText(trigger), state,
					timeText(decision.GetDecideTime()), decision.GetMessage(),
				})
			}
			a.out.table([]string{"TRIGGER", "PIPELINE", "SOURCE", "STATE", "LAST DECISION", "MESSAGE"}, rows)
			for _, trigger := range all.GetTriggers() {
				a.warnings(trigger.GetWarnings())
			}
			return nil
		}),
	}
}

func (a *app) showTriggerCommand() *cobra.Command {
	const recent = 10
	return &cobra.Command{
		Use:     "show TRIGGER",
		Short:   "Show a trigger and its newest decisions",
		Example: "  headrace trigger show web-main\n  headrace trigger show web/Checkout",
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			response, err := c.Triggers.GetTrigger(ctx, &headracev1.GetTriggerRequest{Name: triggerName(c, args[0])})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			trigger := response.GetTrigger()
			a.showTrigger(trigger)
			decisions, err := c.Triggers.ListTriggerDecisions(ctx, &headracev1.ListTriggerDecisionsRequest{Parent: trigger.GetName(), PageSize: recent})
			if err != nil {
				return err
			}
			if len(decisions.GetDecisions()) > 0 {
				a.out.linef("")
				a.decisions(decisions.GetDecisions())
			}
			a.warnings(trigger.GetWarnings())
			return nil
		}),
	}
}

func (a *app) showTrigger(trigger *headracev1.DeclaredTrigger) {
	declared := "as a headrace_trigger"
	if trigger.GetInline() {
		declared = "in the pipeline"
	}
	a.out.fields(
		"Trigger", triggerLabel(trigger.GetName()), "Pipeline", client.Segment(trigger.GetPipeline(), "pipelines"),
		"Description", trigger.GetDescription(), "Declared", declared, "Source", sourceText(trigger),
		"Paused", pauseText(trigger.GetPause()),
	)
	if git := trigger.GetGit(); git != nil {
		for i, filter := range git.GetPush() {
			a.out.linef("push[%d]  %s", i, pushText(filter))
		}
		for i, filter := range git.GetPullRequest() {
			a.out.linef("pull_request[%d]  %s", i, pullRequestText(filter))
		}
		a.out.fields(
			"Source action", git.GetSourceAction(), "New branch", orDefault(git.GetNewBranch(), "NEW_BRANCH_", headracev1.NewBranch_NEW_BRANCH_COMPARE_DEFAULT),
			"Moved tag", orDefault(git.GetMovedTag(), "MOVED_TAG_", headracev1.MovedTag_MOVED_TAG_REFUSE),
			"Skip markers", yesNo(git.SkipMarkers == nil || git.GetSkipMarkers()), "Unknown diff", orDefault(git.GetOnUnknownDiff(), "UNKNOWN_DIFF_", headracev1.UnknownDiff_UNKNOWN_DIFF_START),
			"Coalesce", orDefault(git.GetCoalesce(), "COALESCE_", headracev1.Coalesce_COALESCE_LATEST),
		)
	}
	if hook := trigger.GetWebhook(); hook != nil {
		for _, filter := range hook.GetFilters() {
			a.out.linef("filter  %s = %s", oneLine(filter.GetJsonPath()), oneLine(filter.GetMatchEquals()))
		}
		a.out.fields("When", hook.GetWhen(), "Revisions", pairsText(hook.GetSourceRevisions()), "Idempotency key", hook.GetIdempotencyKey())
	}
	a.out.fields("Variables", pairsText(trigger.GetVariables()), "Updated", timeText(trigger.GetUpdateTime()))
}

func (a *app) explainTriggerCommand() *cobra.Command {
	request := &headracev1.ExplainTriggerRequest{}
	command := &cobra.Command{
		Use:   "explain PIPELINE",
		Short: "Explain why a commit, a ref or a delivery started an execution or did not",
		Long: `Explain what became of a commit, a ref or a delivery in a pipeline: whether it was delivered and
verified, which filter it matched or failed on, and which execution it started.`,
		Example: "  headrace trigger explain web --commit 4f1c2ab\n  headrace trigger explain web --ref main",
		Args:    cobra.ExactArgs(1),
	}
	command.Flags().StringVar(&request.Commit, "commit", "", "commit, or at least its first 7 digits")
	command.Flags().StringVar(&request.Ref, "ref", "", "ref: a branch, a tag, or a complete name such as refs/heads/main")
	command.Flags().StringVar(&request.Delivery, "delivery", "", "delivery, as WEBHOOK/DELIVERY; headrace trigger deliveries lists them")
	command.MarkFlagsOneRequired("commit", "ref", "delivery")
	command.MarkFlagsMutuallyExclusive("commit", "ref", "delivery")
	command.RunE = a.call(func(ctx context.Context, c *client.Client, args []string) error {
		request.Pipeline = pipelineName(c, args[0])
		if request.Delivery != "" {
			var err error
			if request.Delivery, err = deliveryName(c, request.GetDelivery()); err != nil {
				return err
			}
		}
		response, err := c.Triggers.ExplainTrigger(ctx, request)
		if err != nil {
			return err
		}
		if a.json() {
			return a.out.document(response)
		}
		a.out.linef("%s", oneLine(response.GetSummary()))
		a.out.linef("")
		for _, step := range response.GetSteps() {
			mark := "yes"
			if !step.GetOk() {
				mark = "no"
			}
			a.out.linef("%-10s  %-3s  %s", strings.ToLower(step.GetStep()), mark, oneLine(step.GetMessage()))
			if step.GetNextStep() != "" {
				a.out.linef("%-10s  %-3s  next: %s", "", "", oneLine(step.GetNextStep()))
			}
		}
		if len(response.GetDecisions()) > 0 {
			a.out.linef("")
			a.decisions(response.GetDecisions())
		}
		return nil
	})
	return command
}

func (a *app) testTriggerCommand() *cobra.Command {
	request := &headracev1.TestTriggerRequest{}
	var file string
	command := &cobra.Command{
		Use:   "test TRIGGER",
		Short: "Decide on an event without starting anything",
		Long: `Decide on an event as if it were delivered, without starting anything. The body is read from
--body, or from standard input if that is "-".`,
		Example: "  headrace trigger test web-main --event push --body push.json\n" +
			"  headrace trigger test web-main --event push --body push.json --changed-file web/main.go",
		Args: cobra.ExactArgs(1),
	}
	command.Flags().StringVar(&request.Event, "event", "", "name of the event at the forge, such as push; leave it out for a generic webhook")
	command.Flags().StringVar(&file, "body", "", `file that holds the body of the event; "-" for standard input`)
	command.Flags().StringToStringVar(&request.Headers, "header", nil, "header of the event, as NAME=VALUE; may be repeated")
	command.Flags().StringArrayVar(&request.ChangedFiles, "changed-file", nil, "changed file, used instead of those in the repository; may be repeated")
	required(command, "body")
	command.RunE = a.call(func(ctx context.Context, c *client.Client, args []string) error {
		var err error
		if request.Body, err = a.eventBody(file); err != nil {
			return err
		}
		request.Name = triggerName(c, args[0])
		response, err := c.Triggers.TestTrigger(ctx, request)
		if err != nil {
			return err
		}
		if a.json() {
			return a.out.document(response)
		}
		if len(response.GetDecisions()) == 0 {
			a.out.linef("the trigger does not react to this event; --event is the name of the event at the forge, such as push")
		}
		for _, decision := range response.GetDecisions() {
			a.out.linef("%s: %s", outcomeText(decision.GetOutcome()), oneLine(decision.GetMessage()))
			for _, filter := range decision.GetFilters() {
				a.out.linef("  %s: %s", filter.GetEntry(), oneLine(filter.GetMessage()))
			}
		}
		return nil
	})
	return command
}

// eventBody reads the body of an event from a file or from standard input.
func (a *app) eventBody(file string) ([]byte, error) {
	from := a.Stdin
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, usageError{err}
		}
		defer func() { _ = opened.Close() }()
		from = opened
	}
	if from == nil {
		return nil, usagef("there is no standard input: name a file with --body")
	}
	body, err := io.ReadAll(io.LimitReader(from, maxEventBytes+1))
	if err != nil {
		return nil, usageError{err}
	}
	if len(body) > maxEventBytes {
		return nil, usagef("the body has more than %d bytes", maxEventBytes)
	}
	return body, nil
}

func (a *app) pauseTriggerCommand() *cobra.Command {
	request := &headracev1.PauseTriggerRequest{}
	command := &cobra.Command{
		Use:   "pause TRIGGER",
		Short: "Keep a trigger from starting executions",
		Long: `Keep a trigger from starting executions until it is resumed. Changes that arrive during the pause
never start anything; trigger show lists them.`,
		Example: `  headrace trigger pause web-main --reason "change freeze until Monday"`,
		Args:    cobra.ExactArgs(1),
	}
	command.Flags().StringVar(&request.Reason, "reason", "", "reason, shown to users whose changes start nothing")
	required(command, "reason")
	command.RunE = a.call(func(ctx context.Context, c *client.Client, args []string) error {
		request.Name = triggerName(c, args[0])
		response, err := c.Triggers.PauseTrigger(ctx, request)
		if err != nil {
			return err
		}
		if a.json() {
			return a.out.document(response)
		}
		a.out.linef("trigger %s is paused; resume it with: %s", args[0], a.hint(c, "trigger resume "+args[0]))
		return nil
	})
	return command
}

func (a *app) resumeTriggerCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "resume TRIGGER",
		Short:   "Let a paused trigger start executions again",
		Long:    `Let a paused trigger start executions again. Changes that arrived during the pause start nothing.`,
		Example: `  headrace trigger resume web-main`,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			response, err := c.Triggers.ResumeTrigger(ctx, &headracev1.ResumeTriggerRequest{Name: triggerName(c, args[0])})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			a.out.linef("trigger %s is active", args[0])
			return nil
		}),
	}
}

func (a *app) backfillCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backfill [PIPELINE]",
		Short: "Find changes whose deliveries were lost",
		Long: `Compare the repositories that triggers watch with their remotes now, and ask forges to send failed
deliveries again. The server also does this after each start and at an interval.`,
		Example: "  headrace trigger backfill\n  headrace trigger backfill web",
		Args:    cobra.MaximumNArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			request := &headracev1.BackfillRequest{Parent: client.AccountName(c.Account)}
			if len(args) > 0 {
				request.Parent = pipelineName(c, args[0])
			}
			response, err := c.Triggers.Backfill(ctx, request)
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			var rows [][]string
			for _, found := range response.GetRepositories() {
				problem := found.GetProblem()
				if problem == "" {
					problem = "none"
				}
				rows = append(rows, []string{
					client.Segment(found.GetConnection(), "connections"), found.GetRepository(), fmt.Sprint(found.GetMovedRefs()), fmt.Sprint(found.GetRedelivered()), problem,
				})
			}
			a.out.table([]string{"CONNECTION", "REPOSITORY", "MOVED REFS", "REDELIVERED", "PROBLEM"}, rows)
			return nil
		}),
	}
}

// decisions prints decisions of triggers.
func (a *app) decisions(decisions []*headracev1.TriggerDecision) {
	var rows [][]string
	for _, decision := range decisions {
		rows = append(rows, []string{
			timeText(decision.GetDecideTime()), triggerLabel(decision.GetTrigger()), outcomeText(decision.GetOutcome()),
			shortCommit(decision.GetToCommit()), decision.GetRef(), strings.ToLower(decision.GetFoundBy()), decision.GetMessage(),
		})
	}
	a.out.table([]string{"TIME", "TRIGGER", "OUTCOME", "COMMIT", "REF", "FOUND BY", "MESSAGE"}, rows)
}

func outcomeText(outcome headracev1.TriggerOutcome) string {
	return strings.ReplaceAll(enumText(outcome, "TRIGGER_OUTCOME_"), "_", " ")
}

// shortCommit returns the digits of a commit that people read.
func shortCommit(commit string) string {
	const digits = 12
	return commit[:min(len(commit), digits)]
}

// triggerName returns the full name of a trigger.
func triggerName(c *client.Client, text string) string {
	if client.Segment(text, "triggers") != "" {
		return text
	}
	if name, action, inline := strings.Cut(text, "/"); inline {
		return client.InlineTriggerName(c.Account, name, action)
	}
	return client.TriggerName(c.Account, text)
}

// triggerLabel returns the short form of a trigger's name, which triggerName reads.
func triggerLabel(name string) string {
	trigger := client.Segment(name, "triggers")
	if of := client.Segment(name, "pipelines"); of != "" {
		return of + "/" + trigger
	}
	return trigger
}

// sourceText says what a trigger looks at.
func sourceText(trigger *headracev1.DeclaredTrigger) string {
	if git := trigger.GetGit(); git != nil {
		if git.GetConnection() == "" && git.GetRepository() == "" {
			return "source action " + git.GetSourceAction()
		}
		if git.GetConnection() == "" && trigger.GetInline() {
			return git.GetRepository() + " with the token of " + git.GetSourceAction()
		}
		return strings.TrimSpace(connectionLabel(git.GetConnection()) + " " + git.GetRepository())
	}
	return "webhook " + client.Segment(trigger.GetWebhook().GetWebhook(), "webhooks")
}

// orDefault returns a setting in the words of Terraform, for one that is not set its default.
func orDefault[E interface {
	fmt.Stringer
	~int32
}](value E, prefix string, usual E) string {
	if value == 0 {
		value = usual
	}
	return enumText(value, prefix)
}

// connectionLabel returns the name of a connection, which the configuration of a source action may
// have as an ARN.
func connectionLabel(text string) string {
	if name := client.Segment(text, "connections"); name != "" {
		return name
	}
	if _, name, isARN := strings.Cut(text, ":connection/"); isARN {
		return name
	}
	return text
}

func pauseText(pause *headracev1.TriggerPause) string {
	if pause == nil {
		return ""
	}
	return fmt.Sprintf("by %s at %s: %s", pause.GetPrincipal(), timeText(pause.GetPauseTime()), pause.GetReason())
}

func pushText(filter *headracev1.GitPushFilter) string {
	return globsText(filter.GetBranches(), filter.GetTags(), filter.GetFilePaths())
}

func pullRequestText(filter *headracev1.GitPullRequestFilter) string {
	text := globsText(filter.GetBranches(), nil, filter.GetFilePaths())
	if events := strings.Join(filter.GetEvents(), ", "); events != "" {
		return oneLine("events " + events + "; " + text)
	}
	return text
}

// globsText says what a filter entry selects.
func globsText(branches, tags, files *headracev1.GlobFilter) string {
	var parts []string
	for _, of := range []struct {
		what  string
		globs *headracev1.GlobFilter
	}{{"branches", branches}, {"tags", tags}, {"files", files}} {
		if of.globs == nil {
			continue
		}
		text := of.what
		if len(of.globs.GetIncludes()) > 0 {
			text += " " + strings.Join(of.globs.GetIncludes(), ", ")
		}
		if len(of.globs.GetExcludes()) > 0 {
			text += " but not " + strings.Join(of.globs.GetExcludes(), ", ")
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return "anything"
	}
	return oneLine(strings.Join(parts, "; "))
}
