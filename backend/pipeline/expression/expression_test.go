package expression_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/expression"
)

func input() expression.Input {
	return expression.Input{
		Variables: map[string]string{"region": "eu", "count": "3"},
		Outputs: map[string]map[string]string{
			"Build":    {"VERSION": "1.2.3", "EMPTY": ""},
			"my-build": {"a@b": "x"},
		},
		Revisions: []expression.Revision{{Action: "Checkout", ID: "abc", Summary: "Fix the shop", URL: "https://example.org/shop.git"}},
		Trigger:   expression.Trigger{Type: "StartPipelineExecution", Detail: "d", Principal: "users/ann"},
		Execution: expression.Execution{ID: "e-1", Number: 7, Version: 2, Attempt: 1, Type: "STANDARD", Mode: "QUEUED", Stage: "Deploy"},
		// 10:30 in Berlin, a Wednesday.
		Now: time.Date(2026, 11, 25, 9, 30, 0, 0, time.UTC),
	}
}

func TestEvaluate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"true":                                   false,
		`[1, 2].map(x, x + 1).exists(x, x == 3)`: true,
		`[variables.region, "us"].filter(x, x != "us").size() == 1`:                                     true,
		`variables.region in ["eu", "us"] && now + duration("1h") > now`:                                true,
		`"a" + variables.region == "aeu" && execution.number + 1 == 8`:                                  true,
		`variables.region == "eu"`:                                                                      true,
		`variables["region"] == "us"`:                                                                   false,
		`int(variables.count) > 2`:                                                                      true,
		`outputs.Build.VERSION == "1.2.3"`:                                                              true,
		`outputs["my-build"]["a@b"] == "x"`:                                                             true,
		`outputs.Build["EMPTY"] == ""`:                                                                  true,
		`has(outputs.Build.NOPE)`:                                                                       false,
		`!has(outputs.Nope)`:                                                                            true,
		`"VERSION" in outputs.Build`:                                                                    true,
		`outputs.Build.VERSION.matches("^1")`:                                                           true,
		`outputs[variables.region == "eu" ? "Build" : "Nope"].VERSION.startsWith("1.")`:                 true,
		`outputs.all(ns, outputs[ns].all(key, outputs[ns][key].size() < 100))`:                          true,
		`[{"x": {"y": "local"}}].exists(outputs, outputs.x.y == "local")`:                               true,
		`revisions.Checkout.id == "abc" && revisions.Checkout.summary.contains("shop")`:                 true,
		`revisions["Checkout"].url.startsWith("https://")`:                                              true,
		`trigger.type == "StartPipelineExecution" && trigger.principal.endsWith("/ann")`:                true,
		`trigger.detail == "d"`:                                                                         true,
		`execution.number == 7 && execution.version < 3 && execution.attempt == 1`:                      true,
		`execution.id + execution.type + execution.mode + execution.stage == "e-1STANDARDQUEUEDDeploy"`: true,
		`now.getHours("Europe/Berlin") == 10 && now.getDayOfWeek() == 3`:                                true,
		`now < timestamp("2027-01-01T00:00:00Z")`:                                                       true,
		"// why\nfalse || // and\n true":                                                                true,
		`false && outputs.Nope.X == "1"`:                                                                false,
	} {
		if text == "true" {
			want = true
		}
		got, err := expression.Evaluate(text, input())
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		require.NoError(t, expression.Check(text), text)
	}
}

func TestEvaluateNothing(t *testing.T) {
	t.Parallel()
	got, err := expression.Evaluate(`has(variables.x) || has(outputs.A) || has(revisions.C) || trigger.type != "" || execution.number != 0`, expression.Input{})
	require.NoError(t, err)
	require.False(t, got)
}

