// Package expression evaluates the conditions that people write in the Common
// Expression Language, https://cel.dev: an Expression rule holds where its text
// yields true. An expression sees nothing but its Input, and its cost is bounded,
// so one from a stranger can neither reach anything nor run for long.
//
// It sees, besides the functions of CEL's standard library:
//
//   - variables: the pipeline's variables, as variables.region;
//   - outputs: the output variables of actions by namespace, as
//     outputs.Build.VERSION or outputs["my-build"]["VERSION"];
//   - revisions: the source revisions by action, as revisions.Checkout.id, with
//     id, summary and url;
//   - trigger.type, trigger.detail and trigger.principal;
//   - execution.id, .number, .version, .attempt, .type, .mode and .stage;
//   - now: when the condition is checked, as now.getHours("Europe/Berlin").
package expression

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"
)

const (
	// MaxBytes bounds the text of an expression.
	MaxBytes = 10000
	// maxCost bounds the work of an evaluation, in CEL's units. Reading an output
	// variable of the greatest size once takes some ten thousand.
	maxCost = MaxWork
	// maxDepth bounds how deep an expression is nested.
	maxDepth = 100
)

// Input is what an expression sees.
type Input struct {
	Variables map[string]string
	// Outputs holds the output variables by namespace, then by key.
	Outputs   map[string]map[string]string
	Revisions []Revision
	Trigger   Trigger
	Execution Execution
	// Now is when the condition is checked. It is given, so that a check can be
	// repeated with the same outcome.
	Now time.Time
}

// Revision is what a source action fetched.
type Revision struct{ Action, ID, Summary, URL string }

// Trigger is what started the execution.
type Trigger struct{ Type, Detail, Principal string }

// MaxWork is the most that one evaluation may do, in CEL's units: about 10 ms.
const MaxWork = 100_000

// Execution is the execution whose condition is checked, in the stage that the
// condition belongs to.
type Execution struct {
	ID                       string
	Number, Version, Attempt int64
	Type, Mode, Stage        string
}

// values returns the input under the names that an expression knows.
func (in *Input) values() map[string]any {
	revisions := make(map[string]map[string]string, len(in.Revisions))
	for _, r := range in.Revisions {
		revisions[r.Action] = map[string]string{"id": r.ID, "summary": r.Summary, "url": r.URL}
	}
	return map[string]any{
		rootVariables:       in.Variables,
		rootOutputs:         in.Outputs,
		rootRevisions:       revisions,
		"trigger.type":      in.Trigger.Type,
		"trigger.detail":    in.Trigger.Detail,
		"trigger.principal": in.Trigger.Principal,
		"execution.id":      in.Execution.ID,
		"execution.number":  in.Execution.Number,
		"execution.version": in.Execution.Version,
		"execution.attempt": in.Execution.Attempt,
		"execution.type":    in.Execution.Type,
		"execution.mode":    in.Execution.Mode,
		"execution.stage":   in.Execution.Stage,
		"now":               in.Now,
	}
}

// The names below which maps lie.
const (
	rootVariables = "variables"
	rootOutputs   = "outputs"
	rootRevisions = "revisions"
)

// environment is what expressions are compiled in.
//
//nolint:gochecknoglobals // It never changes, and to make it takes longer than to evaluate most expressions.
var environment = sync.OnceValues(newEnvironment)

func newEnvironment() (*cel.Env, error) {
	texts := cel.MapType(cel.StringType, cel.StringType)
	options := slices.Concat(bounded(), []cel.EnvOption{
		cel.Variable(rootVariables, texts),
		cel.Variable(rootOutputs, cel.MapType(cel.StringType, texts)),
		cel.Variable(rootRevisions, cel.MapType(cel.StringType, texts)),
		cel.Variable("now", cel.TimestampType),
	})
	// Names with a dot, not fields of a map: so a wrong one is found by Check.
	for _, name := range []string{
		"trigger.type", "trigger.detail", "trigger.principal",
		"execution.id", "execution.type", "execution.mode", "execution.stage",
	} {
		options = append(options, cel.Variable(name, cel.StringType))
	}
	for _, name := range []string{"execution.number", "execution.version", "execution.attempt"} {
		options = append(options, cel.Variable(name, cel.IntType))
	}
	return cel.NewCustomEnv(options...)
}

// bounded returns the functions of expressions, and what bounds their texts.
func bounded() []cel.EnvOption {
	return append(standard(),
		cel.ParserRecursionLimit(maxDepth),
		cel.ParserExpressionSizeLimit(MaxBytes),
		cel.ASTValidators(cel.ValidateTimestampLiterals(), cel.ValidateDurationLiterals()),
	)
}

// Check says what is wrong with an expression before it has any values, with the
// line and column. What it lets pass can still fail in Evaluate: where a key has
// no value, or the cost is too high.
func Check(text string) error {
	_, _, _, err := compile(text)
	return err
}

// References returns the uses of variables and outputs whose names stand in the
// text, in their order, each once. The error is that of Check. Names that are
// computed, as in outputs[variables.from].VERSION, are not among them.
func References(text string) ([]Reference, error) {
	_, _, used, err := compile(text)
	if err != nil {
		return nil, err
	}
	return used.references, nil
}

// Sources returns the actions whose revisions the text reads by their names, in
// their order, each once. The error is that of Check.
func Sources(text string) ([]string, error) {
	_, _, used, err := compile(text)
	if err != nil {
		return nil, err
	}
	return used.sources, nil
}

// maxTime bounds an evaluation, which takes microseconds: CEL counts nothing for some
// of what a loop does. It is looked at in every so manieth round of the loops.
const (
	maxTime    = 500 * time.Millisecond
	checkEvery = 4
)

