package action

import (
	"errors"
	"fmt"
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Registry holds the executors by the types of actions and rules that they carry out.
type Registry struct {
	attempts map[pipeline.TypeID]AttemptExecutor
	turns    map[pipeline.TypeID]TurnExecutor
	// added are the types in the order in which they were added.
	added []pipeline.TypeID
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{
		attempts: make(map[pipeline.TypeID]AttemptExecutor),
		turns:    make(map[pipeline.TypeID]TurnExecutor),
	}
}

// AddAttempt registers the executor of a type that runs on runners.
func (r *Registry) AddAttempt(id pipeline.TypeID, executor AttemptExecutor) {
	r.attempts[id] = executor
	r.added = append(r.added, id)
}

// AddTurn registers the executor of a type that runs in turns.
func (r *Registry) AddTurn(id pipeline.TypeID, executor TurnExecutor) {
	r.turns[id] = executor
	r.added = append(r.added, id)
}

// Attempt returns the executor for attempts of that type.
func (r *Registry) Attempt(id pipeline.TypeID) (AttemptExecutor, bool) {
	executor, ok := r.attempts[id]
	return executor, ok
}

// Turn returns the executor for turns of that type.
func (r *Registry) Turn(id pipeline.TypeID) (TurnExecutor, bool) {
	executor, ok := r.turns[id]
	return executor, ok
}

// Match checks that each type of the catalog has exactly the executor that its Work asks
// for, and that no executor is without a type.
func (r *Registry) Match(catalog *pipeline.Catalog) error {
	var wrong []error
	for _, t := range slices.Concat(catalog.Actions(), catalog.Rules()) {
		_, attempt := r.attempts[t.ID]
		_, turn := r.turns[t.ID]
		if attempt != (t.Work == pipeline.WorkAttempt) || turn != (t.Work == pipeline.WorkTurn) {
			wrong = append(wrong, fmt.Errorf("type %s needs %s", t.ID, needs(t.Work)))
		}
	}
	for i, id := range r.added {
		if _, known := catalog.Lookup(id); !known {
			wrong = append(wrong, fmt.Errorf("the executor of %s has no type in the catalog", id))
		}
		if slices.Contains(r.added[:i], id) {
			wrong = append(wrong, fmt.Errorf("type %s has more than one executor", id))
		}
	}
	return errors.Join(wrong...)
}

// needs says which executor a type with that work has.
func needs(work pipeline.Work) string {
	switch work {
	case pipeline.WorkAttempt:
		return "an executor of attempts, and none of turns"
	case pipeline.WorkTurn:
		return "an executor of turns, and none of attempts"
	default:
		return "no executor, because the engine carries it out"
	}
}