func TestEvaluateFails(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`outputs.Build.NOPE == "1"`:               "outputs.Build.NOPE has no value: nothing that ended before published it; ask has(outputs.Build.NOPE) first",
		`outputs.Nope.X == outputs["a b"].Y`:      `outputs.Nope.X, outputs["a b"].Y have no value: nothing that ended before published it; ask has(outputs.Nope) first`,
		`variables.nope == "1"`:                   "variables.nope has no value",
		`revisions.Nope.id == ""`:                 "no such key: Nope",
		`outputs[variables.region].VERSION == ""`: "no such key: eu",
		`int(variables.region) > 0`:               "the expression fails",
		`1 / (execution.number - 7) > 0`:          "division by zero",
		`now.getHours("Europe/Atlantis") > 0`:     "Europe/Atlantis",
		`not an expression`:                       "line 1, column 5",
	} {
		_, err := expression.Evaluate(text, input())
		require.ErrorContains(t, err, want, text)
	}
}

// TestHostile holds that nobody can keep the server busy.
func TestHostile(t *testing.T) {
	t.Parallel()
	digits := "[" + strings.TrimSuffix(strings.Repeat("1,", 100), ",") + "]"
	for name, text := range map[string]string{
		"nested loops":   digits + ".all(a, " + digits + ".all(b, " + digits + ".all(c, " + digits + ".all(d, a + b + c + d > 0))))",
		"growing text":   `["x"].map(a, a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a)[0] == ""`,
		"growing list":   "[1,1].map(a, [a,a,a,a,a,a,a,a]).map(a, [a,a,a,a,a,a,a,a]).map(a, [a,a,a,a,a,a,a,a]).map(a, [a,a,a,a,a,a,a,a]) == []",
		"many patterns":  digits + ".all(a, " + digits + `.all(b, outputs.Big.text.matches("(x+x+)+y") == false))`,
		"large pattern":  `outputs.Big.text.matches("(x{0,20}x{0,20}x{0,20}x{0,20}){0,5}y") && outputs.Big.text.matches("(x{0,20}x{0,20}x{0,20}x{0,20}){0,5}z")`,
		"huge pattern":   `outputs.Big.text.matches("` + strings.Repeat("x{0,1000}", 1000) + `")`,
		"deep":           strings.Repeat("(", 4000) + "true" + strings.Repeat(")", 4000),
		"deep negation":  strings.Repeat("!", 9000) + "true",
		"deep lists":     strings.Repeat("[", 4000) + strings.Repeat("]", 4000) + " == []",
		"wide":           strings.Repeat("true||", 1600) + "true",
		"many mistakes":  strings.Repeat("a+", 4900) + "a",
		"broken":         strings.Repeat("((]", 3000),
		"nested macros":  strings.Repeat("[1].all(x, ", 90) + "true" + strings.Repeat(")", 90),
		"shifted macros": strings.Repeat("[1].map(x, x).filter(x, true)", 1) + strings.Repeat(".map(x, x)", 900) + " == []",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := input()
			in.Outputs["Big"] = map[string]string{"text": strings.Repeat("x", 120_000)}
			started := time.Now()
			_, err := expression.Evaluate(text, in)
			require.Less(t, time.Since(started), 5*time.Second)
			if err != nil {
				require.Less(t, len(err.Error()), 2000)
			}
		})
	}
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                     "the expression is empty",
		" \n":                                  "the expression is empty",
		strings.Repeat("x", 10001):             "is 10001 bytes long; use at most 10000",
		`variables.region`:                     "yields a text; it must yield true or false, so compare it with something",
		`execution.number`:                     "yields a value of type int",
		`outputs`:                              "yields a value of type map",
		`dyn(true)`:                            `there is no "dyn"`,
		`variables.region == eu`:               `line 1, column 21: there is no "eu"; an expression knows variables, outputs, revisions, trigger, execution and now, and texts stand in quotes`,
		`trigger.typ == ""`:                    "trigger has type, detail and principal",
		`true &&` + "\n" + ` execution.x == 1`: "line 2, column 2: execution has id, number",
		`execution.number == "7"`:              "== does not go with (int, string); convert one side",
		`variables.count > 3`:                  "> does not go with (string, int)",
		`true &&`:                              "line 1, column 8: this is not an expression:",
		`"a".matches("(")`:                     "line 1, column 12: the pattern is not a valid regular expression: missing closing ) near \"(\"",
		`"a".matches("(?!x)")`:                 "without lookarounds such as (?!",
		`"a".matches(variables.region)`:        "line 1, column 12: the pattern of matches has to stand in the expression itself",
		`#{Build.VERSION} == "1"`:              "this is not an expression",
		`outputs.variables.region == ""`:       "line 1, column 18: the pipeline's variables are not below outputs; write variables.NAME",
		`outputs.codepipeline.X == ""`:         "write execution.id",
		`revisions.Checkout.ids == "abc"`:      `a revision has id, summary and url, but no "ids"`,
		`unheard(1)`:                           `there is no "unheard"`,
		`now == timestamp("yesterday")`:        "line 1, column",
		`a == b && c == d && e == f`:           `there is no "c"`,
	} {
		err := expression.Check(text)
		require.ErrorContains(t, err, want, text)
		_, err = expression.References(text)
		require.ErrorContains(t, err, want, text)
		_, err = expression.Evaluate(text, input())
		require.ErrorContains(t, err, want, text)
	}
}

