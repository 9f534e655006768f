package expression

import (
	"errors"
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/stdlib"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/parser"
)

// CEL counts what a call costs when it is over, and what its types cost not at
// all. So whatever can take more than in proportion to its operands is refused
// before it runs, by its shape or its types, and only the rest is left to maxCost.
const (
	// maxNodes bounds the parts of an expression with its loops written out.
	maxNodes = 2000
	// maxLoopNodes bounds the parts of what a loop repeats: literals and their
	// conjunctions have no cost.
	maxLoopNodes = 200
	// maxNesting bounds how deep the parts are nested, loops behind loops included:
	// the time to find the types grows with its third power.
	maxNesting = 40
	// maxText bounds a text that an expression makes, in bytes.
	maxText = 128 << 10
	// zoneCost is what it takes to look up a time zone.
	zoneCost = 200
)

// checkShape refuses what cannot be given to CEL's type checker safely.
func checkShape(parsed *ast.AST) error {
	if n := ast.NodeCount(parsed); n > maxNodes {
		return fmt.Errorf("the expression has %d parts; use at most %d, in two rules for instance", n, maxNodes)
	}
	if ast.ExceedsDepth(parsed, maxNesting) {
		return fmt.Errorf("the expression is nested too deep; at most %d levels are allowed, and each loop such as all or map takes several", maxNesting)
	}
	w := &walk{checked: parsed}
	// The list in which map and filter collect is empty at first.
	collected := make(map[int64]bool)
	ast.PreOrderVisit(parsed.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.ComprehensionKind:
			loop := e.AsComprehension()
			collected[loop.AccuInit().ID()] = true
			if n := countNodes(loop.LoopStep()); n > maxLoopNodes {
				w.refuse(e, "what is repeated for each value has %d parts; use at most %d", n, maxLoopNodes)
			}
		case ast.ListKind:
			if e.AsList().Size() == 0 && !collected[e.ID()] {
				w.refuse(e, "an empty list says nothing; to ask whether a list is empty write size(x) == 0")
			}
		case ast.MapKind:
			w.checkMap(e)
		case ast.StructKind:
			w.refuse(e, "an expression makes no messages such as %s; write the value itself", e.AsStruct().TypeName())
		default:
			// Bounded by the number of its parts.
		}
	}))
	return w.err
}

func countNodes(e ast.Expr) int {
	n := 0
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(ast.Expr) { n++ }))
	return n
}

// checkMap refuses computed keys: as keys of one another, maps have types that
// double with each level.
func (w *walk) checkMap(e ast.Expr) {
	if e.AsMap().Size() == 0 {
		w.refuse(e, "an empty map says nothing; to ask whether a map is empty write size(x) == 0")
	}
	for _, entry := range e.AsMap().Entries() {
		if key := entry.AsMapEntry().Key(); key.Kind() != ast.LiteralKind {
			w.refuse(key, "the keys of a map have to stand in the expression itself, as in {\"key\": value}")
		}
	}
}

// checkTypes refuses calls on values that may share parts with each other, since
// what compares or adds those visits the parts once for each use.
func (w *walk) checkTypes() {
	ast.PreOrderVisit(w.checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if dynamic(w.checked.GetType(e.ID())) {
			w.refuse(e, "the values have different types; use values of one type, as in [1, 2], and convert the others with string(x) or int(x)")
			return
		}
		if e.Kind() == ast.CallKind {
			w.checkOperands(e, e.AsCall())
		}
	}))
}

func (w *walk) checkOperands(e ast.Expr, call ast.CallExpr) {
	compound := func(operand ast.Expr) bool {
		kind := w.checked.GetType(operand.ID()).Kind()
		return kind == types.ListKind || kind == types.MapKind
	}
	if !slices.ContainsFunc(call.Args(), compound) {
		return
	}
	switch call.FunctionName() {
	case operators.Equals, operators.NotEquals:
		w.refuse(e, "lists and maps cannot be compared as a whole; compare what is in them, as in a.all(x, x in b) or size(a) == 2")
	case operators.In:
		if compound(call.Args()[0]) {
			w.refuse(e, "in looks for one value, not for a list or map; look for what is in it, as in a.all(x, x in b)")
		}
	case operators.Add:
		// That is how map and filter collect; nobody else can name that variable.
		if left := call.Args()[0]; left.Kind() != ast.IdentKind || left.AsIdent() != parser.HiddenAccumulatorName {
			w.refuse(e, "lists cannot be added; write one list, or ask for each of them, as in x in a || x in b")
		}
	}
}

