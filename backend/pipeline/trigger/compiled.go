package trigger

import (
	"sync"

	"github.com/theory/jsonpath"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/expression"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pathglob"
)

// Compiled keeps what the patterns and expressions of one declaration compile to, for callers
// that decide by it more than once. Its size is bounded by that of the declaration. Several
// goroutines may use it at once. A nil Compiled keeps nothing.
type Compiled struct {
	mu         sync.Mutex
	globs      map[string]*pathglob.Glob
	paths      map[string]*jsonpath.Path
	conditions map[scoped]*expression.EventCondition
	texts      map[scoped]*expression.EventText
}

// scoped is an expression, which compiles by what it is about.
type scoped struct {
	scope expression.Scope
	text  string
}

// NewCompiled returns a Compiled for one declaration.
func NewCompiled() *Compiled {
	return &Compiled{
		globs: make(map[string]*pathglob.Glob), paths: make(map[string]*jsonpath.Path),
		conditions: make(map[scoped]*expression.EventCondition), texts: make(map[scoped]*expression.EventText),
	}
}

func (c *Compiled) glob(pattern string) (*pathglob.Glob, error) {
	if c == nil {
		return pathglob.Compile(pattern)
	}
	return once(c, c.globs, pattern, pathglob.Compile)
}

func (c *Compiled) path(text string) (*jsonpath.Path, error) {
	if c == nil {
		return parsePath(text)
	}
	return once(c, c.paths, text, parsePath)
}

func (c *Compiled) condition(e scoped) (*expression.EventCondition, error) {
	compile := func(e scoped) (*expression.EventCondition, error) {
		return expression.CompileEventCondition(e.scope, e.text)
	}
	if c == nil {
		return compile(e)
	}
	return once(c, c.conditions, e, compile)
}

func (c *Compiled) text(e scoped) (*expression.EventText, error) {
	compile := func(e scoped) (*expression.EventText, error) { return expression.CompileEventText(e.scope, e.text) }
	if c == nil {
		return compile(e)
	}
	return once(c, c.texts, e, compile)
}

// once compiles what was not compiled before. Two goroutines may compile the same at once,
// which does no harm.
func once[K comparable, V any](c *Compiled, kept map[K]V, key K, compile func(K) (V, error)) (V, error) {
	c.mu.Lock()
	value, ok := kept[key]
	c.mu.Unlock()
	if ok {
		return value, nil
	}
	value, err := compile(key)
	if err != nil {
		return value, err
	}
	c.mu.Lock()
	kept[key] = value
	c.mu.Unlock()
	return value, nil
}
