package expression

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// NamespaceVariables is the Namespace of a Reference to a variable of the
// pipeline.
const NamespaceVariables = "variables"

// Reference is a use of a variable by its name: outputs.<namespace>.<key>, or
// variables.<key>.
type Reference struct {
	Namespace string
	Key       string
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// String returns the reference as it is written in an expression.
func (r Reference) String() string {
	if r.Namespace == NamespaceVariables {
		return rootVariables + step(r.Key)
	}
	return rootOutputs + step(r.Namespace) + step(r.Key)
}

// step returns a selection of that name.
func step(name string) string {
	if identifier.MatchString(name) {
		return "." + name
	}
	return "[" + strconv.Quote(name) + "]"
}

// probe returns what has to be asked for before the reference is read: the
// namespace where that is missing too.
func (r Reference) probe(in *Input) string {
	if _, ok := in.Outputs[r.Namespace]; !ok && r.Namespace != NamespaceVariables {
		return rootOutputs + step(r.Namespace)
	}
	return r.String()
}

func (r Reference) value(in *Input) (string, bool) {
	values := in.Outputs[r.Namespace]
	if r.Namespace == NamespaceVariables {
		values = in.Variables
	}
	value, ok := values[r.Key]
	return value, ok
}

// find returns what a checked expression uses.
func find(checked *cel.Ast) (*walk, error) {
	w := &walk{checked: checked.NativeRep(), local: make(map[string]int)}
	w.checkTypes()
	w.visit(w.checked.Expr())
	return w, w.err
}

// walk goes through an expression and remembers which names are those of a
// comprehension, as in list.exists(outputs, outputs.x == 1).
type walk struct {
	checked    *ast.AST
	local      map[string]int
	references []Reference
	// sources are the actions whose revisions are read.
	sources []string
	err     error
}

func (w *walk) visit(e ast.Expr) {
	if path := w.path(e); len(path) > 1 {
		w.use(e, path)
		return
	}
	switch e.Kind() {
	case ast.CallKind:
		call := e.AsCall()
		w.checkPatterns(e, call)
		if call.IsMemberFunction() {
			w.visit(call.Target())
		}
		for _, argument := range call.Args() {
			w.visit(argument)
		}
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		w.visit(c.IterRange())
		w.visit(c.AccuInit())
		names := []string{c.IterVar(), c.IterVar2(), c.AccuVar()}
		for _, name := range names {
			w.local[name]++
		}
		w.visit(c.LoopCondition())
		w.visit(c.LoopStep())
		w.visit(c.Result())
		for _, name := range names {
			w.local[name]--
		}
	case ast.ListKind:
		for _, element := range e.AsList().Elements() {
			w.visit(element)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			w.visit(entry.AsMapEntry().Key())
			w.visit(entry.AsMapEntry().Value())
		}
	case ast.SelectKind:
		w.visit(e.AsSelect().Operand())
	case ast.StructKind:
		for _, field := range e.AsStruct().Fields() {
			w.visit(field.AsStructField().Value())
		}
	default:
		// A name or a literal.
	}
}

// path returns the names of a chain of selections that starts at one of the maps,
// or nothing.
func (w *walk) path(e ast.Expr) []string {
	switch e.Kind() {
	case ast.IdentKind:
		name, absolute := strings.CutPrefix(e.AsIdent(), ".")
		if !absolute && w.local[name] > 0 {
			return nil
		}
		if slices.Contains([]string{rootVariables, rootOutputs, rootRevisions}, name) {
			return []string{name}
		}
	case ast.SelectKind:
		if path := w.path(e.AsSelect().Operand()); path != nil {
			return append(path, e.AsSelect().FieldName())
		}
	case ast.CallKind:
		call := e.AsCall()
		if call.FunctionName() != operators.Index || len(call.Args()) != 2 || call.Args()[1].Kind() != ast.LiteralKind {
			return nil
		}
		key, ok := call.Args()[1].AsLiteral().(types.String)
		if !ok {
			return nil
		}
		if path := w.path(call.Args()[0]); path != nil {
			return append(path, string(key))
		}
	default:
		// Whatever else has a value has no name.
	}
	return nil
}

// use records what a chain of names refers to. Deeper ones there are none: what
// lies in the maps is text, which has no fields.
func (w *walk) use(e ast.Expr, path []string) {
	switch {
	case path[0] == rootVariables:
		w.add(Reference{Namespace: NamespaceVariables, Key: path[1]})
	case path[0] == rootRevisions && len(path) > 2 && !slices.Contains([]string{"id", "summary", "url"}, path[2]):
		w.refuse(e, "a revision has id, summary and url, but no %q", path[2])
	case path[0] == rootRevisions && !slices.Contains(w.sources, path[1]):
		w.sources = append(w.sources, path[1])
	case path[0] == rootOutputs && path[1] == NamespaceVariables:
		w.refuse(e, "the pipeline's variables are not below outputs; write variables.NAME")
	case path[0] == rootOutputs && path[1] == "codepipeline":
		w.refuse(e, "what is known of the execution is not below outputs; write execution.id")
	case path[0] == rootOutputs && len(path) > 2:
		w.add(Reference{Namespace: path[1], Key: path[2]})
	}
}

func (w *walk) add(r Reference) {
	if !slices.Contains(w.references, r) {
		w.references = append(w.references, r)
	}
}

func (w *walk) refuse(e ast.Expr, format string, args ...any) {
	if w.err == nil {
		at := w.checked.SourceInfo().GetStartLocation(e.ID())
		w.err = fmt.Errorf("line %d, column %d: %s", at.Line(), at.Column()+1, fmt.Sprintf(format, args...))
	}
}
