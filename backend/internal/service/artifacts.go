package service

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

const (
	// downloadsOfCaller bounds the downloads of artifacts of one caller that are open, and so
	// the memory of those that nobody reads.
	downloadsOfCaller = 16
	// downloadPiece is how much is sent at once, for the reason of logChunk.
	downloadPiece = 31 << 10
)

// ArtifactsConfig is what the use cases of artifacts need.
type ArtifactsConfig struct {
	Store     store.Store
	Artifacts *artifact.Store
}

// Artifacts are the use cases that show what executions made.
type Artifacts struct {
	config ArtifactsConfig
	// verifying are slots for reading whole artifacts.
	verifying *fairSlots

	mu sync.Mutex
	// downloads counts those of each caller.
	downloads map[string]int
}

// NewArtifacts returns the use cases of artifacts.
func NewArtifacts(config ArtifactsConfig) *Artifacts {
	return &Artifacts{config: config, verifying: newFairSlots("reads of artifacts"), downloads: make(map[string]int)}
}

// ExecutionArtifact is an artifact with the action that made it; Action is nil if another execution
// made it.
type ExecutionArtifact struct {
	action.Artifact

	Stage  string
	Action *execution.Action
}

// List returns the artifacts of an execution.
func (x *Artifacts) List(ctx context.Context, who auth.Identity, account, executionID string) ([]ExecutionArtifact, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return nil, err
	}
	e, err := readExecution(ctx, x.config.Store, account, executionID)
	if err != nil {
		return nil, err
	}
	if !e.OutputsRemovedAt.IsZero() {
		return nil, removedByRetention(e)
	}
	return artifactsOf(e), nil
}

// artifactsOf returns the artifacts that an execution made, and then those that it took from another
// one.
func artifactsOf(e *execution.Execution) []ExecutionArtifact {
	var made, taken []ExecutionArtifact
	has := func(all []ExecutionArtifact, of action.Artifact) bool {
		return slices.ContainsFunc(all, func(a ExecutionArtifact) bool { return a.Name == of.Name && a.Digest == of.Digest })
	}
	for _, stage := range e.Stages {
		for _, a := range stage.Actions {
			for _, output := range a.Details.Outputs {
				made = append(made, ExecutionArtifact{Artifact: output, Stage: stage.Name, Action: a})
			}
		}
	}
	for _, stage := range e.Stages {
		for _, a := range stage.Actions {
			for _, input := range a.Details.Inputs {
				if !has(made, input) && !has(taken, input) {
					taken = append(taken, ExecutionArtifact{Artifact: input})
				}
			}
		}
	}
	return append(made, taken...)
}

// ArtifactName says which artifact of an execution is wanted.
type ArtifactName struct {
	ExecutionID, Name string
	// Digest is empty for the artifact that counts: the newest that no retry replaced.
	Digest string
}

// Open verifies an artifact of an execution, and returns it with its name.
func (x *Artifacts) Open(ctx context.Context, who auth.Identity, account string, of ArtifactName) (*artifact.Opened, action.Artifact, error) {
	all, err := x.List(ctx, who, account, of.ExecutionID)
	if err != nil {
		return nil, action.Artifact{}, err
	}
	found, err := findArtifact(all, of)
	if err != nil {
		return nil, found, err
	}
	if !x.config.Artifacts.Verified(found.Digest) {
		end, err := x.verifying.begin(ctx, nil, account, who.Token)
		if err != nil {
			return nil, found, err
		}
		defer end()
	}
	opened, err := x.config.Artifacts.Open(ctx, found)
	return opened, found, artifactRefusal(err)
}

