// Package gitea is the adapter for Gitea and Forgejo. This file reads what they deliver.
package gitea

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
)

// Deliveries is the format of the deliveries of Gitea and Forgejo. They come with the
// headers of GitHub too, and with bodies that differ from GitHub's.
type Deliveries struct{}

var _ forge.Format = Deliveries{}

const minSecret = 8

// CheckSecret refuses secrets that can be guessed.
func (Deliveries) CheckSecret(_ forge.Authentication, value string) error {
	return forge.CheckLength(value, minSecret)
}

// Verify takes X-Gitea-Signature, or X-Forgejo-Signature if that is missing. Of a form, the
// signature covers the JSON in it and not the body.
func (Deliveries) Verify(webhook forge.Webhook, headers http.Header, body []byte, _ time.Time) (int64, error) {
	name := "X-Gitea-Signature"
	if headers.Get(name) == "" && headers.Get("X-Forgejo-Signature") != "" {
		name = "X-Forgejo-Signature"
	}
	value, err := forge.OneHeader(headers, name)
	if err != nil {
		return 0, err
	}
	signature, err := hex.DecodeString(value)
	if err != nil {
		return 0, forge.Unverified(forge.SignatureInvalid, "header %s is not hex digits", name)
	}
	payload, err := forge.Payload(headers, body)
	if err != nil {
		return 0, forge.Unverified(forge.SignatureInvalid, "%s, so it has nothing that the signature could cover", err)
	}
	return forge.Compare(forge.Signers(webhook.Secrets, sha256.New, payload), signature)
}

// Open reads the headers, and the JSON of a body that may be a form.
func (Deliveries) Open(headers http.Header, body []byte) (forge.Content, error) {
	var content forge.Content
	var err error
	for _, read := range []struct {
		into   *string
		header string
	}{
		{&content.Event, "X-Gitea-Event"},
		{&content.Event, "X-Forgejo-Event"},
		{&content.ID, "X-Gitea-Delivery"},
		{&content.ID, "X-Forgejo-Delivery"},
	} {
		if *read.into == "" {
			if *read.into, err = forge.Identifier(headers, read.header); err != nil {
				return forge.Content{}, err
			}
		}
	}
	if content.Event == "" {
		return forge.Content{}, forge.MalformedBy("header X-Gitea-Event is missing")
	}
	if content.Body, err = forge.Payload(headers, body); err != nil {
		return forge.Content{}, err
	}
	return content, forge.CheckJSON(content.Body)
}

// Parse reads an event.
func (Deliveries) Parse(event string, body []byte) ([]forge.Signal, error) {
	var signal forge.Signal
	var err error
	switch event {
	case "push":
		signal, err = push(body)
	case "create", "delete":
		signal, err = refHint(body)
	case "pull_request", "pull_request_sync":
		signal, err = pullRequest(body)
	case "repository":
		signal, err = repositoryEvent(body)
	default:
		return nil, forge.Ignore("the event %s starts nothing", forge.Quoted(event))
	}
	if err != nil {
		return nil, err
	}
	return []forge.Signal{signal}, nil
}

type repository struct {
	ID            int64  `json:"id"`
	FullName      string `json:"full_name"`
	DefaultBranch string `json:"default_branch"`
}

func (r *repository) signal(field string) (forge.Repository, error) {
	if r == nil {
		return forge.Repository{}, forge.MalformedBy("%s: missing", field)
	}
	if err := forge.CheckRepository(field+".full_name", r.FullName); err != nil {
		return forge.Repository{}, err
	}
	if r.DefaultBranch != "" {
		if err := forge.CheckBranch(field+".default_branch", r.DefaultBranch); err != nil {
			return forge.Repository{}, err
		}
	}
	return forge.Repository{FullName: r.FullName, ID: r.ID, DefaultBranch: r.DefaultBranch}, nil
}

type user struct {
	Login string `json:"login"`
}

type common struct {
	Action     string      `json:"action"`
	Repository *repository `json:"repository"`
	Sender     user        `json:"sender"`
}

func (c *common) signal(kind forge.SignalKind) (forge.Signal, error) {
	repository, err := c.Repository.signal("repository")
	return forge.Signal{Kind: kind, Repository: repository, Pusher: forge.Text(c.Sender.Login)}, err
}

