package ledger

import (
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// SourceAction returns the source action of that name, or nil.
func SourceAction(def *pipeline.Definition, name string) *pipeline.Action {
	for i := range def.Stages {
		for j := range def.Stages[i].Actions {
			if a := &def.Stages[i].Actions[j]; a.Name == name && a.Category == pipeline.CategorySource {
				return a
			}
		}
	}
	return nil
}

// ConnectionName returns the name of a connection of an account, which may be written as its
// arn, its resource name or the name alone. It is empty for any other text.
func ConnectionName(account, written string) string {
	for _, prefix := range []string{"arn:headrace:connections::" + account + ":connection/", "accounts/" + account + "/connections/"} {
		if name, ok := strings.CutPrefix(written, prefix); ok {
			return name
		}
	}
	if strings.ContainsAny(written, ":/") {
		return ""
	}
	return written
}
