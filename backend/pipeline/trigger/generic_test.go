package trigger_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

const released = `{
	"action": "published", "number": 5, "big": 9007199254740993, "ratio": 1.50, "draft": false, "none": null,
	"ref": "refs/heads/main", "a b": {"x.y": "z"}, "huge": 1e999,
	"release": {"tag_name": "v1.2", "labels": [{"name": "stable"}, {"name": "web"}]},
	"commits": [{"id": "a", "files": ["x", "y"]}, {"id": "b", "files": ["z"]}]
}`

func body(t *testing.T, text string) *trigger.Body {
	t.Helper()
	parsed, err := trigger.ParseBody([]byte(text), map[string]string{"X-Event": "release"})
	require.NoError(t, err)
	return parsed
}

func TestMatchGenericFilters(t *testing.T) {
	t.Parallel()
	configuration := map[string]string{"Branch": "main", "Owner": "acme"}
	for path, c := range map[string]struct {
		equals  string
		reason  pipeline.Reason
		message string
	}{
		`$.action`:                       {"published", trigger.ReasonMatched, `filters[0]`},
		`$["action"]`:                    {"edited", trigger.ReasonFilterNotMatched, `filters[0]: $["action"] is "published", not "edited"`},
		`$.number`:                       {"5", trigger.ReasonMatched, ""},
		`$['number']`:                    {"5.0", trigger.ReasonFilterNotMatched, ""},
		`$.big`:                          {"9007199254740993", trigger.ReasonMatched, ""},
		`$.ratio`:                        {"1.50", trigger.ReasonMatched, ""},
		`$.huge`:                         {"1e999", trigger.ReasonMatched, ""},
		`$.draft`:                        {"false", trigger.ReasonMatched, ""},
		`$.none`:                         {"null", trigger.ReasonMatched, ""},
		`$.ref`:                          {"refs/heads/{Branch}", trigger.ReasonMatched, ""},
		`$['ref']`:                       {"refs/heads/{Nope}", trigger.ReasonPlaceholderUnknown, `no source action has the configuration key "Nope"`},
		`$['a b'].['x.y']`:               {"z", trigger.ReasonInvalidFilter, "not a JSONPath"},
		`$['a b']['x.y']`:                {"z", trigger.ReasonMatched, ""},
		`$.nope`:                         {"x", trigger.ReasonFilterNotMatched, "selects nothing"},
		`$.release`:                      {"x", trigger.ReasonFilterNotMatched, "a list or an object"},
		`$.commits[-1:].id`:              {"b", trigger.ReasonMatched, ""},
		`$.commits[*].id`:                {"b", trigger.ReasonMatched, ""},
		`$.commits[0,1].id`:              {"c", trigger.ReasonFilterNotMatched, "none of the 2 values"},
		`$..name`:                        {"stable", trigger.ReasonMatched, ""},
		`$.commits[?(@.id == 'b')].id`:   {"b", trigger.ReasonMatched, ""},
		`$.commits[?@.files[0]=='x'].id`: {"a", trigger.ReasonMatched, ""},
		`$.commits[(@.length-1)].id`:     {"b", trigger.ReasonInvalidFilter, "write [-1] for [(@.length-1)]"},
		`$.action{x}`:                    {"{}", trigger.ReasonInvalidFilter, ""},
		`$.release.tag_name`:             {"{", trigger.ReasonFilterNotMatched, `is "v1.2", not "{"`},
	} {
		generic := &trigger.Generic{Filters: []trigger.GenericFilter{{JSONPath: path, MatchEquals: c.equals}}}
		result := trigger.MatchGeneric(generic, body(t, released), configuration)
		require.Len(t, result.Entries, 1)
		assert.Equal(t, c.reason, result.Reason, "%s: %s", path, result.Message)
		if c.reason == trigger.ReasonMatched {
			assert.Equal(t, trigger.Matched, result.Outcome, path)
			assert.True(t, result.Entries[0].Matched, path)
			continue
		}
		assert.Equal(t, trigger.NotMatched, result.Outcome, path)
		assert.Contains(t, result.Message, c.message, path)
	}
}