// TestCheckRefusesUnbounded holds that nothing is left to CEL's count of costs
// that it only counts when it is over, or does not count.
func TestCheckRefusesUnbounded(t *testing.T) {
	t.Parallel()
	for text, want := range unbounded() {
		require.ErrorContains(t, expression.Check(text), want, text)
		_, err := expression.Evaluate(text, input())
		require.ErrorContains(t, err, want, text)
	}
}

// unbounded returns expressions that never end unless they are refused.
func unbounded() map[string]string {
	chain := func(from, loop string, times int, rest string) string {
		return from + strings.Repeat(loop, times) + rest
	}
	const compared = "lists and maps cannot be compared as a whole; compare what is in them"
	return map[string]string{
		chain("[[1]]", ".map(a, [a, a])", 35, ".all(a, a == a)"):         compared,
		chain("[[1]]", ".map(a, [a, a])", 35, ".all(a, a != a)"):         compared,
		chain("[[1]]", ".map(a, [a, a])", 35, ".all(a, a in [a])"):       "in looks for one value, not for a list or map",
		chain("[1]", `.map(a, {"x": a, "y": a})`, 24, ".all(a, a == a)"): compared,
		chain("[[1]]", ".map(a, a + a)", 20, ".all(a, a.size() > 3)"):    "lists cannot be added; write one list",
		chain("[[1]]", ".map(a, a + a)", 35, ".all(a, size(a) > 3)"):     "lists cannot be added; write one list",
		chain("[1]", ".map(a, {a: a})", 20, ".size() == 1"):              "the keys of a map have to stand in the expression itself",
		chain("[[1]]", ".map(a, [a, a])", 90, ".size() == 1"):            "nested too deep; at most 40 levels",
		"google.protobuf.ListValue{values: [1]} == [1]":                  "makes no messages such as google.protobuf.ListValue",
		"[" + strings.Repeat("1,", 3000) + "1].size() == 1":              "the expression has 3005 parts; use at most 2000",
		`[1, [1]].all(a, a == a)`:                                        "the values have different types",
		`[[1], [[1]]].map(a, [a, a]).all(a, [a] == [a])`:                 "the values have different types",
		`{"a": 1, "b": [1]}.all(k, k == "a")`:                            "the values have different types",
		`[].all(a, a == a)`:                                              "to ask whether a list is empty write size(x) == 0",
		`variables == {}`:                                                "to ask whether a map is empty write size(x) == 0",
		`variables == variables`:                                         compared,
		`type([1]) == list`:                                              `there is no "type"`,
		"[1].all(a, " + strings.Repeat("true && ", 200) + "true)":        "what is repeated for each value has 403 parts; use at most 200",
		"[1] == [1]": compared,
	}
}

