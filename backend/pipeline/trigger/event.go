package trigger

import "strings"

// Event is what happened in a repository: one of Move and PullRequest is set.
type Event struct {
	Move        *Move
	PullRequest *PullRequest
	// Pusher is the user of the forge that caused the event, as the forge says. It may be set
	// beside both, and is empty if a comparison with the remote found the event.
	Pusher string
}

// Move is one change of a branch or tag.
type Move struct {
	// Ref is the whole name, such as refs/heads/main.
	Ref string
	// Created means that there is no earlier head to compare with: the ref is new, or the
	// trigger has never evaluated it.
	Created bool
	Deleted bool
	// Forced means that the forge said that From is not an ancestor of To. Not every forge does.
	Forced bool
	// From and To are commits. From is empty if the ref is created, To if it is deleted.
	From, To string
	// DefaultBranch is the name of the repository's default branch, empty if not known.
	DefaultBranch string
	// Head is the message of To. Nil means that it is not known yet, see Needs. If it cannot
	// be determined, pass an empty message.
	Head *Message
}

const (
	branchPrefix = "refs/heads/"
	tagPrefix    = "refs/tags/"
)

// Branch returns the name of the branch that moved, and whether it is one.
func (m *Move) Branch() (string, bool) { return below(m.Ref, branchPrefix) }

// Tag returns the name of the tag that moved, and whether it is one.
func (m *Move) Tag() (string, bool) { return below(m.Ref, tagPrefix) }

func below(ref, prefix string) (string, bool) {
	name, ok := strings.CutPrefix(ref, prefix)
	if !ok || name == "" {
		return "", false
	}
	return name, true
}

// PullRequestEvent is what happened to a pull request, in CodePipeline's words.
type PullRequestEvent string

// The events of pull requests. Closed also means merged.
const (
	PullRequestOpen    PullRequestEvent = "OPEN"
	PullRequestUpdated PullRequestEvent = "UPDATED"
	PullRequestClosed  PullRequestEvent = "CLOSED"
)

// PullRequest is an event of a pull request.
type PullRequest struct {
	Number int64
	Event  PullRequestEvent
	// Merged is set with PullRequestClosed if the pull request was merged.
	Merged bool
	// Source and Destination are names of branches.
	Source, Destination string
	// Base and Head are the commits of Destination and Source.
	Base, Head string
	// Fork means that Source is in another repository than Destination, or that its
	// repository no longer exists.
	Fork          bool
	Draft         bool
	Author, Title string
	// HeadMessage is the message of Head, as Head in Move.
	HeadMessage *Message
}

// Message is what a commit says about skipping.
type Message struct {
	Subject string
	// Trailers are the lines of the last paragraph that have the form of "Key: value".
	Trailers []Trailer
}

// Trailer is a trailer of a commit message.
type Trailer struct{ Key, Value string }

// ParseMessage returns the subject and the trailers of a whole commit message.
func ParseMessage(message string) Message {
	message = strings.ReplaceAll(message, "\r\n", "\n")
	subject, body, _ := strings.Cut(strings.TrimLeft(message, "\n"), "\n\n")
	parsed := Message{Subject: strings.Join(strings.Fields(subject), " ")}
	body = strings.TrimRight(body, "\n ")
	if at := strings.LastIndex(body, "\n\n"); at >= 0 {
		body = body[at+2:]
	}
	if body == "" {
		return parsed
	}
	for line := range strings.Lines(body) {
		key, value, found := strings.Cut(line, ":")
		if key = strings.TrimSpace(key); found && isTrailerKey(key) {
			parsed.Trailers = append(parsed.Trailers, Trailer{Key: key, Value: strings.TrimSpace(value)})
		}
	}
	return parsed
}

func isTrailerKey(key string) bool {
	return key != "" && strings.IndexFunc(key, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) < 0
}

// skipMarkers are looked for in the subject of a head commit.
//
//nolint:gochecknoglobals // It never changes.
var skipMarkers = []string{"[skip ci]", "[ci skip]", "[no ci]", "[skip-ci]", "[ci-skip]"}

// SkipMarker returns the marker by which the commit asks to start nothing, as it was
// written, or nothing. Only the subject and the trailers count: a squash merge lists the
// messages of all squashed commits in its body, and one of those must not skip a release.
func (m *Message) SkipMarker() (marker string, skips bool) {
	subject := strings.ToLower(m.Subject)
	for _, marker := range skipMarkers {
		if strings.Contains(subject, marker) {
			return marker, true
		}
	}
	for _, t := range m.Trailers {
		if strings.EqualFold(t.Key, "skip-checks") && strings.EqualFold(t.Value, "true") {
			return "skip-checks: true", true
		}
	}
	return "", false
}

// FilesState says what is known of the changed files.
type FilesState int

// The states of files.
const (
	// FilesNotComputed is the state of the zero Files: nobody has looked yet.
	FilesNotComputed FilesState = iota
	FilesKnown
	// FilesUnknown means that they cannot be determined.
	FilesUnknown
)

// Files are the paths that an event changes, as bytes relative to the root of the
// repository. For a deleted or renamed file its old path is one of them.
type Files struct {
	State FilesState
	Paths [][]byte
	// Problem says why the files are unknown, for people.
	Problem string
}

// Changed returns files that are known.
func Changed(paths [][]byte) Files { return Files{State: FilesKnown, Paths: paths} }

// UnknownFiles returns files that cannot be determined because of a problem, such as
// "the base 4f1c… is not reachable".
func UnknownFiles(problem string) Files { return Files{State: FilesUnknown, Problem: problem} }

// Base says what the changed files of an event are the difference from.
type Base int

const (
	// BaseEvaluated is the head of the ref that the trigger evaluated last: Move.From.
	BaseEvaluated Base = iota
	// BaseMergeBase is the merge base with the default branch, for a new branch.
	BaseMergeBase
	// BasePullRequest is the merge base of the destination and the source of a pull request.
	BasePullRequest
)

// DiffBase returns what the changed files of the event have to be the difference from.
func (e *Event) DiffBase() Base {
	switch {
	case e.PullRequest != nil:
		return BasePullRequest
	case e.Move != nil && e.Move.Created:
		return BaseMergeBase
	default:
		return BaseEvaluated
	}
}
