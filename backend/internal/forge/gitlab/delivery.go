// Package gitlab is the adapter for GitLab. This file reads what it delivers: webhooks of
// projects, groups and the instance.
package gitlab

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
)

// Deliveries is the format of GitLab's deliveries.
type Deliveries struct{}

var _ forge.Format = Deliveries{}

const minSecret = 8

// CheckSecret refuses secrets that can be guessed, and signing tokens that are none.
func (Deliveries) CheckSecret(_ forge.Authentication, value string) error {
	if !strings.HasPrefix(value, forge.SigningPrefix) {
		return forge.CheckLength(value, minSecret)
	}
	if _, ok := forge.SigningKey(value); !ok {
		return errors.New("the secret starts with whsec_, so it must be a signing token of GitLab: base64 of at least 16 bytes follows")
	}
	return nil
}

// Verify takes a signature where the webhook has a signing token (whsec_…), and the secret
// token in X-Gitlab-Token where it has a plain secret. During a rotation from one to the
// other it takes both.
func (Deliveries) Verify(webhook forge.Webhook, headers http.Header, body []byte, now time.Time) (int64, error) {
	var signing, plain []forge.Secret
	for _, secret := range webhook.Secrets {
		if strings.HasPrefix(secret.Value, forge.SigningPrefix) {
			signing = append(signing, secret)
		} else {
			plain = append(plain, secret)
		}
	}
	if len(signing) > 0 && (len(plain) == 0 || headers.Get("webhook-signature") != "") {
		version, err := forge.VerifyStandard(signing, headers, body, now)
		if err == nil || len(plain) == 0 {
			return version, err
		}
	}
	token, err := forge.OneHeader(headers, "X-Gitlab-Token")
	if err != nil {
		return 0, err
	}
	return forge.CompareToken(plain, token)
}

// Open reads the headers.
func (Deliveries) Open(headers http.Header, body []byte) (forge.Content, error) {
	event, err := forge.Identifier(headers, "X-Gitlab-Event")
	if err != nil {
		return forge.Content{}, err
	}
	if event == "" {
		return forge.Content{}, forge.MalformedBy("header X-Gitlab-Event is missing")
	}
	content := forge.Content{Event: event, Body: body}
	// webhook-id comes first because a signature covers it. X-Gitlab-Event-UUID is not the
	// delivery's: events that a webhook causes have the same one.
	for _, name := range []string{"webhook-id", "Idempotency-Key"} {
		if content.ID, err = forge.Identifier(headers, name); err != nil || content.ID != "" {
			break
		}
	}
	if err != nil {
		return forge.Content{}, err
	}
	return content, forge.CheckJSON(body)
}

// Parse reads an event, which is named as in X-Gitlab-Event.
func (Deliveries) Parse(event string, body []byte) ([]forge.Signal, error) {
	kinds := map[string]string{
		"Push Hook": "push", "Tag Push Hook": "tag_push", "Merge Request Hook": "merge_request",
		// System hooks, integrations and all their events have one name each.
		"System Hook": "", "Service Hook": "",
	}
	wanted, used := kinds[event]
	if !used {
		return nil, forge.Ignore("the event %s starts nothing", forge.Quoted(event))
	}
	var kind struct {
		ObjectKind string `json:"object_kind"`
		EventName  string `json:"event_name"`
	}
	if err := forge.Decode(body, &kind); err != nil {
		return nil, err
	}
	if kind.ObjectKind == "" {
		kind.ObjectKind = kind.EventName
	}
	if wanted != "" && kind.ObjectKind != wanted {
		return nil, forge.MalformedBy("object_kind: %s does not belong to a %s", forge.Quoted(kind.ObjectKind), event)
	}
	var signal forge.Signal
	var err error
	switch kind.ObjectKind {
	case "push", "tag_push":
		signal, err = push(body)
	case "merge_request":
		signal, err = mergeRequest(body)
	case "project_rename", "project_transfer":
		signal, err = renamed(body)
	default:
		return nil, forge.Ignore("the event %s of %s starts nothing", forge.Quoted(kind.ObjectKind), forge.Quoted(event))
	}
	if err != nil {
		return nil, err
	}
	return []forge.Signal{signal}, nil
}

type project struct {
	ID            int64  `json:"id"`
	Path          string `json:"path_with_namespace"`
	DefaultBranch string `json:"default_branch"`
}

func (p *project) signal(field string) (forge.Repository, error) {
	if p == nil {
		return forge.Repository{}, forge.MalformedBy("%s: missing", field)
	}
	if err := forge.CheckRepository(field+".path_with_namespace", p.Path); err != nil {
		return forge.Repository{}, err
	}
	if p.DefaultBranch != "" {
		if err := forge.CheckBranch(field+".default_branch", p.DefaultBranch); err != nil {
			return forge.Repository{}, err
		}
	}
	return forge.Repository{FullName: p.Path, ID: p.ID, DefaultBranch: p.DefaultBranch}, nil
}

type commit struct {
	ID      string `json:"id"`
	Message string `json:"message"`
}

