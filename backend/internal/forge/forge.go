// Package forge holds what forges have in common: what a delivery is, what it says, and
// why one is refused. It must never do I/O or decide what a delivery starts.
package forge

import (
	"net/http"
	"strings"
	"time"
)

// Kind is whose deliveries a webhook takes. It is the first part of the path after /hooks/.
type Kind string

// The kinds of webhooks. Gitea is also Forgejo.
const (
	GitHub  Kind = "github"
	GitLab  Kind = "gitlab"
	Gitea   Kind = "gitea"
	Generic Kind = "generic"
)

// Title returns the name of the forge, empty for a generic webhook. Gitea is also Forgejo.
func (k Kind) Title() string {
	switch k {
	case GitHub:
		return "GitHub"
	case GitLab:
		return "GitLab"
	case Gitea:
		return "Gitea"
	case Generic:
	}
	return ""
}

// MaxBody returns how many bytes of a body a webhook of this kind takes.
func (k Kind) MaxBody() int64 {
	if k == Generic {
		return 1 << 20
	}
	return 25 << 20
}

// Path returns the path of the URL of a webhook. The token is what nobody can guess.
func (k Kind) Path(token string) string {
	return "/hooks/" + string(k) + "/" + token
}

// RepositoryKey returns the name by which two writings of one repository are the same: the
// forge's full name without slashes at its ends and without .git. Forges do not tell names
// apart by case, so the key of theirs is in lower case. An empty kind is a plain git server,
// where case matters.
func RepositoryKey(kind Kind, name string) string {
	name = strings.Trim(name, "/")
	name = strings.TrimRight(strings.TrimSuffix(name, ".git"), "/")
	switch kind {
	case GitHub, GitLab, Gitea:
		return strings.ToLower(name)
	case Generic:
	}
	return name
}

// Webhook is an address for deliveries, with what is needed to verify them.
type Webhook struct {
	// Name is accounts/{account}/webhooks/{webhook}.
	Name string
	Kind Kind
	// Secrets are the values that are accepted, newest first: one, or two during a rotation.
	Secrets []Secret
	// Authentication is set if Kind is Generic.
	Authentication Authentication
	// Etag changes with each change of the webhook, also if another of the same name replaces it.
	Etag string
}

// Secret is an accepted secret of a webhook.
type Secret struct {
	// Version is 1 for the first secret of the webhook.
	Version int64
	Value   string
}

// Authentication is how a delivery to a generic webhook proves who sent it. Exactly one
// field is set.
type Authentication struct {
	HMAC             *HMAC
	StandardWebhooks bool
	Bearer           bool
}

// HMAC is a keyed hash of the body in a header.
type HMAC struct {
	// Header holds the signature.
	Header string
	// Algorithm is sha256 or sha512, sha256 if empty.
	Algorithm string
	// Prefix comes before the signature, such as "sha256=".
	Prefix string
	// Encoding is hex or base64, hex if empty.
	Encoding string
}

// Format is how one kind of webhook writes deliveries. Its methods are pure.
type Format interface {
	// CheckSecret returns an error that says why a value cannot be a secret of the webhook.
	// The error does not hold the value.
	CheckSecret(auth Authentication, value string) error
	// Verify returns the version of the secret that signed the raw body. Its time does not
	// depend on how much of a signature is right. After an error, which is an
	// *UnverifiedError, nothing of the delivery may be believed.
	Verify(webhook Webhook, headers http.Header, body []byte, now time.Time) (int64, error)
	// Open returns what the headers say of a verified body, and the body as JSON. The error
	// is a *MalformedError.
	Open(headers http.Header, body []byte) (Content, error)
	// Parse returns what the event says. The error is a *MalformedError, or an *IgnoredError
	// if the event is sound and says nothing that triggers use.
	Parse(event string, body []byte) ([]Signal, error)
}

// Content is a delivery without what transported it.
type Content struct {
	// ID is the forge's id of the delivery. Redeliveries have the id of the first one.
	ID string
	// Event is the forge's name of the event, such as push.
	Event string
	// Body is JSON.
	Body []byte
}

// Delivery is a request that was verified.
type Delivery struct {
	Content
	// Webhook is the name of the webhook.
	Webhook string
	// Etag is that of the webhook that verified it.
	Etag string
	Kind Kind
	// SecretVersion is the version of the secret that verified it.
	SecretVersion int64
	// Address is where it came from.
	Address     string
	ReceiveTime time.Time
	// Headers are those that hold no secret and no signature, by canonical name.
	Headers map[string]string
	// Signals is what it says, in the order in which it says it.
	Signals []Signal
	// Ignored says why there are no signals, as a sentence. A generic delivery has neither.
	Ignored string
}

