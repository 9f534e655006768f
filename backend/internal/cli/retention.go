package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// retentionTimeout is how long an application of the policy may take. What it does not
// reach the server does by itself, or the next one.
const retentionTimeout = 30 * time.Minute

func (a *app) retentionCommand() *cobra.Command {
	dryRun := false
	apply := &cobra.Command{
		Use:   "apply",
		Short: "Remove the logs and artifacts that the retention settings do not keep",
		Long: `Remove the logs and artifacts that the server's retention settings do not keep. The
records of executions remain: what ran, how it ended and who approved it.

The server does this every hour if retention-age or retention-count is set. If neither
is set, the command only removes stored artifacts that no execution uses: those of
deleted pipelines and of actions that were lost. An artifact is removed when it is older
than a day and has not been used for an hour.

With --dry-run, the command removes nothing. It requires the admin role in all accounts.`,
		Example: `  headrace retention apply --dry-run`,
		Args:    cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			ctx, cancel := context.WithTimeout(ctx, retentionTimeout)
			defer cancel()
			response, err := c.Retention.ApplyRetention(ctx, &headracev1.ApplyRetentionRequest{ValidateOnly: dryRun})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			a.showRetention(response, dryRun)
			return nil
		}),
	}
	apply.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be removed, and remove nothing")
	return group("retention", "Remove old logs and artifacts", apply)
}

func (a *app) showRetention(response *headracev1.ApplyRetentionResponse, dryRun bool) {
	var rows [][]string
	for _, removal := range response.GetRemovals() {
		name := removal.GetExecution()
		rows = append(rows, []string{
			client.Segment(name, "accounts"), fmt.Sprintf("%s#%d", client.Segment(name, "pipelines"), removal.GetNumber()),
			timeText(removal.GetEndTime()), removal.GetReason(),
		})
	}
	if len(rows) > 0 {
		a.out.table([]string{"ACCOUNT", "EXECUTION", "ENDED", "REASON"}, rows)
	}
	if more := int(response.GetExecutionCount()) - len(rows); more > 0 {
		a.out.linef("and %d more", more)
	}
	unused := response.GetUnusedArtifacts()
	if dryRun {
		a.out.linef("would remove the logs and artifacts of %d executions, and with them %d stored artifacts (%d bytes) that nothing else uses",
			response.GetExecutionCount(), unused.GetArtifacts(), unused.GetBytes())
	} else {
		removed := response.GetRemovedArtifacts()
		a.out.linef("removed the logs and artifacts of %d executions, and %d stored artifacts (%d bytes)",
			response.GetExecutionCount(), removed.GetArtifacts(), removed.GetBytes())
		if left := unused.GetArtifacts() - removed.GetArtifacts(); left > 0 {
			a.out.linef("%d more artifacts (%d bytes) are removed once they are older than a day and unused for an hour",
				left, unused.GetBytes()-removed.GetBytes())
		}
	}
	a.out.linef("%s", policyText(response.GetPolicy()))
}

func policyText(p *headracev1.RetentionPolicy) string {
	var kept []string
	if p.GetAge() != nil {
		kept = append(kept, "for "+p.GetAge().AsDuration().String()+" after the end")
	}
	if p.GetCount() > 0 {
		kept = append(kept, fmt.Sprintf("of the newest %d executions of each pipeline", p.GetCount()))
	}
	if len(kept) == 0 {
		return "the server keeps the logs and artifacts of all executions"
	}
	if p.GetKeepLastSuccessful() {
		kept = append(kept, "of what each stage has succeeded with last")
	}
	return "the server keeps logs and artifacts " + strings.Join(kept, ", and ")
}

// checkLogs refuses to print logs that retention removed.
func checkLogs(e *headracev1.Execution) error {
	if at := e.GetOutputsRemoveTime(); at != nil {
		return fmt.Errorf("the logs of %s were removed by retention on %s", label(e), timeText(at))
	}
	return nil
}

// removedText is empty while the logs and artifacts of an execution are there.
func removedText(e *headracev1.Execution) string {
	at := e.GetOutputsRemoveTime()
	if at == nil {
		return ""
	}
	return "removed by retention at " + timeText(at)
}