// dynamic tells whether only an evaluation would show of what type a value is.
func dynamic(t *types.Type) bool {
	switch t.Kind() {
	case types.ListKind, types.MapKind, types.BoolKind, types.IntKind, types.UintKind, types.DoubleKind, types.StringKind, types.BytesKind,
		types.TimestampKind, types.DurationKind, types.NullTypeKind, types.TypeKind:
		return t.Kind() != types.TypeKind && slices.ContainsFunc(t.Parameters(), dynamic)
	default:
		return true
	}
}

// standard returns CEL's standard library without what this package does itself,
// and without types as values: where all types are known they tell nothing.
func standard() []cel.EnvOption {
	var without []*env.Function
	for _, name := range []string{overloads.Matches, operators.Add, overloads.TypeConvertType, overloads.TypeConvertDyn} {
		without = append(without, env.NewFunction(name))
	}
	return []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(&env.LibrarySubset{ExcludeFunctions: without})),
		matches(),
		adding(),
	}
}

// adding returns + as in CEL's standard library, but with a bound on texts.
func adding() cel.EnvOption {
	options := []cel.FunctionOpt{cel.SingletonBinaryBinding(add, traits.AdderType)}
	for _, function := range stdlib.Functions() {
		if function.Name() != operators.Add {
			continue
		}
		for _, overload := range function.OverloadDecls() {
			options = append(options, cel.Overload(overload.ID(), overload.ArgTypes(), overload.ResultType()))
		}
	}
	return cel.Function(operators.Add, options...)
}

func add(left, right ref.Val) ref.Val {
	if textBytes(left)+textBytes(right) > maxText {
		return types.WrapErr(errTextTooLong)
	}
	adder, ok := left.(traits.Adder)
	if !ok {
		return types.MaybeNoSuchOverloadErr(left)
	}
	return adder.Add(right)
}

var errTextTooLong = errors.New("the expression makes a text of more than 128 KiB; add shorter texts")

// textBytes returns the length of a text or of bytes, and 0 for what has none.
func textBytes(value ref.Val) int {
	switch v := value.(type) {
	case types.String:
		return len(v)
	case types.Bytes:
		return len(v)
	default:
		return 0
	}
}

// costs counts what calls take, in the bytes that they may read. CEL's own count
// has no cost for the length of what is measured, converted or left out of the
// comparison.
type costs struct{}

// CallCost implements interpreter.ActualCostEstimator.
func (costs) CallCost(function, _ string, args []ref.Val, _ ref.Val) *uint64 {
	units := 1
	switch function {
	case overloads.Matches:
		units += matchCost(args)
	case operators.In:
		units += searchCost(args)
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		units += compareCost(args[0], args[1])
	default:
		for _, arg := range args {
			units += textBytes(arg) / 10
		}
		if _, isTime := args[0].(types.Timestamp); isTime && len(args) == 2 && textBytes(args[1]) > 0 {
			units += zoneCost
		}
	}
	cost := uint64(units)
	return &cost
}

// searchCost returns what in takes.
func searchCost(args []ref.Val) int {
	list, isList := args[1].(traits.Lister)
	if !isList {
		return textBytes(args[0]) / 10
	}
	units := 0
	for it := list.Iterator(); it.HasNext() == types.True; {
		units += 1 + compareCost(args[0], it.Next())
	}
	return units
}

// compareCost returns what comparing two values takes. Only events hold lists and maps that
// can be compared.
func compareCost(left, right ref.Val) int {
	return min(valueSize(left, maxCost), valueSize(right, maxCost)) / 10
}

// valueSize returns the bytes of a text and the bytes and values in a list or map, up to a
// bound.
func valueSize(value ref.Val, bound int) int {
	size := textBytes(value)
	visit := func(v ref.Val) { size += 10 + valueSize(v, bound-size) }
	switch v := value.(type) {
	case traits.Mapper:
		for it := v.Iterator(); size < bound && it.HasNext() == types.True; {
			key := it.Next()
			visit(key)
			visit(v.Get(key))
		}
	case traits.Lister:
		for it := v.Iterator(); size < bound && it.HasNext() == types.True; {
			visit(it.Next())
		}
	}
	return size
}