// TestEvaluateIsBounded holds that what one call reads is counted, however little
// it yields, and that no text grows beyond its bound.
func TestEvaluateIsBounded(t *testing.T) {
	t.Parallel()
	numbers := "[" + strings.TrimSuffix(strings.Repeat("1,", 100), ",") + "]"
	often := func(body string) string { return numbers + ".all(a, " + numbers + ".all(b, " + body + "))" }
	thousand := "[" + strings.TrimSuffix(strings.Repeat("1,", 900), ",") + "]"
	const long = "takes too long; make it simpler"
	for text, want := range map[string]string{
		often(`outputs.Big.text.size() > a`):                         long,
		often(`outputs.Big.text == outputs.Big.same`):                long,
		often(`outputs.Big.text in [outputs.Big.same, ""]`):          long,
		often(`!(outputs.Big.text in outputs.Build)`):                long,
		often(`bytes(outputs.Big.text).size() > 0`):                  long,
		often(`int(outputs.Big.text) > 0 || true`):                   long,
		often(`double(outputs.Big.text) > 0.0 || true`):              long,
		often(`timestamp(outputs.Big.text) > now || true`):           long,
		often(`duration(outputs.Big.text) > duration("1s") || true`): long,
		often(`now.getHours(outputs.Big.text) > 0 || true`):          long,
		often(`now.getHours("Europe/Berlin") >= 0`):                  long,
		often(`outputs.Big.text.startsWith("y") || true`):            long,
		often(`outputs.Big.text.contains("y") || true`):              long,
		often(`outputs.Big.text < outputs.Big.same || true`):         long,
		often(`!"".contains(outputs.Big.text)`):                      long,
		// Rounds that cost nothing by CEL's count.
		"[" + thousand + "].exists_one(l, l.exists_one(a, l.exists_one(b, l.exists_one(c, false))))":                long,
		"[" + thousand + "].all(l, l.filter(a, l.filter(b, l.filter(c, false).size() > 0).size() > 0).size() == 0)": long,
		`["x"]` + strings.Repeat(".map(a, a + a)", 25) + `.all(a, a == "")`:                                         "makes a text of more than 128 KiB",
		`[b"x"]` + strings.Repeat(".map(a, a + a)", 25) + `.all(a, a == b"")`:                                       "makes a text of more than 128 KiB",
	} {
		require.NoError(t, expression.Check(text), text)
		in := input()
		in.Outputs["Big"] = map[string]string{"text": strings.Repeat("1", 120_000), "same": strings.Repeat("1", 120_000)}
		_, err := expression.Evaluate(text, in)
		require.ErrorContains(t, err, want, text)
	}
}

// A key may be as long as a variable, and what is said about it is kept and shown.
func TestErrorsAreShort(t *testing.T) {
	t.Parallel()
	in := input()
	in.Outputs["Big"] = map[string]string{"text": strings.Repeat("ä", 60_000)}
	_, err := expression.Evaluate(`outputs.Big.all(k, variables[outputs.Big[k]] == "")`, in)
	require.ErrorContains(t, err, "no such key")
	require.Less(t, len(err.Error()), 400)
}

