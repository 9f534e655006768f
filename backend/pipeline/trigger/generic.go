package trigger

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/expression"
)

// Generic declares a trigger on events of a generic webhook. It starts an execution if all
// filters match and the condition is true.
type Generic struct {
	// Webhook is the name of the webhook.
	Webhook string          `json:"webhook"`
	Filters []GenericFilter `json:"filters,omitempty"`
	// When is a condition in CEL over body and headers. Empty for none.
	When string `json:"when,omitempty"`
	// SourceRevisions has an expression in CEL for each source action.
	SourceRevisions map[string]string `json:"source_revisions,omitempty"`
	// IdempotencyKey is an expression in CEL. Empty for the id of the delivery.
	IdempotencyKey string `json:"idempotency_key,omitempty"`
}

// GenericFilter is one of CodePipeline's webhook filters. It matches if a value that
// JSONPath selects from the body has the text MatchEquals, in which {Key} stands for the
// value of that key in the configuration of a source action.
type GenericFilter struct {
	JSONPath    string `json:"json_path"`
	MatchEquals string `json:"match_equals"`
}

// The bounds of a body. A payload of a forge has a depth of less than ten.
const (
	MaxBodyBytes  = 1 << 20
	maxBodyDepth  = 64
	maxBodyValues = 100_000
)

// Body is an event of a generic webhook.
type Body struct {
	root    any
	headers map[string]string
}

// ParseBody reads the body of a delivery, which is a JSON document of at most 1 MiB. Bytes
// that are not UTF-8 are replaced by U+FFFD.
func ParseBody(body []byte, headers map[string]string) (*Body, error) {
	if len(body) > MaxBodyBytes {
		return nil, fmt.Errorf("the body has %d bytes; at most %d are allowed", len(body), MaxBodyBytes)
	}
	if err := checkBody(body); err != nil {
		return nil, err
	}
	parsed := &Body{headers: make(map[string]string, len(headers))}
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.UseNumber()
	if err := decoder.Decode(&parsed.root); err != nil {
		return nil, fmt.Errorf("the body is not valid JSON: %w", err)
	}
	if decoder.More() {
		return nil, errors.New("the body is not valid JSON: there is more after the document")
	}
	for name, value := range headers {
		parsed.headers[strings.ToLower(name)] = strings.ToValidUTF8(value, "\uFFFD")
	}
	return parsed, nil
}

// checkBody bounds what decoding makes of a body.
func checkBody(body []byte) error {
	depth, values := 0, 0
	inText, escaped := false, false
	for _, c := range body {
		switch {
		case escaped:
			escaped = false
		case inText:
			escaped, inText = c == '\\', c != '"'
		case c == '"':
			inText = true
		case c == '{' || c == '[':
			values++
			if depth++; depth > maxBodyDepth {
				return fmt.Errorf("the body is nested deeper than %d levels", maxBodyDepth)
			}
		case c == '}' || c == ']':
			depth--
		case c == ',':
			values++
		}
		if values > maxBodyValues {
			return fmt.Errorf("the body has more than %d values", maxBodyValues)
		}
	}
	return nil
}

func (b *Body) values() map[string]any { return expression.WebhookValues(b.root, b.headers) }

// The reasons of decisions on generic events, beside ReasonMatched.
const (
	// ReasonFilterNotMatched: the value that a filter selects is another one, or missing.
	ReasonFilterNotMatched pipeline.Reason = "FILTER_NOT_MATCHED"
	// ReasonPlaceholderUnknown: a filter names a key that no source action has.
	ReasonPlaceholderUnknown pipeline.Reason = "PLACEHOLDER_UNKNOWN"
	// ReasonConditionFalse: the condition is not true.
	ReasonConditionFalse pipeline.Reason = "CONDITION_FALSE"
	// ReasonConditionFailed: the condition cannot be evaluated on this event.
	ReasonConditionFailed pipeline.Reason = "CONDITION_FAILED"
)

// MatchGeneric decides whether an event of a webhook starts an execution. The declaration is
// valid, see Generic.Validate. configuration holds what {Key} stands for, see Placeholders.
func MatchGeneric(generic *Generic, body *Body, configuration map[string]string) Result {
	return (*Compiled)(nil).MatchGeneric(generic, body, configuration)
}

// MatchGeneric is the function MatchGeneric for the declaration that c keeps the expressions
// of.
func (c *Compiled) MatchGeneric(generic *Generic, body *Body, configuration map[string]string) Result {
	result := Result{Outcome: Matched, Reason: ReasonMatched, Message: "the event matches"}
	if len(generic.Filters) == 0 && generic.When == "" {
		result.Message = "the trigger has no filters, so every event matches"
	}
	for i := range generic.Filters {
		entry := generic.Filters[i].match(c, body, configuration)
		entry.Entry = fmt.Sprintf("filters[%d]", i)
		result.add(&entry)
	}
	if generic.When != "" {
		entry := c.when(generic.When, body)
		entry.Entry = "when"
		result.add(&entry)
	}
	return result
}

