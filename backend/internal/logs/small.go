package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
)

// smallSize is how many bytes an attempt may print whose log the commit of its result keeps.
const smallSize = 16 << 10

// The first byte of a small log says in which form the rest is.
const (
	plainForm  byte = 0
	sealedForm byte = 1
)

// smallName is what a small log is sealed for. No part of a storage has such a name, so that
// an object is never taken for a small log.
func smallName(id logID, attempt int) string {
	return fmt.Sprintf("small-logs/%s%d", id.prefix(), attempt)
}

// smallForm returns what is stored of a small log.
func (s *Store) smallForm(id logID, attempt int, text []byte) ([]byte, error) {
	if s.config.Sealer == nil {
		return append([]byte{plainForm}, text...), nil
	}
	var stored bytes.Buffer
	stored.WriteByte(sealedForm)
	sealed, err := s.config.Sealer.Seal(smallName(id, attempt), &stored)
	if err != nil {
		return nil, err
	}
	if _, err := sealed.Write(text); err != nil {
		return nil, err
	}
	if err := sealed.Close(); err != nil {
		return nil, err
	}
	return stored.Bytes(), nil
}

// smallText returns what was printed of a small log.
func (s *Store) smallText(ctx context.Context, id logID, attempt int, stored []byte) ([]byte, error) {
	switch {
	case len(stored) > 0 && stored[0] == plainForm:
		return stored[1:], nil
	case len(stored) == 0 || stored[0] != sealedForm:
		return nil, errors.New("a newer headraced wrote it")
	case s.config.Sealer == nil:
		return nil, errors.New("it was encrypted with storage-key, which is not set; set it to the key of the storage")
	}
	text, err := s.config.Sealer.Unseal(ctx, smallName(id, attempt), bytes.NewReader(stored[1:]))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(text)
}

// small returns the chunks of a log that are small logs.
func (s *Store) small(ctx context.Context, id logID) ([]chunk, error) {
	if s.config.Small == nil {
		return nil, nil
	}
	found, err := s.config.Small.SmallLogs(ctx, id.execution, id.action)
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	var chunks []chunk
	for _, l := range found {
		text, err := s.smallText(ctx, id, l.Attempt, l.Data)
		if err != nil {
			return nil, fmt.Errorf("read log of attempt %s/%d: %w", id.action, l.Attempt, err)
		}
		if len(text) > 0 {
			chunks = append(chunks, chunk{attempt: l.Attempt, start: l.Start, end: math.MaxInt64, data: text})
		}
	}
	return chunks, nil
}

// Small implements action.Log.
func (w *writer) Small() *action.SmallLog {
	if w.store.config.Small == nil || w.log == nil || w.finish() != nil {
		return nil
	}
	w.putting <- struct{}{}
	defer func() { <-w.putting }()
	w.log.mu.Lock()
	text := w.buffer
	small := w.start == w.begin && w.stored == 0 && len(text) <= smallSize && !w.log.removed
	w.log.mu.Unlock()
	if !small {
		return nil
	}
	data, err := w.store.smallForm(w.log.id, w.attempt, text)
	if err != nil {
		// Close tries the bucket, and says what is wrong.
		return nil
	}
	return &action.SmallLog{Attempt: w.attempt, Start: w.start, Data: data}
}

// Kept implements action.Log.
func (w *writer) Kept() {
	w.putting <- struct{}{}
	w.closed = true
	<-w.putting
	w.leave()
}
