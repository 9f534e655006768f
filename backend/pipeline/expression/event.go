package expression

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/parser"
)

// Scope is the kind of event that an expression of a trigger is about.
type Scope int

const (
	// ScopeWebhook is an event of a generic webhook: body holds its JSON, headers its
	// headers by lower-case names.
	ScopeWebhook Scope = iota
	// ScopeGit is a move of a ref or an event of a pull request: see GitEvent.
	ScopeGit
)

// GitEvent is what an expression sees of an event of a repository, as event.branch and so
// on. What an event does not have is empty.
type GitEvent struct {
	Ref, Branch, Tag       string
	Commit, PreviousCommit string
	Subject, Pusher        string
	Created, Forced        bool

	PullRequest                     int64
	PullRequestEvent, Title, Author string
	SourceBranch, DestinationBranch string
	Draft, Merged                   bool
}

// Values returns the event under the names that expressions use.
func (e *GitEvent) Values() map[string]any {
	return map[string]any{
		"event.ref": e.Ref, "event.branch": e.Branch, "event.tag": e.Tag,
		"event.commit": e.Commit, "event.previous_commit": e.PreviousCommit, "event.subject": e.Subject, "event.pusher": e.Pusher,
		"event.created": e.Created, "event.forced": e.Forced,
		"event.pull_request": e.PullRequest, "event.pull_request_event": e.PullRequestEvent,
		"event.title": e.Title, "event.author": e.Author,
		"event.source_branch": e.SourceBranch, "event.destination_branch": e.DestinationBranch,
		"event.draft": e.Draft, "event.merged": e.Merged,
	}
}

// WebhookValues returns an event of a generic webhook under the names that expressions use.
// The body is JSON as encoding/json decodes it; headers have lower-case names.
func WebhookValues(body any, headers map[string]string) map[string]any {
	return map[string]any{"body": body, "headers": headers}
}

//nolint:gochecknoglobals // They never change, as environment.
var (
	webhookEnvironment = sync.OnceValues(func() (*cel.Env, error) {
		return cel.NewCustomEnv(append(bounded(),
			cel.Variable("body", cel.DynType),
			cel.Variable("headers", cel.MapType(cel.StringType, cel.StringType)),
		)...)
	})
	gitEnvironment = sync.OnceValues(func() (*cel.Env, error) {
		options := bounded()
		for name, value := range (&GitEvent{}).Values() {
			kind := cel.StringType
			switch value.(type) {
			case bool:
				kind = cel.BoolType
			case int64:
				kind = cel.IntType
			}
			options = append(options, cel.Variable(name, kind))
		}
		return cel.NewCustomEnv(options...)
	})
)

func (s Scope) environment() (*cel.Env, error) {
	if s == ScopeGit {
		return gitEnvironment()
	}
	return webhookEnvironment()
}

// names says what an expression sees, for errors.
func (s Scope) names() string {
	if s == ScopeWebhook {
		return "body and headers"
	}
	names := s.fields()
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// fields returns the names of what an event has, none where that depends on the sender.
func (s Scope) fields() []string {
	if s == ScopeWebhook {
		return nil
	}
	return slices.Sorted(maps.Keys((&GitEvent{}).Values()))
}

// unknownField returns the first field in an expression that no event has, such as
// event.brnch, empty if there is none. The checker of CEL only says that there is no "event".
func (s Scope) unknownField(text string) string {
	if s == ScopeWebhook {
		return ""
	}
	made, err := s.environment()
	if err != nil {
		return ""
	}
	parsed, issues := made.Parse(text)
	if issues.Err() != nil {
		return ""
	}
	known, unknown := s.fields(), ""
	ast.PreOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.SelectKind || unknown != "" {
			return
		}
		of := e.AsSelect()
		if of.Operand().Kind() != ast.IdentKind || of.Operand().AsIdent() != "event" {
			return
		}
		if name := "event." + of.FieldName(); !slices.Contains(known, name) {
			unknown = name
		}
	}))
	return unknown
}