func TestMatchGeneric(t *testing.T) {
	t.Parallel()
	parsed := body(t, released)
	yes := trigger.GenericFilter{JSONPath: "$.action", MatchEquals: "published"}
	no := trigger.GenericFilter{JSONPath: "$.action", MatchEquals: "edited"}

	result := trigger.MatchGeneric(&trigger.Generic{}, parsed, nil)
	assert.Equal(t, trigger.Matched, result.Outcome)
	assert.Contains(t, result.Message, "every event matches")

	result = trigger.MatchGeneric(&trigger.Generic{Filters: []trigger.GenericFilter{yes, no}, When: "false"}, parsed, nil)
	assert.Equal(t, trigger.ReasonFilterNotMatched, result.Reason, "all filters must match, and the first that does not is the reason")
	assert.Contains(t, result.Message, "filters[1]")
	require.Len(t, result.Entries, 3)
	assert.Equal(t, []bool{true, false, false}, []bool{result.Entries[0].Matched, result.Entries[1].Matched, result.Entries[2].Matched})

	for when, reason := range map[string]pipeline.Reason{
		`body.action == "published" && headers["x-event"] == "release"`:   trigger.ReasonMatched,
		`body.number > 4 && body.number < 5.5`:                            trigger.ReasonMatched,
		`body.big == 9007199254740993`:                                    trigger.ReasonMatched,
		`body.release.labels.exists(l, l.name == "stable")`:               trigger.ReasonMatched,
		`body.release.labels.map(l, l.name).exists(n, n.startsWith("w"))`: trigger.ReasonMatched,
		`body.commits.all(c, c.files.size() > 0)`:                         trigger.ReasonMatched,
		`body.action in ["published", "edited"]`:                          trigger.ReasonMatched,
		`"refs/heads/" + body.release.tag_name == "refs/heads/v1.2"`:      trigger.ReasonMatched,
		`body.ref.matches("^refs/heads/(main|release/.*)$")`:              trigger.ReasonMatched,
		`has(body.release.tag_name) && !has(body.nope)`:                   trigger.ReasonMatched,
		`body.none == null && true`:                                       trigger.ReasonMatched,
		`body["a b"]["x.y"] == "z"`:                                       trigger.ReasonMatched,
		`body.draft`:                                                      trigger.ReasonConditionFalse,
		`body.action == "edited"`:                                         trigger.ReasonConditionFalse,
		`body.nope == "x"`:                                                trigger.ReasonConditionFailed,
		`body.action`:                                                     trigger.ReasonConditionFailed,
		`headers.nope == "x"`:                                             trigger.ReasonConditionFailed,
		`body.release + body.release == body`:                             trigger.ReasonConditionFailed,
		`[body, body].size() == 2`:                                        trigger.ReasonConditionFailed,
		`now > timestamp("2026-01-01T00:00:00Z")`:                         trigger.ReasonConditionFailed,
		`body.commits.all(a, body.commits.all(b, a == b || true))`:        trigger.ReasonMatched,
	} {
		result := trigger.MatchGeneric(&trigger.Generic{When: when}, parsed, nil)
		assert.Equal(t, reason, result.Reason, "%s: %s", when, result.Message)
	}
}

func TestMapGeneric(t *testing.T) {
	t.Parallel()
	parsed := body(t, released)
	inputs, err := trigger.MapGeneric(&trigger.Generic{
		SourceRevisions: map[string]string{"Checkout": "body.commits[0].id"},
		IdempotencyKey:  `string(body.number) + body.action`,
	}, map[string]string{"Environment": "staging", "Tag": "=body.release.tag_name", "Number": "=body.number", "Draft": "=body.draft", "Ratio": "= body.ratio"}, parsed)
	require.NoError(t, err)
	assert.Equal(t, trigger.Inputs{
		Variables:       map[string]string{"Environment": "staging", "Tag": "v1.2", "Number": "5", "Draft": "false", "Ratio": "1.5"},
		SourceRevisions: map[string]string{"Checkout": "a"},
		IdempotencyKey:  "5published",
	}, inputs)

	inputs, err = trigger.MapGeneric(&trigger.Generic{}, nil, parsed)
	require.NoError(t, err)
	assert.Equal(t, trigger.Inputs{}, inputs)

	hostile := body(t, `{"long": "`+strings.Repeat("ä", 1001)+`", "nul": "a\u0000b", "empty": "", "list": []}`)
	for expression, want := range map[string]string{
		"=body.nope":      `variable "X": the event has no "nope"`,
		"=body.long":      "more than 1000 characters",
		"=body.nul":       "NUL",
		"=body.empty":     "empty text",
		"=body.list":      "a value of type list",
		"=body":           "a value of type map",
		"=body.nope.nope": "has no",
		"=1 / 0":          "division by zero",
		"=":               "the expression is empty",
	} {
		_, err := trigger.MapGeneric(&trigger.Generic{}, map[string]string{"X": expression}, hostile)
		require.ErrorContains(t, err, want, expression)
	}
	_, err = trigger.MapGeneric(&trigger.Generic{SourceRevisions: map[string]string{"Checkout": "body.nope"}}, nil, hostile)
	require.ErrorContains(t, err, `the source revision of action "Checkout"`)
	_, err = trigger.MapGeneric(&trigger.Generic{IdempotencyKey: "body.nope"}, nil, hostile)
	require.ErrorContains(t, err, "the idempotency key")
}