// Refusal is a request that was not verified or not readable. Nothing of it is kept but this.
type Refusal struct {
	// Webhook is the name of the webhook.
	Webhook     string
	Address     string
	ReceiveTime time.Time
	// Reason is machine-readable, Message a sentence.
	Reason  Reason
	Message string
}

// SignalKind is the kind of a signal.
type SignalKind string

const (
	// RefMoved says that a ref was created, moved or deleted: Ref, Before, After.
	RefMoved SignalKind = "REF_MOVED"
	// RefHint says that something happened to a ref, and not what: the remote knows.
	RefHint SignalKind = "REF_HINT"
	// PullRequestChanged says what happened to a pull request: PullRequest.
	PullRequestChanged SignalKind = "PULL_REQUEST"
	// Ping says that the forge can reach the webhook and has its secret.
	Ping SignalKind = "PING"
	// RepositoryRenamed says that the repository was PreviousName before.
	RepositoryRenamed SignalKind = "REPOSITORY_RENAMED"
	// RepositoryDeleted says that the repository no longer exists.
	RepositoryDeleted SignalKind = "REPOSITORY_DELETED"
	// RepositoryChanged says that Repository has new settings, such as its default branch.
	RepositoryChanged SignalKind = "REPOSITORY_CHANGED"
	// InstallationChanged says that a GitHub App may access other repositories than before,
	// or was installed, suspended or removed.
	InstallationChanged SignalKind = "INSTALLATION_CHANGED"
)

// Signal is one thing that a delivery says. It is a claim of the forge at the time of the
// event, not what is true now.
type Signal struct {
	Kind       SignalKind
	Repository Repository
	// Ref is whole, such as refs/heads/main. Of a pull request it is the ref of its head in
	// this repository, such as refs/pull/7/head, which also has commits of forks.
	Ref string
	// Before and After are what the ref held and holds, in lower case hex, empty where the
	// ref does not exist. An annotated tag holds the id of the tag, not of the commit.
	Before, After string
	// Created and Deleted follow from Before and After. Forced is set if the forge says that
	// the move was not a fast-forward; not every forge says so.
	Created, Deleted, Forced bool
	// Head is the commit that the ref leads to. It is zero after a deletion and where the
	// forge does not send it.
	Head Commit
	// Pusher is the name of the forge's user who caused the event.
	Pusher string
	// SkipRequested is set if the push itself asks for no pipelines (git push -o ci.skip).
	SkipRequested bool
	// PullRequest is set if Kind is PullRequestChanged.
	PullRequest *PullRequest
	// PreviousName is set if Kind is RepositoryRenamed.
	PreviousName string
}

// Repository is the repository of a signal. It is zero if the event has none.
type Repository struct {
	// FullName is as the forge writes it, such as Acme/Web.
	FullName string
	// ID is the forge's number, which renames keep.
	ID int64
	// DefaultBranch is the short name, empty if the event does not say.
	DefaultBranch string
}

// Commit is a commit as a delivery shows it.
type Commit struct {
	ID      string
	Message string
}

// Subject returns the first line of the message.
func (c Commit) Subject() string {
	subject, _, _ := strings.Cut(c.Message, "\n")
	return strings.TrimSpace(subject)
}

// PullRequestAction is what happened to a pull request.
type PullRequestAction string

const (
	// Opened is also sent for drafts.
	Opened PullRequestAction = "OPENED"
	// Updated says that the head has other commits: Before is the head before.
	Updated PullRequestAction = "UPDATED"
	// Retargeted says that the destination branch is another one.
	Retargeted PullRequestAction = "RETARGETED"
	// Reopened says that a closed one is open again.
	Reopened PullRequestAction = "REOPENED"
	// ReadyForReview says that a draft is none any more.
	ReadyForReview PullRequestAction = "READY_FOR_REVIEW"
	// ConvertedToDraft says that it became a draft.
	ConvertedToDraft PullRequestAction = "CONVERTED_TO_DRAFT"
	// Closed is sent with Merged if it was merged.
	Closed PullRequestAction = "CLOSED"
)

// PullRequest is a pull request, or a merge request of GitLab.
type PullRequest struct {
	Number int64
	Action PullRequestAction
	Title  string
	// Author is the name of the forge's user.
	Author string
	URL    string
	Draft  bool
	// Merged is set with the action Closed only.
	Merged bool
	// SourceBranch and DestinationBranch are short names.
	SourceBranch, DestinationBranch string
	// HeadCommit is the newest commit of the source branch. BaseCommit is the head of the
	// destination branch when the forge last looked; GitLab does not send it.
	HeadCommit, BaseCommit string
	// MergeCommit is what merging made, empty until then.
	MergeCommit string
	// Fork is set if the source branch is in another repository, also one that is gone.
	Fork bool
	// SourceRepository is the repository of the source branch; zero if it is gone.
	SourceRepository Repository
}
