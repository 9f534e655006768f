package postgres

import (
	"context"
	"fmt"
)

// Settings returns what a setting is in the sessions that read, and in the one that
// writes.
func (s *Store) Settings(ctx context.Context, name string) (reading, writing string, err error) {
	if err := s.reading.QueryRow(ctx, "SHOW "+name).Scan(&reading); err != nil {
		return "", "", fmt.Errorf("%s of readers: %w", name, err)
	}
	if err := s.writing.QueryRow(ctx, "SHOW "+name).Scan(&writing); err != nil {
		return "", "", fmt.Errorf("%s of the writer: %w", name, err)
	}
	return reading, writing, nil
}
