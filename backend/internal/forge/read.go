package forge

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// maxName, maxRef and maxText are how long names, refs and free text may be. Longer names
	// and refs are refused, because a shortened one is another; text is shortened.
	maxName = 500
	maxRef  = 1000
	maxText = 1000
	// maxMessage is for commit messages, whose trailers come last.
	maxMessage = 64 << 10
	// shown is how much of a value an error quotes.
	shown = 60
)

// Decode reads JSON into a struct. Names are told apart by case, and a body that has a name
// twice in one object is refused: two readers could take different ones for true.
func Decode(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return MalformedBy("the body cannot be read: %s", jsonProblem(err))
	}
	return nil
}

// CheckJSON returns an error if the body is not one JSON value without duplicate names.
func CheckJSON(body []byte) error {
	decoder := jsontext.NewDecoder(bytes.NewBuffer(body))
	if err := decoder.SkipValue(); err != nil {
		return MalformedBy("the body cannot be read: %s", jsonProblem(err))
	}
	if _, err := decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return MalformedBy("the body has something after its JSON at byte %d", decoder.InputOffset())
	}
	return nil
}

// jsonProblem says what is wrong without the values of the body, which may be secret, and
// with the place.
func jsonProblem(err error) string {
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		problem := "an object has the same name twice"
		if errors.As(err, &syntactic) {
			problem += " at byte " + strconv.FormatInt(syntactic.ByteOffset, 10)
		}
		return problem
	case errors.As(err, &syntactic):
		return "not valid JSON at byte " + strconv.FormatInt(syntactic.ByteOffset, 10)
	case errors.As(err, &semantic):
		return "unexpected type of value at " + Quoted(string(semantic.JSONPointer))
	default:
		return "not valid JSON"
	}
}

// Payload returns the JSON of a body that is JSON, or a form with one field payload.
func Payload(headers http.Header, body []byte) ([]byte, error) {
	switch mediaType(headers) {
	case "application/json":
		return body, nil
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, MalformedBy("the body is not a valid form")
		}
		if len(form["payload"]) != 1 {
			return nil, MalformedBy("the form has %d fields named payload instead of 1", len(form["payload"]))
		}
		return []byte(form["payload"][0]), nil
	default:
		return nil, MalformedBy("content type %s is neither application/json nor application/x-www-form-urlencoded",
			Quoted(headers.Get("Content-Type")))
	}
}

func mediaType(headers http.Header) string {
	kind, _, err := mime.ParseMediaType(headers.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

// IsJSON tells whether the content type is JSON, or there is none.
func IsJSON(headers http.Header) bool {
	kind := mediaType(headers)
	return headers.Get("Content-Type") == "" || kind == "application/json" || strings.HasSuffix(kind, "+json")
}

// Identifier returns a header that names the delivery or its event, empty if there is none.
func Identifier(headers http.Header, name string) (string, error) {
	values := headers.Values(name)
	if len(values) == 0 {
		return "", nil
	}
	value := values[0]
	if len(values) > 1 || len(value) > 200 || Text(value) != value {
		return "", MalformedBy("header %s must be one value of at most 200 printable characters", name)
	}
	return value, nil
}

// CommitID returns a commit or another object of git in lower case hex, and "" for the zeros
// that stand for none.
func CommitID(field, value string) (string, error) {
	if len(value) != 40 && len(value) != 64 {
		return "", MalformedBy("%s: %s is not an object id of git", field, Quoted(value))
	}
	if strings.Trim(value, "0") == "" {
		return "", nil
	}
	value = strings.ToLower(value)
	if strings.Trim(value, "0123456789abcdef") != "" {
		return "", MalformedBy("%s: %s is not an object id of git", field, Quoted(value))
	}
	return value, nil
}

// OptionalCommitID is CommitID that takes an empty value for none.
func OptionalCommitID(field, value string) (string, error) {
	if value == "" {
		return "", nil
	}
	return CommitID(field, value)
}

// CheckRef returns an error if the ref is not a whole name that git accepts.
func CheckRef(field, ref string) error {
	if !strings.HasPrefix(ref, "refs/") || !goodRef(strings.TrimPrefix(ref, "refs/")) || !strings.Contains(ref[len("refs/"):], "/") {
		return MalformedBy("%s: %s is not the full name of a ref", field, Quoted(ref))
	}
	return nil
}

// CheckBranch returns an error if the short name of a branch or tag is not one that git accepts.
func CheckBranch(field, name string) error {
	if !goodRef(name) {
		return MalformedBy("%s: %s is not a name of a branch or tag", field, Quoted(name))
	}
	return nil
}

// goodRef follows git check-ref-format, and refuses names that look like others.
func goodRef(name string) bool {
	if name == "" || len(name) > maxRef || !utf8.ValidString(name) || name == "@" ||
		strings.Contains(name, "..") || strings.Contains(name, "@{") || strings.HasSuffix(name, ".") {
		return false
	}
	for _, r := range name {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r) || unseen(r) {
			return false
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}

// CheckRepository returns an error if a forge could not have a repository of that full name.
func CheckRepository(field, name string) error {
	parts := strings.Split(name, "/")
	good := len(name) <= maxName && len(parts) >= 2
	for _, part := range parts {
		good = good && part != "" && part != "." && part != ".." && strings.Trim(part, nameCharacters) == ""
	}
	if !good {
		return MalformedBy("%s: %s is not the full name of a repository", field, Quoted(name))
	}
	return nil
}

const nameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

// Text returns free text of a delivery without what could change how a terminal or a page
// shows what is around it, on one line and not longer than a line of a list needs.
func Text(text string) string {
	return clean(text, maxText, false)
}

// Message is Text for commit messages, which keep their lines.
func Message(text string) string {
	return clean(text, maxMessage, true)
}

func clean(text string, limit int, lines bool) string {
	if len(text) > limit {
		text = text[:limit]
		for len(text) > 0 && !utf8.RuneStart(text[len(text)-1]) {
			text = text[:len(text)-1]
		}
		if last, size := utf8.DecodeLastRuneInString(text); last == utf8.RuneError && size == 1 {
			text = text[:len(text)-1]
		}
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' && lines:
			return r
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || hidden(r):
			return -1
		default:
			return r
		}
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// hidden tells whether a character changes the order of others or ends a line without being
// a control character.
func hidden(r rune) bool {
	return unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// unseen tells whether a character of a name shows as nothing or as a space, so that the name
// looks like another one.
func unseen(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Zs, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) ||
		r == '\u2800' || r == unicode.ReplacementChar
}

// Quoted quotes the beginning of a value of a delivery for a message.
func Quoted(value string) string {
	if len(value) > shown {
		value = value[:shown] + "…"
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r != ' ' && unseen(r) }) {
		return strconv.QuoteToASCII(value)
	}
	return strconv.Quote(value)
}