func push(body []byte) (forge.Signal, error) {
	var event struct {
		Ref         string   `json:"ref"`
		Before      string   `json:"before"`
		After       string   `json:"after"`
		CheckoutSHA string   `json:"checkout_sha"`
		User        string   `json:"user_username"`
		UserName    string   `json:"user_name"`
		Project     *project `json:"project"`
		Commits     []commit `json:"commits"`
		// Empty, an empty list or an object.
		PushOptions any `json:"push_options"`
	}
	if err := forge.Decode(body, &event); err != nil {
		return forge.Signal{}, err
	}
	repository, err := event.Project.signal("project")
	if err != nil {
		return forge.Signal{}, err
	}
	signal := forge.Signal{
		Kind: forge.RefMoved, Repository: repository, Pusher: forge.Text(event.User), SkipRequested: skips(event.PushOptions),
	}
	if signal.Pusher == "" {
		signal.Pusher = forge.Text(event.UserName)
	}
	if err := signal.Move(event.Ref, event.Before, event.After); err != nil || signal.Deleted {
		return signal, err
	}
	// The commits are at most 20. An annotated tag is not a commit, so checkout_sha is what
	// it leads to.
	if signal.Head.ID, err = forge.OptionalCommitID("checkout_sha", event.CheckoutSHA); err != nil {
		return forge.Signal{}, err
	}
	for _, commit := range event.Commits {
		if strings.EqualFold(commit.ID, signal.Head.ID) {
			signal.Head.Message = forge.Message(commit.Message)
		}
	}
	return signal, nil
}

// skips tells whether the push came with -o ci.skip.
func skips(options any) bool {
	all, _ := options.(map[string]any)
	ci, _ := all["ci"].(map[string]any)
	skip, found := ci["skip"]
	return found && skip != false && skip != "false"
}

func mergeRequest(body []byte) (forge.Signal, error) {
	type change struct {
		Previous any `json:"previous"`
		Current  any `json:"current"`
	}
	var event struct {
		User struct {
			Username string `json:"username"`
		} `json:"user"`
		Project    *project `json:"project"`
		Attributes *struct {
			IID             int64    `json:"iid"`
			Action          string   `json:"action"`
			OldRev          string   `json:"oldrev"`
			Title           string   `json:"title"`
			URL             string   `json:"url"`
			Draft           bool     `json:"draft"`
			WorkInProgress  bool     `json:"work_in_progress"`
			SourceBranch    string   `json:"source_branch"`
			TargetBranch    string   `json:"target_branch"`
			SourceProjectID int64    `json:"source_project_id"`
			TargetProjectID int64    `json:"target_project_id"`
			MergeCommitSHA  string   `json:"merge_commit_sha"`
			LastCommit      *commit  `json:"last_commit"`
			Source          *project `json:"source"`
		} `json:"object_attributes"`
		Changes struct {
			Draft        *change `json:"draft"`
			TargetBranch *change `json:"target_branch"`
		} `json:"changes"`
	}
	if err := forge.Decode(body, &event); err != nil {
		return forge.Signal{}, err
	}
	repository, err := event.Project.signal("project")
	if err != nil {
		return forge.Signal{}, err
	}
	attributes := event.Attributes
	if attributes == nil {
		return forge.Signal{}, forge.MalformedBy("object_attributes: missing")
	}
	signal := forge.Signal{Kind: forge.PullRequestChanged, Repository: repository, Pusher: forge.Text(event.User.Username)}
	pull := forge.PullRequest{
		Number: attributes.IID, Title: forge.Text(attributes.Title), Author: signal.Pusher, URL: forge.Text(attributes.URL),
		Draft:        attributes.Draft || attributes.WorkInProgress,
		SourceBranch: attributes.SourceBranch, DestinationBranch: attributes.TargetBranch,
		Fork: attributes.SourceProjectID == 0 || attributes.SourceProjectID != attributes.TargetProjectID,
	}
	var draft any
	if event.Changes.Draft != nil {
		draft = event.Changes.Draft.Current
	}
	switch action := attributes.Action; {
	case action == "open":
		pull.Action = forge.Opened
	case action == "reopen":
		pull.Action = forge.Reopened
	case action == "close":
		pull.Action = forge.Closed
	case action == "merge":
		pull.Action, pull.Merged, pull.MergeCommit = forge.Closed, true, attributes.MergeCommitSHA
	case action == "update" && attributes.OldRev != "":
		pull.Action = forge.Updated
	case action == "update" && event.Changes.TargetBranch != nil:
		pull.Action = forge.Retargeted
	case action == "update" && draft == false:
		pull.Action = forge.ReadyForReview
	case action == "update" && draft == true:
		pull.Action = forge.ConvertedToDraft
	case action == "update":
		return forge.Signal{}, forge.Ignore("the update of the merge request changes neither its commits nor its target")
	default:
		return forge.Signal{}, forge.Ignore("the action %s of merge requests starts nothing", forge.Quoted(action))
	}
	if attributes.Action != "open" {
		// The event has the author's number, and the name of who acted.
		pull.Author = ""
	}
	if attributes.LastCommit != nil {
		pull.HeadCommit = attributes.LastCommit.ID
		signal.Head.Message = forge.Message(attributes.LastCommit.Message)
	}
	if attributes.Source != nil {
		if pull.SourceRepository, err = attributes.Source.signal("object_attributes.source"); err != nil {
			return forge.Signal{}, err
		}
		pull.SourceRepository.ID = attributes.SourceProjectID
	}
	ref := "refs/merge-requests/" + strconv.FormatInt(attributes.IID, 10) + "/head"
	if err := signal.SetPullRequest(pull, ref, attributes.OldRev); err != nil {
		return forge.Signal{}, err
	}
	signal.Head.ID = signal.PullRequest.HeadCommit
	return signal, nil
}

// renamed reads an event of system hooks. Hooks of projects and groups do not tell of it.
func renamed(body []byte) (forge.Signal, error) {
	var event struct {
		project
		ProjectID int64  `json:"project_id"`
		Old       string `json:"old_path_with_namespace"`
	}
	if err := forge.Decode(body, &event); err != nil {
		return forge.Signal{}, err
	}
	event.ID = event.ProjectID
	repository, err := event.signal("event")
	if err != nil {
		return forge.Signal{}, err
	}
	return forge.Signal{Kind: forge.RepositoryRenamed, Repository: repository, PreviousName: event.Old},
		forge.CheckRepository("old_path_with_namespace", event.Old)
}