func TestMapGit(t *testing.T) {
	t.Parallel()
	values, err := trigger.MapGit(map[string]string{
		"Branch": "=event.branch", "Short": "=event.commit.substring(0, 7)",
	}, move("refs/heads/release/1"))
	require.ErrorContains(t, err, `variable "Short"`, "substring is not a function of CEL's standard library")
	assert.Nil(t, values)

	values, err = trigger.MapGit(map[string]string{
		"Branch": "=event.branch", "Version": `=event.tag != "" ? event.tag : event.commit`, "Forced": "=event.forced", "Text": "x",
		"Subject": "=event.subject",
	}, move("refs/heads/release/1"))
	require.NoError(t, err)
	assert.Equal(t, map[string]string{
		"Branch": "release/1", "Version": strings.Repeat("b", 40), "Forced": "false", "Text": "x", "Subject": "Fix it",
	}, values)

	pushed := move("refs/heads/main")
	pushed.Pusher, pushed.Move.Forced = "bob", true
	values, err = trigger.MapGit(map[string]string{"By": "=event.pusher", "Forced": "=event.forced"}, pushed)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"By": "bob", "Forced": "true"}, values)

	values, err = trigger.MapGit(map[string]string{"Pull": "=event.pull_request", "From": `=event.source_branch + ">" + event.destination_branch`}, pull())
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"Pull": "7", "From": "feature/x>main"}, values)
}

// TestMapGitIsBounded holds that all variables together take little more than one expression may,
// however many there are: others wait meanwhile.
func TestMapGitIsBounded(t *testing.T) {
	t.Parallel()
	numbers := "[" + strings.TrimSuffix(strings.Repeat("1,", 40), ",") + "]"
	// Far from what one expression may do, which is bounded by time too.
	busy := "=string(" + numbers + ".all(a, " + numbers + ".all(b, event.branch != event.title)))"
	one, err := trigger.MapGit(map[string]string{"V0": busy}, move("refs/heads/main"))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"V0": "true"}, one)
	many := make(map[string]string)
	for n := range 50 {
		many[fmt.Sprintf("V%02d", n)] = busy
	}
	_, err = trigger.MapGit(many, move("refs/heads/main"))
	require.ErrorContains(t, err, "the expressions of the variables take too much work together")
}

func TestParseBody(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                  "not valid JSON",
		"{":                                 "not valid JSON",
		`{"a": 1} {"b": 2}`:                 "there is more after the document",
		strings.Repeat("[", 65):             "nested deeper than 64 levels",
		strings.Repeat(`{"a":`, 1000):       "nested deeper than 64 levels",
		"[" + strings.Repeat("0,", 100_001): "more than 100000 values",
		strings.Repeat(" ", 1<<20+1):        "at most 1048576 are allowed",
	} {
		_, err := trigger.ParseBody([]byte(text), nil)
		require.ErrorContains(t, err, want)
	}
	_, err := trigger.ParseBody([]byte(`"`+strings.Repeat("[", 1000)+`\"]"`), nil)
	require.NoError(t, err, "brackets in texts do not count")
	_, err = trigger.ParseBody([]byte("{\"a\xff\": \"\xfe\"}"), map[string]string{"X": "\xff"})
	require.NoError(t, err)
}
