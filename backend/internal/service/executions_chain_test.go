package service_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

// counted lets turns succeed and counts them.
type counted struct{ turns atomic.Int64 }

func (c *counted) Take(context.Context, action.Turn, action.Tools) action.Outcome {
	c.turns.Add(1)
	return action.Outcome{}
}

// What carries a turn carries on with what it made ready: a chain is one job, and no
// turn is carried twice.
func TestChainIsOneJob(t *testing.T) {
	t.Parallel()
	turns := &counted{}
	url := shared(t)
	l := newServer(t, url)
	l.take = turns.Take
	l.boot()
	l.accounts()

	const links = 40
	var chain []string
	for i := range links {
		chain = append(chain, fmt.Sprintf("~a%d", i))
	}
	l.pipeline("web", stages("", chain[:links/2], chain[links/2:]))
	e := l.start("web")
	require.NoError(t, l.Watch(t.Context(), admin, "default", e.ID, 0, func(execution.Event) error { return nil }))
	require.EqualValues(t, links, turns.turns.Load())

	db, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close(t.Context())) }()
	var jobs, completed int
	require.NoError(t, db.QueryRow(t.Context(), `SELECT count(*), count(*) FILTER (WHERE state = 'completed') FROM river_job`).Scan(&jobs, &completed))
	require.Equal(t, completed, jobs, "the commit that ended the chain completed it")
	// A chain that takes long is carried on by another job now and then.
	require.Less(t, jobs, links/4)
}