// errTooLong is what an expression yields that is not evaluated to its end.
var errTooLong = errors.New("the expression takes too long; make it simpler, with fewer or shorter lists and patterns")

// Evaluate tells whether the expression is true of the input. It is bounded in
// memory by its cost, and in time by that and by half a second.
func Evaluate(text string, in Input) (bool, error) {
	made, checked, used, err := compile(text)
	if err != nil {
		return false, err
	}
	value, err := run(made, checked, in.values(), func(err error) error { return explain(err, used.references, &in) })
	if err != nil {
		return false, err
	}
	result, ok := value.Value().(bool)
	if !ok {
		return false, fmt.Errorf("the expression yields %s; it must yield true or false", value.Type().TypeName())
	}
	return result, nil
}

// run evaluates a checked expression within its bounds. explain puts an error of CEL into
// words.
func run(made *cel.Env, checked *cel.Ast, values map[string]any, explain func(error) error) (ref.Val, error) {
	program, err := plan(made, checked)
	if err != nil {
		return nil, err
	}
	return evaluate(program, values, explain)
}

// plan returns the program of a checked expression. It may run several times at once.
func plan(made *cel.Env, checked *cel.Ast) (cel.Program, error) {
	program, err := made.Program(checked, limits()...)
	if err != nil {
		return nil, fmt.Errorf("the expression cannot be evaluated: %w", err)
	}
	return program, nil
}

// evaluate is run for a program.
func evaluate(program cel.Program, values map[string]any, explain func(error) error) (ref.Val, error) {
	value, _, err := measure(program, values, explain)
	return value, err
}

// measure is evaluate that also returns what the evaluation cost.
func measure(program cel.Program, values map[string]any, explain func(error) error) (ref.Val, uint64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), maxTime)
	defer cancel()
	value, details, err := program.ContextEval(ctx, values)
	cost := uint64(0)
	if details != nil && details.ActualCost() != nil {
		cost = *details.ActualCost()
	}
	switch {
	case err == nil:
		return value, cost, nil
	case strings.HasPrefix(err.Error(), "internal error"):
		// A panic inside of CEL, whose words are about its code.
		return nil, cost, errors.New("the expression cannot be evaluated; make it simpler, with fewer lists inside of each other")
	case ctx.Err() != nil || cost >= maxCost:
		return nil, cost, errTooLong
	default:
		return nil, cost, explain(err)
	}
}

// explain names the keys that have no value, which CEL does by their last part.
func explain(err error, references []Reference, in *Input) error {
	var unset []string
	probe := ""
	for _, r := range references {
		if _, set := r.value(in); set {
			continue
		}
		unset = append(unset, r.String())
		if probe == "" {
			probe = r.probe(in)
		}
	}
	if len(unset) > 0 && strings.Contains(err.Error(), "no such key") {
		verb := "has"
		if len(unset) > 1 {
			verb = "have"
		}
		return fmt.Errorf("%s %s no value: nothing that ended before published it; ask has(%s) first where it may be missing",
			strings.Join(unset, ", "), verb, probe)
	}
	return failed(err)
}

// failed says why an evaluation failed.
func failed(err error) error {
	text := err.Error()
	if len(text) > maxError {
		// It may repeat a key, which is as long as a variable may be.
		text = strings.ToValidUTF8(text[:maxError], "") + "…"
	}
	return fmt.Errorf("the expression fails: %s", text)
}

// maxError bounds what CEL says about an expression that failed, in bytes.
const maxError = 300

// compile returns the checked expression with its environment.
func compile(text string) (*cel.Env, *cel.Ast, *walk, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil, nil, errors.New("the expression is empty; write what has to be true, for instance outputs.Build.VERSION != \"\"")
	}
	made, checked, err := parse(text, environment, names)
	if err != nil {
		return nil, nil, nil, err
	}
	if !checked.OutputType().IsExactType(cel.BoolType) {
		return nil, nil, nil, fmt.Errorf("the expression yields %s; it must yield true or false, so compare it with something", typeName(checked.OutputType()))
	}
	used, err := find(checked)
	if err != nil {
		return nil, nil, nil, err
	}
	return made, checked, used, nil
}

// parse returns an expression with its types. known says what names there are, for errors.
func parse(text string, environment func() (*cel.Env, error), known string) (*cel.Env, *cel.Ast, error) {
	if len(text) > MaxBytes {
		return nil, nil, fmt.Errorf("the expression is %d bytes long; use at most %d", len(text), MaxBytes)
	}
	made, err := environment()
	if err != nil {
		return nil, nil, fmt.Errorf("expressions cannot be read: %w", err)
	}
	parsed, issues := made.Parse(text)
	if issues.Err() != nil {
		return nil, nil, describe(issues.Errors(), known)
	}
	if err := checkShape(parsed.NativeRep()); err != nil {
		return nil, nil, err
	}
	checked, issues := made.Check(parsed)
	if issues.Err() != nil {
		return nil, nil, describe(issues.Errors(), known)
	}
	return made, checked, nil
}

func typeName(t *cel.Type) string {
	if t.IsExactType(cel.StringType) {
		return "a text"
	}
	return "a value of type " + t.String()
}

// maxErrors bounds how many mistakes are told: many follow from the first.
const maxErrors = 3

func describe(found []*cel.Error, known string) error {
	var told []string
	for _, e := range found {
		text := fmt.Sprintf("line %d, column %d: %s", e.Location.Line(), e.Location.Column()+1, inWords(e.Message, known))
		if !slices.Contains(told, text) {
			told = append(told, text)
		}
		if len(told) == maxErrors {
			break
		}
	}
	return errors.New(strings.Join(told, "; "))
}