// CheckEventCondition says what is wrong with an expression that has to yield true or
// false. What it lets pass can still fail in EvaluateEventCondition.
func CheckEventCondition(scope Scope, text string) error {
	_, _, err := compileCondition(scope, text)
	return err
}

func compileCondition(scope Scope, text string) (*cel.Env, *cel.Ast, error) {
	made, checked, err := compileEvent(scope, text)
	if err != nil {
		return nil, nil, err
	}
	if yields := checked.OutputType(); !yields.IsExactType(cel.BoolType) && !yields.IsExactType(cel.DynType) {
		return nil, nil, fmt.Errorf("the expression yields %s; it must yield true or false, so compare it with something", typeName(yields))
	}
	return made, checked, nil
}

// EventCondition is a compiled condition over events. It may be used by several goroutines at
// once.
type EventCondition struct{ program cel.Program }

// CompileEventCondition returns a condition that is evaluated more than once. The error is
// that of CheckEventCondition.
func CompileEventCondition(scope Scope, text string) (*EventCondition, error) {
	made, checked, err := compileCondition(scope, text)
	if err != nil {
		return nil, err
	}
	program, err := plan(made, checked)
	return &EventCondition{program}, err
}

// Evaluate reports whether the condition is true of an event. It is bounded as the function
// Evaluate is.
func (c *EventCondition) Evaluate(values map[string]any) (bool, error) {
	value, err := evaluate(c.program, values, explainEvent)
	if err != nil {
		return false, err
	}
	result, ok := value.Value().(bool)
	if !ok {
		return false, fmt.Errorf("the expression yields a value of type %s; it must yield true or false", value.Type().TypeName())
	}
	return result, nil
}

// EvaluateEventCondition reports whether a condition is true of an event. It is bounded as
// Evaluate is.
func EvaluateEventCondition(scope Scope, text string, values map[string]any) (bool, error) {
	condition, err := CompileEventCondition(scope, text)
	if err != nil {
		return false, err
	}
	return condition.Evaluate(values)
}

// CheckEventText says what is wrong with an expression that has to yield a text, a number
// or a boolean.
func CheckEventText(scope Scope, text string) error {
	_, _, err := compileText(scope, text)
	return err
}

func compileText(scope Scope, text string) (*cel.Env, *cel.Ast, error) {
	made, checked, err := compileEvent(scope, text)
	if err != nil {
		return nil, nil, err
	}
	switch yields := checked.OutputType(); yields.Kind() {
	case types.StringKind, types.IntKind, types.UintKind, types.DoubleKind, types.BoolKind, types.DynKind:
		return made, checked, nil
	default:
		return nil, nil, fmt.Errorf("the expression yields %s; it must yield a text, a number or a boolean", typeName(yields))
	}
}

// EventText is a compiled expression that makes a text of events. It may be used by several
// goroutines at once.
type EventText struct{ program cel.Program }

// CompileEventText returns an expression that is evaluated more than once. The error is that
// of CheckEventText.
func CompileEventText(scope Scope, text string) (*EventText, error) {
	made, checked, err := compileText(scope, text)
	if err != nil {
		return nil, err
	}
	program, err := plan(made, checked)
	return &EventText{program}, err
}

// EvaluateEventText returns what an expression makes of an event, as text. It is bounded as
// Evaluate is.
func EvaluateEventText(scope Scope, text string, values map[string]any) (string, error) {
	compiled, err := CompileEventText(scope, text)
	if err != nil {
		return "", err
	}
	return compiled.Evaluate(values)
}

// Evaluate returns what the expression makes of an event. It is bounded as the function
// Evaluate is.
func (t *EventText) Evaluate(values map[string]any) (string, error) {
	text, _, err := t.Measure(values)
	return text, err
}

