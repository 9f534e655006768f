package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
)

const (
	storedSize  = 256 << 20
	storedPiece = 32 << 10
	storedTimes = 5
	storageGoal = "ratio >= 0.5"
)

// measureStorage measures artifacts and logs in a directory beside a copy of a file that
// hashes what it copies. A copy and what it is the limit of are measured in turns, since
// disks have moods.
func (r *run) measureStorage(ctx context.Context) error {
	dir := filepath.Join(r.dir, "storage")
	if err := os.MkdirAll(filepath.Join(dir, "files"), 0o700); err != nil {
		return err
	}
	url := blob.DirectoryURL(dir)
	trees, err := blob.Open(ctx, url, "artifacts")
	if err != nil {
		return err
	}
	bucket, err := blob.Open(ctx, url, "logs")
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	s := &storageBench{dir: dir, root: root, artifacts: artifact.New(trees, dir), logs: logs.New(bucket.Unsynced(), logs.Config{Limit: 2 * storedSize})}
	for _, what := range []struct {
		name string
		do   func(ctx context.Context, time int) error
		// synced is set where what is done survives a crash of the machine.
		synced  bool
		limitIs string
	}{
		{"artifact_put", s.put, true, "copy with SHA-256 and fsync"},
		{"artifact_get", s.get, false, "copy with SHA-256"},
		{"log_write", s.write, false, "copy with SHA-256"},
		{"log_read", s.read, false, "copy with SHA-256"},
	} {
		var took, copied []time.Duration
		for i := range storedTimes {
			for _, one := range []struct {
				into *[]time.Duration
				do   func() error
			}{
				{&copied, func() error { return s.copy(what.synced) }},
				{&took, func() error { return what.do(ctx, i) }},
			} {
				if err := s.source(i); err != nil {
					return err
				}
				begun := time.Now()
				if err := one.do(); err != nil {
					return fmt.Errorf("%s: %w", what.name, err)
				}
				*one.into = append(*one.into, time.Since(begun))
			}
		}
		if r.wants(what.name) {
			r.value(what.name, rateOf(took), "MB/s", rateOf(copied), what.limitIs, storageGoal)
		}
	}
	return nil
}

// rateOf returns MB/s of the median.
func rateOf(took []time.Duration) float64 { return storedSize / 1e6 / at(took, 50).Seconds() }

// storageBench is a storage with one file beside it.
type storageBench struct {
	dir       string
	root      *os.Root
	artifacts *artifact.Store
	logs      *logs.Store
	stored    []action.Artifact
}

// source makes the file, another one each time.
func (s *storageBench) source(time int) (err error) {
	file, err := os.Create(filepath.Join(s.dir, "files", "file"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	piece := make([]byte, storedPiece)
	for i := range storedSize / storedPiece {
		copy(piece, fmt.Sprintf("%d %d some package compiled, and 3 more to go\n", time, i))
		if _, err := file.Write(piece); err != nil {
			return err
		}
	}
	return file.Sync()
}

func (s *storageBench) copy(synced bool) (err error) {
	from, err := os.Open(filepath.Join(s.dir, "files", "file"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := os.Create(filepath.Join(s.dir, "copy"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if _, err := io.CopyBuffer(io.MultiWriter(to, sha256.New()), from, make([]byte, storedPiece)); err != nil || !synced {
		return err
	}
	return to.Sync()
}

func (s *storageBench) put(ctx context.Context, _ int) error {
	stored, err := s.artifacts.Store(ctx, "made", s.root, action.Files{Dir: "files"})
	s.stored = append(s.stored, stored.Artifact)
	return err
}

func (s *storageBench) get(ctx context.Context, time int) error {
	out := fmt.Sprintf("out%d", time)
	if err := s.root.Mkdir(out, 0o700); err != nil {
		return err
	}
	return s.artifacts.Fetch(ctx, s.stored[time], s.root, out)
}

func (s *storageBench) attempt(time int) *action.Attempt {
	return &action.Attempt{Scope: action.Scope{ExecutionID: fmt.Sprintf("e%d", time), ActionExecutionID: "a"}, Number: 1}
}

func (s *storageBench) write(_ context.Context, time int) (err error) {
	from, err := os.Open(filepath.Join(s.dir, "files", "file"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	log := s.logs.Writer(s.attempt(time))
	_, err = io.CopyBuffer(struct{ io.Writer }{log}, from, make([]byte, storedPiece))
	return errors.Join(err, log.Close())
}

func (s *storageBench) read(ctx context.Context, time int) error {
	of := s.attempt(time)
	log, err := s.logs.Open(ctx, of.ExecutionID, of.ActionExecutionID)
	if err != nil {
		return err
	}
	defer log.Close()
	piece := make([]byte, storedPiece)
	for place := int64(0); ; {
		n, err := log.Read(ctx, piece, place)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		place += int64(n)
	}
}
