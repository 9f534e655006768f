package ledger

import "github.com/headrace/terraform-provider-headrace/backend/internal/forge"

// ComparePullRequest is Compare for an event of a pull request. The ledger has the head of an
// open pull request, and an empty head of one that is closed. What the remote has of pull
// requests does not say whether they are open, so it is only asked about new commits.
func ComparePullRequest(ref Ref, known, made bool, from, to string, action forge.PullRequestAction) Change {
	closed := known && ref.Head == ""
	switch action {
	case forge.Opened:
		if !known {
			return Moves
		}
		return Repeats
	case forge.Reopened:
		if closed || !known {
			return Moves
		}
		return Repeats
	case forge.Closed:
		if closed {
			return Repeats
		}
		return Moves
	default:
		if closed {
			return Repeats
		}
		return Compare(ref, known, made, from, to)
	}
}
