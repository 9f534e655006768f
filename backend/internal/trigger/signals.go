package trigger

import (
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
)

// unused returns why no trigger decides on a signal, as a sentence. It is empty if the triggers of
// the repository decide on it.
func unused(said *forge.Signal) string {
	switch said.Kind {
	case forge.RefMoved, forge.PullRequestChanged:
		if !storable(said.Ref) {
			return fmt.Sprintf("the name of the ref is not valid UTF-8, or is not 1 to %d bytes", maxRef)
		}
		return unusedAction(said.PullRequest)
	case forge.RefHint:
		return "the event does not have the commits of the ref, so the repository is compared with the remote"
	case forge.RepositoryRenamed, forge.RepositoryChanged:
		return "the event is about the repository and not about a change in it, so the repository is compared with the remote"
	case forge.RepositoryDeleted:
		return "the repository was deleted at the forge"
	case forge.InstallationChanged:
		return "the event is about the installation of the app and not about a change in a repository"
	case forge.Ping:
		return "the forge can reach the webhook and has its secret"
	}
	return ""
}

// unusedAction is unused for what happened to a pull request, nil for none.
func unusedAction(pr *forge.PullRequest) string {
	if pr == nil {
		return ""
	}
	switch pr.Action {
	case forge.Retargeted:
		return "pull requests start no executions when their destination branch changes"
	case forge.ReadyForReview:
		return "pull requests start no executions when they become ready for review"
	case forge.ConvertedToDraft:
		return "pull requests start no executions when they become drafts"
	case forge.Opened, forge.Updated, forge.Reopened, forge.Closed:
	}
	return ""
}

// signalOf returns what a signal that triggers decide on says of a ref.
func signalOf(said *forge.Signal, kind forge.Kind) signal {
	s := signal{ref: said.Ref, from: said.Before, to: held(said), event: eventIn(said, kind)}
	if pr := said.PullRequest; pr != nil {
		s.to = pr.HeadCommit
		switch pr.Action {
		case forge.Closed:
			s.from, s.to = pr.HeadCommit, ""
		case forge.Opened, forge.Reopened:
			s.from = ""
		case forge.Updated, forge.Retargeted, forge.ReadyForReview, forge.ConvertedToDraft:
		}
	}
	return s
}
