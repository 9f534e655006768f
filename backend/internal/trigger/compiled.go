package trigger

import (
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// maxCompiled bounds the triggers whose patterns and expressions stay compiled.
const maxCompiled = 1024

// compiled keeps what the patterns and expressions of triggers compile to. A trigger that
// changes has another etag.
type compiled struct {
	triggers *lru.Cache[string, *trigger.Compiled]
}

func newCompiled() compiled {
	// The error is about the size.
	triggers, _ := lru.New[string, *trigger.Compiled](maxCompiled)
	return compiled{triggers}
}

// of returns what a trigger compiles to.
func (c compiled) of(t *ledger.Trigger) *trigger.Compiled {
	if found, ok := c.triggers.Get(t.Etag()); ok {
		return found
	}
	made := trigger.NewCompiled()
	if before, ok, _ := c.triggers.PeekOrAdd(t.Etag(), made); ok {
		return before
	}
	return made
}
