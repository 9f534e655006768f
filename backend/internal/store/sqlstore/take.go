package sqlstore

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// greatest is behind the names of all runners. A range with two ends is what PostgreSQL
// takes for few rows as long as it knows nothing of them, and looks up in an index.
const greatest = "\U0010FFFF"

// held selects the attempts that somebody holds, by the index of those. Without a range of
// names PostgreSQL may read all that wait.
const held = `runner <> '' AND runner > '' AND runner < '` + greatest + `'`

// free selects, among attempts with an id, the one that nobody holds. It does not match the
// condition of the partial indexes of waiting attempts. Without statistics PostgreSQL may prefer
// one of those to the primary key and read all of it for one id, with the entries of all
// attempts that waited since the last vacuum.
const free = `coalesce(runner, '') = ''`

// fairly names whose attempt is the next. Accounts that wait are walked through in a
// circle of their names, from the one whose turn it was last, up to the first that
// holds nothing; without one it is that with the fewest. The pipelines of that account
// follow by the same rule. The walk passes those alone that hold something, which are no
// more than there are slots of runners: neither ten thousand attempts that wait nor ten
// thousand pipelines make it longer. Its two laps, from the last one and from the
// beginning, are what makes a circle. If all attempts that wait are of one account, or of one
// pipeline of it, CASE skips the walk, which halves the CPU time on SQLite.
const fairly = `WITH RECURSIVE held (account, pipeline_id, attempts) AS (
	SELECT account, pipeline_id, count(*) FROM leases
	WHERE ` + held + ` GROUP BY account, pipeline_id
), held_by_account (account, attempts) AS (
	SELECT account, sum(attempts) FROM held GROUP BY account
), accounts_waiting (account, lap, found) AS (
	SELECT last, 1, 0 FROM shares WHERE account = ''
	UNION ALL
	SELECT account, 2, 0 FROM shares WHERE account = ''
	UNION ALL
	SELECT (SELECT l.account FROM leases AS l WHERE l.runner = '' AND l.account > w.account ORDER BY l.account LIMIT 1), w.lap, 1
	FROM accounts_waiting AS w
	WHERE w.account IS NOT NULL AND (w.found = 0 OR EXISTS (SELECT 1 FROM held_by_account AS h WHERE h.account = w.account))
), next_account (account) AS (
	SELECT CASE (SELECT min(account) FROM leases WHERE runner = '') WHEN (SELECT max(account) FROM leases WHERE runner = '')
	THEN (SELECT min(account) FROM leases WHERE runner = '')
	ELSE (
		SELECT w.account FROM accounts_waiting AS w LEFT JOIN held_by_account AS h ON h.account = w.account
		WHERE w.found = 1 AND w.account IS NOT NULL
		ORDER BY coalesce(h.attempts, 0), w.lap, w.account LIMIT 1
	) END
), pipelines_waiting (account, pipeline_id, lap, found) AS (
	SELECT account, last, 1, 0 FROM shares WHERE account = (SELECT account FROM next_account)
	UNION ALL
	SELECT n.account, s.account, 2, 0 FROM next_account AS n, shares AS s WHERE s.account = ''
	UNION ALL
	SELECT w.account, (
		SELECT l.pipeline_id FROM leases AS l
		WHERE l.runner = '' AND l.account = w.account AND l.pipeline_id > w.pipeline_id ORDER BY l.pipeline_id LIMIT 1
	), w.lap, 1
	FROM pipelines_waiting AS w
	WHERE w.pipeline_id IS NOT NULL AND (w.found = 0 OR EXISTS (
		SELECT 1 FROM held AS h WHERE h.account = w.account AND h.pipeline_id = w.pipeline_id
	))
), next_pipeline (account, pipeline_id) AS (
	SELECT n.account, CASE (SELECT min(pipeline_id) FROM leases WHERE runner = '' AND account = n.account)
	WHEN (SELECT max(pipeline_id) FROM leases WHERE runner = '' AND account = n.account)
	THEN (SELECT min(pipeline_id) FROM leases WHERE runner = '' AND account = n.account)
	ELSE (
		SELECT w.pipeline_id FROM pipelines_waiting AS w
		LEFT JOIN held AS h ON h.account = w.account AND h.pipeline_id = w.pipeline_id
		WHERE w.found = 1 AND w.pipeline_id IS NOT NULL
		ORDER BY coalesce(h.attempts, 0), w.lap, w.pipeline_id LIMIT 1
	) END
	FROM next_account AS n
)`

// AcquireLease implements store.Tx. Where others take all of the pipeline whose turn it is
// at the same time, the oldest of any is taken: nobody waits for anybody.
func (t *Tx) AcquireLease(ctx context.Context, take store.LeaseRequest) (*execution.Lease, bool, error) {
	skip := t.conn.SkipLocked()
	var more bool
	scan := func(rows *row) (*execution.Lease, error) { return scanLease(rows, &more) }
	found, err := list(ctx, t, scan, fairly+`
UPDATE leases SET runner = $1, until = $2 WHERE action_execution_id = coalesce(
	(SELECT action_execution_id FROM leases
		WHERE action_execution_id = $3 AND `+free+` AND pipeline_id = (SELECT pipeline_id FROM next_pipeline)`+skip+`),
	(SELECT action_execution_id FROM leases
		WHERE runner = '' AND account = (SELECT account FROM next_pipeline) AND pipeline_id = (SELECT pipeline_id FROM next_pipeline)
		ORDER BY queued_at, action_execution_id LIMIT 1`+skip+`),
	(SELECT action_execution_id FROM leases WHERE runner = '' ORDER BY queued_at, action_execution_id LIMIT 1`+skip+`)
) AND `+free+` RETURNING `+leaseTable.columns+`,
	EXISTS (SELECT 1 FROM leases AS l WHERE l.runner = '' AND l.action_execution_id <> leases.action_execution_id)`,
		take.Runner, micros(take.Until), take.Prefer)
	lease, err := first(found, "an attempt that nobody holds", err)
	if err != nil {
		return nil, false, err
	}
	return lease, more, t.noteServed(ctx, lease)
}

// served is what the row of an account, or the one of all accounts, says after a turn.
const served = `CASE account WHEN '' THEN $1 ELSE $2 END`

// noteServed notes whose turn it was. A row that somebody else notes the same in is left
// alone, since nobody is to wait for that, and so is one that says so already.
func (t *Tx) noteServed(ctx context.Context, lease *execution.Lease) error {
	return t.later(ctx, "shares of account "+lease.Attempt.Account,
		`UPDATE shares SET last = `+served+` WHERE account IN (
			SELECT account FROM shares WHERE account IN ('', $1) AND last <> `+served+t.conn.SkipLocked()+`)`,
		lease.Attempt.Account, lease.Scope.PipelineID)
}