// add lets the result not match if an entry does not. The first of those is the reason.
func (r *Result) add(entry *EntryResult) {
	r.Entries = append(r.Entries, *entry)
	if r.Outcome == Matched && !entry.Matched {
		r.Outcome, r.Reason, r.Message = NotMatched, entry.Reason, entry.Entry+": "+entry.Message
	}
}

func (c *Compiled) when(text string, body *Body) EntryResult {
	met := false
	condition, err := c.condition(scoped{expression.ScopeWebhook, text})
	if err == nil {
		met, err = condition.Evaluate(body.values())
	}
	switch {
	case err != nil:
		return said(false, ReasonConditionFailed, "%s", clean(err.Error()))
	case !met:
		return said(false, ReasonConditionFalse, "the condition is not true of the event")
	default:
		return said(true, ReasonMatched, "the condition is true of the event")
	}
}

func (f *GenericFilter) match(c *Compiled, body *Body, configuration map[string]string) EntryResult {
	want, missing := f.expand(configuration)
	if missing != "" {
		return said(false, ReasonPlaceholderUnknown, "no source action has the configuration key %q, which match_equals names", missing)
	}
	path, err := c.path(f.JSONPath)
	if err != nil {
		return said(false, ReasonInvalidFilter, "%s", clean(err.Error()))
	}
	selected := path.Select(body.root)
	for _, value := range selected {
		if text, ok := scalar(value); ok && text == want {
			return said(true, ReasonMatched, "%s is %s", f.JSONPath, excerpt(text))
		}
	}
	switch len(selected) {
	case 0:
		return said(false, ReasonFilterNotMatched, "%s selects nothing from the body", f.JSONPath)
	case 1:
		text, ok := scalar(selected[0])
		if !ok {
			return said(false, ReasonFilterNotMatched, "%s is a list or an object, which equals no text", f.JSONPath)
		}
		return said(false, ReasonFilterNotMatched, "%s is %s, not %s", f.JSONPath, excerpt(text), excerpt(want))
	default:
		return said(false, ReasonFilterNotMatched, "none of the %d values of %s is %s", len(selected), f.JSONPath, excerpt(want))
	}
}

// placeholder is the name of a configuration key in braces.
var placeholder = regexp.MustCompile(`\{([A-Za-z0-9_-]+)\}`)

// expand replaces {Key}, and returns the first key that has no value.
func (f *GenericFilter) expand(configuration map[string]string) (text, missing string) {
	text = placeholder.ReplaceAllStringFunc(f.MatchEquals, func(name string) string {
		key := name[1 : len(name)-1]
		value, ok := configuration[key]
		if !ok && missing == "" {
			missing = key
		}
		return value
	})
	return text, missing
}

// Placeholders returns what {Key} stands for in the filters of generic triggers of a
// pipeline: the configuration of its source actions, defaults included. A key that two of
// them give different values is left out.
func Placeholders(def *pipeline.Definition, catalog *pipeline.Catalog) map[string]string {
	values := make(map[string]string)
	var differ []string
	for i := range def.Stages {
		for j := range def.Stages[i].Actions {
			action := &def.Stages[i].Actions[j]
			if action.Category != pipeline.CategorySource {
				continue
			}
			configuration := action.Configuration
			if kind, known := catalog.Lookup(action.TypeID()); known {
				configuration = kind.WithDefaults(configuration)
			}
			for key, value := range configuration {
				if before, ok := values[key]; ok && before != value {
					differ = append(differ, key)
				}
				values[key] = value
			}
		}
	}
	for _, key := range differ {
		delete(values, key)
	}
	return values
}

// scalar returns the text of a value that is not a list or an object.
func scalar(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	case nil:
		return "null", true
	default:
		return "", false
	}
}

// Inputs are what an execution is started with.
type Inputs struct {
	// Variables are values of the pipeline's variables.
	Variables map[string]string
	// SourceRevisions are revisions by source action.
	SourceRevisions map[string]string
	// IdempotencyKey is empty for that of the delivery.
	IdempotencyKey string
}

// maxInput bounds a value that an event gives, as CodePipeline bounds a variable.
const maxInput = 1000

// MapGeneric returns the inputs that a trigger takes from an event. variables are those of
// the declaration: a text, or an expression if it begins with "=". An error names the
// variable or source action that cannot be determined.
func MapGeneric(generic *Generic, variables map[string]string, body *Body) (Inputs, error) {
	return (*Compiled)(nil).MapGeneric(generic, variables, body)
}