func findArtifact(all []ExecutionArtifact, of ArtifactName) (action.Artifact, error) {
	var names []string
	var found *ExecutionArtifact
	for i := range all {
		a := &all[i]
		if !slices.Contains(names, a.Name) {
			names = append(names, a.Name)
		}
		counts := a.Action == nil || !a.Action.Retried
		if a.Name == of.Name && (a.Digest == of.Digest || of.Digest == "" && (counts || found == nil)) {
			found = a
		}
	}
	switch {
	case found != nil:
		return found.Artifact, nil
	case len(names) == 0:
		return action.Artifact{}, refuse(KindNotFound, pipeline.ReasonNotFound, "execution %q has no artifacts", of.ExecutionID)
	case of.Digest != "" && slices.Contains(names, of.Name):
		return action.Artifact{}, refuse(KindNotFound, pipeline.ReasonNotFound, "execution %q has no artifact %q with the digest %q", of.ExecutionID, of.Name, of.Digest)
	}
	return action.Artifact{}, refuse(KindNotFound, pipeline.ReasonNotFound, "execution %q has no artifact %q; its artifacts are %s", of.ExecutionID, of.Name, strings.Join(names, ", "))
}

// artifactRefusal puts what the store says of an artifact into the words of use cases.
func artifactRefusal(err error) error {
	switch {
	case errors.Is(err, artifact.ErrNotStored):
		return refuse(KindNotFound, pipeline.ReasonNotFound, "%s", err)
	case errors.Is(err, artifact.ErrNoFile):
		return refuse(KindNotFound, pipeline.ReasonNotFound, "%s", err)
	case errors.Is(err, artifact.ErrDamaged):
		return refuse(KindDataLoss, "", "%s", err)
	}
	return err
}

// ArtifactPart says which part of an artifact is wanted.
type ArtifactPart struct {
	ArtifactName

	// Path is that of a file; empty for all of the artifact as a tar.
	Path string
	// Offset is the first byte, Bytes how many are wanted at most; 0 for all.
	Offset, Bytes int64
}

// ArtifactContent says what is sent of an artifact.
type ArtifactContent struct {
	Artifact action.Artifact
	// File is nil for a tar.
	File *artifact.File
	// Size is that of the file or the tar.
	Size int64
}

// Get calls begin and then emit with each piece of an artifact, or of one of its files.
func (x *Artifacts) Get(
	ctx context.Context, who auth.Identity, account string, part ArtifactPart, begin func(ArtifactContent) error, emit func(offset int64, data []byte) error,
) error {
	if err := authorize(who, auth.Read, account); err != nil {
		return err
	}
	leave, err := x.enter(who.Token)
	if err != nil {
		return err
	}
	defer leave()
	opened, of, err := x.Open(ctx, who, account, part.ArtifactName)
	if err != nil {
		return err
	}
	content := ArtifactContent{Artifact: of, Size: opened.Size()}
	read := opened.Read
	if part.Path != "" {
		file, err := regularFile(ctx, opened, part.Path)
		if err != nil {
			return err
		}
		content.File, content.Size = &file, file.Size
		read = func(ctx context.Context, offset, length int64, give func([]byte) error) error {
			return opened.ReadFile(ctx, file, offset, length, give)
		}
	}
	if err := begin(content); err != nil {
		return err
	}
	offset, length := min(part.Offset, content.Size), content.Size
	if part.Bytes > 0 {
		length = part.Bytes
	}
	return artifactRefusal(read(ctx, offset, length, func(data []byte) error {
		for piece := range slices.Chunk(data, downloadPiece) {
			if err := emit(offset, piece); err != nil {
				return err
			}
			offset += int64(len(piece))
		}
		return nil
	}))
}

func regularFile(ctx context.Context, opened *artifact.Opened, path string) (artifact.File, error) {
	file, err := opened.Find(ctx, path)
	if err != nil {
		return file, artifactRefusal(err)
	}
	switch {
	case file.Target != "":
		return file, refuse(KindInvalid, "", "%q is a symlink to %q; get that file, or the whole artifact", path, file.Target)
	case !file.Mode.IsRegular():
		return file, refuse(KindInvalid, "", "%q is a directory; get a file in it, or the whole artifact", path)
	}
	return file, nil
}

// enter counts one more download of a caller, until leave is called; or refuses it.
func (x *Artifacts) enter(caller string) (leave func(), err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.downloads[caller] >= downloadsOfCaller {
		return nil, tooMany("as many %s are open as one caller may have (%d): let some end first", "downloads of artifacts", downloadsOfCaller)
	}
	x.downloads[caller]++
	return func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.downloads[caller]--; x.downloads[caller] == 0 {
			delete(x.downloads, caller)
		}
	}, nil
}
