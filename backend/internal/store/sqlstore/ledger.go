package sqlstore

import (
	"context"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// Statements of repositories.
var (
	repositoryTable         = newTable("repositories", repositoryColumns(nil, &ledger.Repository{}))
	repositoryQuery         = repositoryTable.query(`WHERE id = $1`)
	repositoryNamedQuery    = repositoryTable.query(`WHERE account = $1 AND connection = $2 AND name = $3`)
	repositoryNumberedQuery = repositoryTable.query(`WHERE account = $1 AND connection = $2 AND forge_id = $3`)
	repositoriesQuery       = repositoryTable.query(`WHERE id > $1 AND ($2 = '' OR account = $2) AND ($3 = '' OR connection = $3) ORDER BY id LIMIT $4`)
	repositoryInsertQuery   = repositoryTable.insert + ` ON CONFLICT DO NOTHING`
)

func repositoryColumns(c []column, r *ledger.Repository) []column {
	return append(c,
		text(identity, "id", &r.ID),
		text(constant, "account", &r.Account),
		text(constant, "connection", &r.Connection),
		text(variable, "name", &r.Name),
		number(variable, "forge_id", &r.ForgeID),
		record(variable, "details", &r.RepositoryDetails),
		instant(constant, "created_at", &r.CreatedAt),
	)
}

func scanRepository(rows *row) (ledger.Repository, error) {
	var r ledger.Repository
	err := scan(rows, repositoryColumns(rows.columns[:0], &r))
	return r, err
}

// Repository implements store.Reader.
func (t *Tx) Repository(ctx context.Context, id string) (ledger.Repository, error) {
	found, err := list(ctx, t, scanRepository, repositoryQuery, id)
	return first(found, "repository "+id, err)
}

// RepositoryNamed implements store.Reader.
func (t *Tx) RepositoryNamed(ctx context.Context, account, connection, name string) (ledger.Repository, error) {
	found, err := list(ctx, t, scanRepository, repositoryNamedQuery, account, connection, name)
	return first(found, "repository "+name, err)
}

// RepositoryNumbered implements store.Reader.
func (t *Tx) RepositoryNumbered(ctx context.Context, account, connection string, forgeID int64) (ledger.Repository, error) {
	found, err := list(ctx, t, scanRepository, repositoryNumberedQuery, account, connection, forgeID)
	return first(found, "repository", err)
}

// Repositories implements store.Reader.
func (t *Tx) Repositories(ctx context.Context, account, connection string, page store.Page) ([]ledger.Repository, error) {
	return list(ctx, t, scanRepository, repositoriesQuery, page.After, account, connection, limit(page.Size))
}

// CreateRepository implements store.Tx.
func (t *Tx) CreateRepository(ctx context.Context, r ledger.Repository) error {
	args, err := insertArgs(make([]any, 0, repositoryTable.inserted), repositoryColumns(t.columns[:0], &r))
	if err != nil {
		return err
	}
	return t.changed(ctx, store.ErrStale, "repository "+r.Name, repositoryInsertQuery, args...)
}

// UpdateRepository implements store.Tx.
func (t *Tx) UpdateRepository(ctx context.Context, r ledger.Repository) error {
	return t.updateNow(ctx, store.ErrNotFound, "repository "+r.Name, &repositoryTable, repositoryColumns(t.columns[:0], &r))
}

// DeleteRepository implements store.Tx.
func (t *Tx) DeleteRepository(ctx context.Context, id string) error {
	return t.exec(ctx, "repository "+id,
		`DELETE FROM repositories WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM triggers WHERE repository_id = $1)`, id)
}

// Statements of refs.
var (
	refTable       = newTable("refs", refColumns(nil, &ledger.Ref{}))
	refsQuery      = refTable.query(`WHERE repository_id = $1 ORDER BY ref`)
	refInsertQuery = refTable.insert + ` ON CONFLICT DO NOTHING`
	// The index of moves begins with these columns.
	refAndMadeQuery = `SELECT ` + refTable.columns + `, EXISTS (SELECT 1 FROM moves AS m
	WHERE m.repository_id = $1 AND m.ref = $2 AND m.from_head = $3 AND m.to_head = $4)
FROM refs WHERE repository_id = $1 AND ref = $2`
)

func refColumns(c []column, r *ledger.Ref) []column {
	return append(c,
		text(identity, "repository_id", &r.RepositoryID),
		text(identity, "ref", &r.Ref),
		text(variable, "head", &r.Head),
		number(variable, "move", &r.Move),
		instant(variable, "seen_at", &r.SeenAt),
		text(variable, "found_by", &r.FoundBy),
	)
}

func scanRef(rows *row) (ledger.Ref, error) {
	var r ledger.Ref
	err := scan(rows, refColumns(rows.columns[:0], &r))
	return r, err
}

// Ref implements store.Reader.
func (t *Tx) Ref(ctx context.Context, repositoryID, ref, from, to string) (ledger.Ref, bool, error) {
	var made bool
	found, err := list(ctx, t, func(rows *row) (ledger.Ref, error) {
		var r ledger.Ref
		err := scan(rows, refColumns(rows.columns[:0], &r), &made)
		return r, err
	}, refAndMadeQuery, repositoryID, ref, from, to)
	known, err := first(found, "ref "+ref, err)
	return known, made, err
}

// Refs implements store.Reader.
func (t *Tx) Refs(ctx context.Context, repositoryID string) ([]ledger.Ref, error) {
	return list(ctx, t, scanRef, refsQuery, repositoryID)
}

// CreateRef implements store.Tx.
func (t *Tx) CreateRef(ctx context.Context, r ledger.Ref) error {
	args, err := insertArgs(make([]any, 0, refTable.inserted), refColumns(t.columns[:0], &r))
	if err != nil {
		return err
	}
	return t.changedLater(ctx, store.ErrStale, "ref "+r.Ref, refInsertQuery, args...)
}

// Statements of moves.
var (
	moveTable         = newTable("moves", moveColumns(nil, &ledger.Move{}))
	moveNumberedQuery = moveTable.query(`WHERE repository_id = $1 AND ref = $2 AND number = $3`)
	movesToQuery      = moveTable.query(`WHERE repository_id = $1 AND to_head >= $2 AND to_head < $3 ORDER BY moved_at DESC, ref LIMIT $4`)
)

func moveColumns(c []column, m *ledger.Move) []column {
	return append(c,
		text(identity, "repository_id", &m.RepositoryID),
		text(identity, "ref", &m.Ref),
		text(identity, "from_head", &m.From),
		text(identity, "to_head", &m.To),
		number(identity, "number", &m.Number),
		text(constant, "found_by", &m.FoundBy),
		text(constant, "delivery_id", &m.DeliveryID),
		instant(constant, "moved_at", &m.At),
		record(constant, "event", &m.Event),
	)
}

func scanMove(rows *row) (ledger.Move, error) {
	var m ledger.Move
	err := scan(rows, moveColumns(rows.columns[:0], &m))
	return m, err
}

// MoveNumbered implements store.Reader.
func (t *Tx) MoveNumbered(ctx context.Context, repositoryID, ref string, number int64) (ledger.Move, error) {
	found, err := list(ctx, t, scanMove, moveNumberedQuery, repositoryID, ref, number)
	return first(found, "move of "+ref, err)
}

// MovesTo implements store.Reader.
func (t *Tx) MovesTo(ctx context.Context, repositoryID, prefix string, size int) ([]ledger.Move, error) {
	return list(ctx, t, scanMove, movesToQuery, repositoryID, prefix, prefix+greatest, limit(size))
}

// MoveRef implements store.Tx.
func (t *Tx) MoveRef(ctx context.Context, m ledger.Move, known bool) error {
	what := "ref " + m.Ref
	if known {
		if err := t.changedLater(ctx, store.ErrStale, what,
			`UPDATE refs SET head = $5, move = $4, seen_at = $6, found_by = $7
			WHERE repository_id = $1 AND ref = $2 AND head = $3 AND move = $4 - 1`,
			m.RepositoryID, m.Ref, m.From, m.Number, m.To, micros(m.At), string(m.FoundBy)); err != nil {
			return err
		}
	} else if err := t.CreateRef(ctx, ledger.Ref{
		RepositoryID: m.RepositoryID, Ref: m.Ref, Head: m.To, Move: m.Number, SeenAt: m.At, FoundBy: m.FoundBy,
	}); err != nil {
		return err
	}
	return t.insertLater(ctx, "move of "+m.Ref, moveTable.insert, moveColumns(t.columns[:0], &m))
}

// RecordFirstMove implements store.Tx.
func (t *Tx) RecordFirstMove(ctx context.Context, m ledger.Move) error {
	what := "ref " + m.Ref
	if err := t.changedLater(ctx, store.ErrStale, what,
		`UPDATE refs SET move = $4, seen_at = $5, found_by = $6 WHERE repository_id = $1 AND ref = $2 AND head = $3 AND move = 0`,
		m.RepositoryID, m.Ref, m.To, m.Number, micros(m.At), string(m.FoundBy)); err != nil {
		return err
	}
	return t.insertLater(ctx, "move of "+m.Ref, moveTable.insert, moveColumns(t.columns[:0], &m))
}

// RemoveMoves implements store.Tx.
func (t *Tx) RemoveMoves(ctx context.Context, before time.Time, size int) (int, error) {
	key := strings.Join([]string{"repository_id", "ref", "from_head", "to_head", "number"}, ", ")
	removed, err := list(ctx, t, scanText, `DELETE FROM moves WHERE (`+key+`) IN (
		SELECT `+key+` FROM moves WHERE moved_at < $1 LIMIT $2) RETURNING ref`, micros(before), limit(size))
	return len(removed), err
}