// Measure is Evaluate that also returns how much work the evaluation was, at most MaxWork.
func (t *EventText) Measure(values map[string]any) (string, uint64, error) {
	value, work, err := measure(t.program, values, explainEvent)
	if err != nil {
		return "", work, err
	}
	text, err := textOf(value)
	return text, work, err
}

// textOf returns a value of an expression as text.
func textOf(value ref.Val) (string, error) {
	switch v := value.(type) {
	case types.String:
		return string(v), nil
	case types.Int:
		return strconv.FormatInt(int64(v), 10), nil
	case types.Uint:
		return strconv.FormatUint(uint64(v), 10), nil
	case types.Bool:
		return strconv.FormatBool(bool(v)), nil
	case types.Double:
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return "", errors.New("the expression yields a number that is not finite")
		}
		return strconv.FormatFloat(float64(v), 'f', -1, 64), nil
	default:
		return "", fmt.Errorf("the expression yields a value of type %s; it must yield a text, a number or a boolean", value.Type().TypeName())
	}
}

// explainEvent names the key that an event does not have.
func explainEvent(err error) error {
	key, found := strings.CutPrefix(err.Error(), "no such key: ")
	if !found {
		return failed(err)
	}
	if len(key) > maxKey {
		key = strings.ToValidUTF8(key[:maxKey], "") + "…"
	}
	return fmt.Errorf("the event has no %q; where it may be missing, ask with has() first", key)
}

// maxKey bounds a key of an event in an error.
const maxKey = 100

// compileEvent returns a checked expression over an event with its environment.
func compileEvent(scope Scope, text string) (*cel.Env, *cel.Ast, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil, errors.New("the expression is empty")
	}
	made, checked, err := parse(text, scope.environment, scope.names())
	if err != nil {
		if unknown := scope.unknownField(text); unknown != "" {
			return nil, nil, fmt.Errorf("there is no %s; the event has %s", unknown, scope.names())
		}
		return nil, nil, err
	}
	w := &walk{checked: checked.NativeRep(), local: make(map[string]int)}
	w.checkEventTypes()
	if w.err == nil {
		// Finds patterns that are computed.
		w.visit(w.checked.Expr())
	}
	return made, checked, w.err
}

// checkEventTypes is checkTypes for expressions over a body, whose types are not known
// before it is there. A body is a tree, so comparing parts of it visits each part once. What
// an expression makes of them must not share parts, or comparing it might take forever: so
// lists and maps hold values of known types, and only values of known types are added.
func (w *walk) checkEventTypes() {
	collecting := make(map[int64]bool)
	ast.PreOrderVisit(w.checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.ComprehensionKind:
			collecting[e.AsComprehension().AccuInit().ID()] = true
		case ast.CallKind:
			call := e.AsCall()
			if collects(call) {
				// How map and filter collect, which makes a list of one element.
				collecting[call.Args()[1].ID()] = true
				return
			}
			w.checkOperands(e, call)
			w.checkAddition(e, call)
		case ast.ListKind, ast.MapKind:
			if !collecting[e.ID()] && dynamic(w.checked.GetType(e.ID())) {
				w.refuse(e, "the types of the values are not known; convert them, as in [string(body.a), string(body.b)]")
			}
		default:
			// Names, literals and selections make no new values.
		}
	}))
}

// collects reports whether a call is the one by which map and filter add an element.
func collects(call ast.CallExpr) bool {
	if call.FunctionName() != operators.Add || len(call.Args()) != 2 {
		return false
	}
	left, right := call.Args()[0], call.Args()[1]
	return left.Kind() == ast.IdentKind && left.AsIdent() == parser.HiddenAccumulatorName && right.Kind() == ast.ListKind
}

func (w *walk) checkAddition(e ast.Expr, call ast.CallExpr) {
	if call.FunctionName() == operators.Add && !slices.ContainsFunc(call.Args(), func(arg ast.Expr) bool {
		return !dynamic(w.checked.GetType(arg.ID()))
	}) {
		w.refuse(e, "the types of what is added are not known; convert one side, as in string(body.a) + body.b")
	}
}
