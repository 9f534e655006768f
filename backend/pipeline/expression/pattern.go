package expression

import (
	"errors"
	"fmt"
	"math/bits"
	"regexp"
	"regexp/syntax"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// maxPatternSteps bounds what a pattern becomes, in steps that may be tried for
// each character: a few repetitions of repetitions stand for millions.
const maxPatternSteps = 1000

// maxPatternBytes bounds a pattern, which is read before its steps can be counted: a
// class such as \pL stands for hundreds of ranges and is a single step.
const maxPatternBytes = 500

// CheckPattern says what is wrong with a regular expression, which is one of RE2
// (https://github.com/google/re2/wiki/Syntax) of at most 500 bytes that stands for at
// most 1000 steps.
// RE2 takes no longer for any text than in proportion to its length; for that it
// has neither lookarounds nor backreferences, which Java has.
func CheckPattern(pattern string) error {
	_, err := patternSteps(pattern)
	return err
}

func patternSteps(pattern string) (int, error) {
	if len(pattern) > maxPatternBytes {
		return 0, fmt.Errorf("the pattern is %d bytes long; use at most %d", len(pattern), maxPatternBytes)
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, explainPattern(pattern, err)
	}
	n := steps(parsed)
	if n > maxPatternSteps {
		return 0, fmt.Errorf("the pattern stands for %d steps, of which at most %d are allowed; repeat less often, write + for {1,1000}, or use classes of fewer ranges",
			n, maxPatternSteps)
	}
	return n, nil
}

// steps counts without writing out the repetitions, which may be millions.
func steps(re *syntax.Regexp) int {
	n := 1
	switch re.Op {
	case syntax.OpLiteral:
		n = len(re.Rune)
	case syntax.OpCharClass:
		// A class holds the first and the last character of each of its ranges,
		// which are searched by halves.
		n = max(bits.Len(uint(len(re.Rune)/2)), 1)
	default:
		// One step, and those of what is inside.
	}
	for _, sub := range re.Sub {
		n += steps(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Max, re.Min+1)
	}
	return n
}

var backreference = regexp.MustCompile(`\\[1-9]`)

func explainPattern(pattern string, err error) error {
	hint := ""
	for _, group := range []string{"(?=", "(?!", "(?<=", "(?<!", "(?>"} {
		if strings.Contains(pattern, group) {
			hint = "; patterns are those of RE2, without lookarounds such as " + group + "…): use two rules instead"
		}
	}
	if hint == "" && backreference.MatchString(pattern) {
		hint = "; patterns are those of RE2, without backreferences"
	}
	var wrong *syntax.Error
	if errors.As(err, &wrong) {
		return fmt.Errorf("the pattern is not a valid regular expression: %s near %.60q%s", wrong.Code, wrong.Expr, hint)
	}
	return fmt.Errorf("the pattern is not a valid regular expression: %w%s", err, hint)
}

// checkPatterns refuses patterns that are computed: nobody could say beforehand
// how long they take.
func (w *walk) checkPatterns(e ast.Expr, call ast.CallExpr) {
	if call.FunctionName() != overloads.Matches || len(call.Args()) == 0 {
		return
	}
	last := call.Args()[len(call.Args())-1]
	if last.Kind() != ast.LiteralKind {
		w.refuse(e, "the pattern of matches has to stand in the expression itself, in quotes")
		return
	}
	if pattern, ok := last.AsLiteral().(types.String); ok {
		if err := CheckPattern(string(pattern)); err != nil {
			w.refuse(e, "%s", err)
		}
	}
}

// maxMatch bounds one match: the characters of the text times the steps of the
// pattern.
const maxMatch = 10_000_000

// MatchWhole tells whether a pattern matches the whole of a text. It refuses what
// would take long: it runs while decisions wait.
func MatchWhole(pattern, text string) (bool, error) {
	return match(pattern, text, `\A(?:`, `)\z`)
}

func match(pattern, text, before, after string) (bool, error) {
	n, err := patternSteps(pattern)
	if err != nil {
		return false, err
	}
	if n*len(text) > maxMatch {
		return false, fmt.Errorf("the text of %d bytes is too long for the pattern; match a shorter text or simplify the pattern", len(text))
	}
	compiled, err := regexp.Compile(before + pattern + after)
	if err != nil {
		return false, err
	}
	return compiled.MatchString(text), nil
}

// matches returns the function of that name as in CEL's standard library, but
// bounded: of that one the cost is counted when it is over, by the length of the
// pattern and not by what its repetitions stand for.
func matches() cel.EnvOption {
	args := []*cel.Type{cel.StringType, cel.StringType}
	return cel.Function(overloads.Matches,
		cel.Overload(overloads.Matches, args, cel.BoolType),
		cel.MemberOverload(overloads.MatchesString, args, cel.BoolType),
		cel.SingletonBinaryBinding(func(left, right ref.Val) ref.Val {
			text, isText := left.(types.String)
			pattern, isPattern := right.(types.String)
			if !isText || !isPattern {
				return types.MaybeNoSuchOverloadErr(left)
			}
			met, err := match(string(pattern), string(text), "", "")
			if err != nil {
				return types.WrapErr(err)
			}
			return types.Bool(met)
		}))
}

// matchCost returns what matches takes.
func matchCost(args []ref.Val) int {
	text, isText := args[0].(types.String)
	pattern, isPattern := args[1].(types.String)
	if !isText || !isPattern {
		return 0
	}
	n, err := patternSteps(string(pattern))
	if err != nil {
		n = maxPatternSteps
	}
	return n*len(text)/100 + n
}

// limits returns the options that bound an evaluation.
func limits() []cel.ProgramOption {
	return []cel.ProgramOption{cel.CostTracking(costs{}), cel.CostLimit(maxCost), cel.InterruptCheckFrequency(checkEvery)}
}