// MapGeneric is the function MapGeneric for the declaration that c keeps the expressions of.
func (c *Compiled) MapGeneric(generic *Generic, variables map[string]string, body *Body) (Inputs, error) {
	values, err := c.mapVariables(expression.ScopeWebhook, variables, body.values())
	if err != nil {
		return Inputs{}, err
	}
	inputs := Inputs{Variables: values}
	for _, action := range slices.Sorted(maps.Keys(generic.SourceRevisions)) {
		revision, err := c.evaluate(expression.ScopeWebhook, generic.SourceRevisions[action], body.values())
		if err != nil {
			return Inputs{}, fmt.Errorf("the source revision of action %q: %w", action, err)
		}
		if inputs.SourceRevisions == nil {
			inputs.SourceRevisions = make(map[string]string)
		}
		inputs.SourceRevisions[action] = revision
	}
	if generic.IdempotencyKey != "" {
		key, err := c.evaluate(expression.ScopeWebhook, generic.IdempotencyKey, body.values())
		if err != nil {
			return Inputs{}, fmt.Errorf("the idempotency key: %w", err)
		}
		inputs.IdempotencyKey = key
	}
	return inputs, nil
}

// MapGit returns the values of the pipeline's variables that a trigger takes from an event
// of a repository. variables are those of the declaration, as in MapGeneric. It may be called
// while others wait: all expressions together do less than twice expression.MaxWork.
func MapGit(variables map[string]string, event *Event) (map[string]string, error) {
	return (*Compiled)(nil).MapGit(variables, event)
}

// MapGit is the function MapGit for the declaration that c keeps the expressions of.
func (c *Compiled) MapGit(variables map[string]string, event *Event) (map[string]string, error) {
	return c.mapVariables(expression.ScopeGit, variables, event.values())
}

func (c *Compiled) mapVariables(scope expression.Scope, variables map[string]string, values map[string]any) (map[string]string, error) {
	if len(variables) == 0 {
		return nil, nil
	}
	mapped := make(map[string]string, len(variables))
	work := uint64(0)
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		text, isExpression := strings.CutPrefix(variables[name], "=")
		if !isExpression {
			mapped[name] = variables[name]
			continue
		}
		value, units, err := c.measure(scope, text, values)
		if err != nil {
			return nil, fmt.Errorf("variable %q: %w", name, err)
		}
		if work += units; work > expression.MaxWork {
			return nil, fmt.Errorf("variable %q: the expressions of the variables take too much work together; make them simpler", name)
		}
		mapped[name] = value
	}
	return mapped, nil
}

func (c *Compiled) evaluate(scope expression.Scope, text string, values map[string]any) (string, error) {
	value, _, err := c.measure(scope, text, values)
	return value, err
}

// measure is evaluate that also returns how much work the evaluation was.
func (c *Compiled) measure(scope expression.Scope, text string, values map[string]any) (value string, work uint64, err error) {
	compiled, err := c.text(scoped{scope, text})
	if err == nil {
		value, work, err = compiled.Measure(values)
	}
	switch {
	case err != nil:
		return "", work, errors.New(clean(err.Error()))
	case value == "":
		return "", work, errors.New("the expression yields an empty text")
	case utf8.RuneCountInString(value) > maxInput:
		return "", work, fmt.Errorf("the expression yields a text of more than %d characters", maxInput)
	case strings.ContainsRune(value, 0):
		return "", work, errors.New("the expression yields a text with a NUL character")
	}
	return value, work, nil
}

// values returns what expressions see of the event.
func (e *Event) values() map[string]any {
	seen := expression.GitEvent{Pusher: e.Pusher}
	if m := e.Move; m != nil {
		seen.Ref, seen.Commit, seen.PreviousCommit = m.Ref, m.To, m.From
		seen.Created, seen.Forced = m.Created, m.Forced
		seen.Branch, _ = m.Branch()
		seen.Tag, _ = m.Tag()
		if m.Head != nil {
			seen.Subject = m.Head.Subject
		}
	}
	if pr := e.PullRequest; pr != nil {
		seen.PullRequest, seen.PullRequestEvent = pr.Number, string(pr.Event)
		seen.Title, seen.Author = pr.Title, pr.Author
		seen.SourceBranch, seen.DestinationBranch = pr.Source, pr.Destination
		seen.Commit, seen.PreviousCommit = pr.Head, pr.Base
		seen.Draft, seen.Merged = pr.Draft, pr.Merged
		if pr.HeadMessage != nil {
			seen.Subject = pr.HeadMessage.Subject
		}
	}
	return seen.Values()
}

// maxExcerpt bounds what a message repeats of an event, in bytes.
const maxExcerpt = 200

// excerpt quotes a text of an event, which may be long and hostile.
func excerpt[T string | []byte](text T) string {
	if len(text) > maxExcerpt {
		return strconv.Quote(string(text[:maxExcerpt])) + "…"
	}
	return strconv.Quote(string(text))
}

// clean returns a message of a library without control characters, which may come from an
// event.
func clean(message string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(message, "\uFFFD"))
}