func push(body []byte) (forge.Signal, error) {
	var event struct {
		common
		Ref        string `json:"ref"`
		Before     string `json:"before"`
		After      string `json:"after"`
		Pusher     user   `json:"pusher"`
		HeadCommit *struct {
			ID      string `json:"id"`
			Message string `json:"message"`
		} `json:"head_commit"`
	}
	if err := forge.Decode(body, &event); err != nil {
		return forge.Signal{}, err
	}
	signal, err := event.signal(forge.RefMoved)
	if err != nil {
		return forge.Signal{}, err
	}
	if event.Pusher.Login != "" {
		signal.Pusher = forge.Text(event.Pusher.Login)
	}
	if err := signal.Move(event.Ref, event.Before, event.After); err != nil {
		return forge.Signal{}, err
	}
	if head := event.HeadCommit; head != nil && !signal.Deleted {
		id, err := forge.CommitID("head_commit.id", head.ID)
		if err != nil {
			return forge.Signal{}, err
		}
		signal.Head = forge.Commit{ID: id, Message: forge.Message(head.Message)}
	}
	return signal, nil
}

// refHint reads create and delete. The deletion of a branch comes as delete only.
func refHint(body []byte) (forge.Signal, error) {
	var event struct {
		common
		Ref     string `json:"ref"`
		RefType string `json:"ref_type"`
	}
	if err := forge.Decode(body, &event); err != nil {
		return forge.Signal{}, err
	}
	signal, err := event.signal(forge.RefHint)
	if err != nil {
		return forge.Signal{}, err
	}
	signal.Ref, err = forge.WholeRef(event.RefType, event.Ref)
	return signal, err
}

type side struct {
	Ref    string      `json:"ref"`
	SHA    string      `json:"sha"`
	RepoID int64       `json:"repo_id"`
	Repo   *repository `json:"repo"`
}

func pullRequest(body []byte) (forge.Signal, error) {
	var event struct {
		common
		Number  int64 `json:"number"`
		Changes struct {
			Ref *struct{} `json:"ref"`
		} `json:"changes"`
		PullRequest *struct {
			Title          string `json:"title"`
			HTMLURL        string `json:"html_url"`
			Draft          bool   `json:"draft"`
			Merged         bool   `json:"merged"`
			MergeCommitSHA string `json:"merge_commit_sha"`
			User           *user  `json:"user"`
			Head           *side  `json:"head"`
			Base           *side  `json:"base"`
		} `json:"pull_request"`
	}
	if err := forge.Decode(body, &event); err != nil {
		return forge.Signal{}, err
	}
	signal, err := event.signal(forge.PullRequestChanged)
	if err != nil {
		return forge.Signal{}, err
	}
	actions := map[string]forge.PullRequestAction{
		"opened": forge.Opened, "synchronized": forge.Updated, "reopened": forge.Reopened, "closed": forge.Closed,
	}
	if event.Changes.Ref != nil {
		actions["edited"] = forge.Retargeted
	}
	action, used := actions[event.Action]
	if !used {
		return forge.Signal{}, forge.Ignore("the action %s of pull requests starts nothing", forge.Quoted(event.Action))
	}
	request := event.PullRequest
	if request == nil || request.Head == nil || request.Base == nil {
		return forge.Signal{}, forge.MalformedBy("pull_request: it or its head or base is missing")
	}
	pull := forge.PullRequest{
		Number: event.Number, Action: action, Title: forge.Text(request.Title), URL: forge.Text(request.HTMLURL),
		Draft: request.Draft, Merged: request.Merged && action == forge.Closed,
		SourceBranch: request.Head.Ref, DestinationBranch: request.Base.Ref,
		HeadCommit: request.Head.SHA, BaseCommit: request.Base.SHA,
		Fork: request.Head.RepoID <= 0 || request.Head.RepoID != signal.Repository.ID,
	}
	if request.User != nil {
		pull.Author = forge.Text(request.User.Login)
	}
	if request.Head.Repo != nil {
		if pull.SourceRepository, err = request.Head.Repo.signal("pull_request.head.repo"); err != nil {
			return forge.Signal{}, err
		}
	}
	if pull.Merged {
		pull.MergeCommit = request.MergeCommitSHA
	}
	return signal, signal.SetPullRequest(pull, "refs/pull/"+strconv.FormatInt(event.Number, 10)+"/head", "")
}

func repositoryEvent(body []byte) (forge.Signal, error) {
	var event common
	if err := forge.Decode(body, &event); err != nil {
		return forge.Signal{}, err
	}
	if event.Action != "deleted" {
		return forge.Signal{}, forge.Ignore("the action %s of repositories starts nothing", forge.Quoted(event.Action))
	}
	return event.signal(forge.RepositoryDeleted)
}