func TestReferences(t *testing.T) {
	t.Parallel()
	type R = expression.Reference
	for text, want := range map[string][]R{
		`true`:                       nil,
		`variables.b == variables.a`: {{"variables", "b"}, {"variables", "a"}},
		`variables["a-b"] == ""`:     {{"variables", "a-b"}},
		`outputs.Build.X == "" || outputs["Build"].X == ""`: {{"Build", "X"}},
		`outputs["my-build"]["x@y"].size() > 0`:             {{"my-build", "x@y"}},
		`.outputs.A.b == ""`:                                {{"A", "b"}},
		`has(outputs.A.b)`:                                  {{"A", "b"}},
		`has(outputs.A)`:                                    nil,
		`"k" in outputs.A`:                                  nil,
		`outputs[variables.from].X == ""`:                   {{"variables", "from"}},
		`outputs.A[variables.key] == ""`:                    {{"variables", "key"}},
		`{"k": outputs.A.b}.k in [variables.x, "y"] ? now.getHours(variables.zone) > 1 : !(outputs.C.d == "")`: {
			{"A", "b"}, {"variables", "x"}, {"variables", "zone"}, {"C", "d"},
		},
		`[outputs.A.b].all(x, x == outputs.C.d)`:                                     {{"A", "b"}, {"C", "d"}},
		`[{"x": {"y": "z"}}].exists(outputs, outputs.x.y == "z")`:                    nil,
		`[{"x": {"y": "z"}}].exists(outputs, .outputs.x.y == "z")`:                   {{"x", "y"}},
		`[1].all(variables, variables == 1) && variables.after == "1"`:               {{"variables", "after"}},
		`revisions.Checkout.id == "" && trigger.type == "" && execution.number == 1`: nil,
	} {
		got, err := expression.References(text)
		require.NoError(t, err, text)
		require.ElementsMatch(t, want, got, text)
	}
	sources, err := expression.Sources(`revisions.A.id == "" || revisions["b-c"].id == "" || revisions.A.url == outputs.X.y`)
	require.NoError(t, err)
	require.Equal(t, []string{"A", "b-c"}, sources)
	require.Equal(t, `outputs["my-build"]["1"]`, R{"my-build", "1"}.String())
	require.Equal(t, `variables["a-b"]`, R{"variables", "a-b"}.String())
}

func FuzzEvaluate(f *testing.F) {
	for _, text := range []string{
		`outputs.Build.VERSION == "1"`, `variables["a"].matches("^(a|b)+$")`, `[1,2].all(x, x > 0)`, `outputs.all(ns, outputs[ns].size() > 0)`,
		`now.getHours("Europe/Berlin") >= 9`, `revisions.A.id == ""`, `has(outputs.A.b) ? true : false`, `true ||`, `{1: true}[1]`, `duration("1h") > duration("1m")`,
	} {
		f.Add(text)
	}
	for text := range unbounded() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		started := time.Now()
		references, err := expression.References(text)
		if err != nil {
			require.Error(t, expression.Check(text))
			return
		}
		in := input()
		for _, r := range references {
			// As it is written, a reference is one.
			again, err := expression.References(r.String() + ` == ""`)
			require.NoError(t, err, r)
			require.Equal(t, []expression.Reference{r}, again)
		}
		_, _ = expression.Evaluate(text, in)
		require.Less(t, time.Since(started), 5*time.Second)
	})
}

func BenchmarkEvaluate(b *testing.B) {
	in := input()
	for b.Loop() {
		_, err := expression.Evaluate(`outputs.Build.VERSION == "1.2.3" && variables.region == "eu"`, in)
		require.NoError(b, err)
	}
}

func TestCheckPattern(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"", "v[0-9]+", "(a|b)*", "[a-z]{1,400}", `\d+\.\d+`, `[a-zA-Z0-9_]{1,200}`, `\pL+-\pL+`} {
		require.NoError(t, expression.CheckPattern(pattern), pattern)
	}
	for pattern, want := range map[string]string{
		"(":                      "the pattern is not a valid regular expression: missing closing ) near \"(\"",
		"a)(b":                   "unexpected )",
		"(?=x)":                  "patterns are those of RE2, without lookarounds such as (?=",
		"a(?<!b)":                "lookarounds such as (?<!",
		`(a)\1`:                  "without backreferences",
		"(x{1,100}){1,10}":       "stands for 2020 steps, of which at most 1000 are allowed",
		"((x{1,100}){1,100}){9}": "invalid repeat count",
		// The ranges of a class have to be searched.
		"(" + strings.Repeat(`[\pL\pN]`, 50) + "){9}": "of which at most 1000 are allowed",
		// What is read before it is found to be little.
		`[` + strings.Repeat(`\pL`, 1900) + `]`: "the pattern is 5702 bytes long; use at most 500",
	} {
		require.ErrorContains(t, expression.CheckPattern(pattern), want, pattern)
	}
}
