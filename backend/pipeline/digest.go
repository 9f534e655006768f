package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// Digest returns the SHA-256 of the definition as hex. Two definitions have the
// same digest exactly when they are the same field by field; an empty list is
// the same as none. A default that is written out makes a difference.
func Digest(def *Definition) string {
	canonical := *def
	canonical.Stages = slices.Clone(def.Stages)
	for i := range canonical.Stages {
		// The only list that JSON does not leave out when it is empty.
		if canonical.Stages[i].Actions == nil {
			canonical.Stages[i].Actions = []Action{}
		}
	}
	// Fields come in the order of the struct and map keys sorted, so the bytes
	// are canonical. A tree of strings, ints, lists and maps cannot fail.
	text, err := json.Marshal(canonical)
	if err != nil {
		//nolint:forbidigo // An error that cannot happen would be a burden on every caller.
		panic("pipeline: a definition does not marshal: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
