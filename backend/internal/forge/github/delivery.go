// Package github is the adapter for GitHub. This file reads what it delivers: webhooks of
// Apps, organizations and repositories.
package github

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
)

// Deliveries is the format of GitHub's deliveries.
type Deliveries struct{}

var _ forge.Format = Deliveries{}

const minSecret = 8

// CheckSecret refuses secrets that can be guessed.
func (Deliveries) CheckSecret(_ forge.Authentication, value string) error {
	return forge.CheckLength(value, minSecret)
}

// Verify takes X-Hub-Signature-256 only. The header X-Hub-Signature is SHA-1 and proves
// nothing.
func (Deliveries) Verify(webhook forge.Webhook, headers http.Header, body []byte, _ time.Time) (int64, error) {
	value, err := forge.OneHeader(headers, "X-Hub-Signature-256")
	if err != nil {
		return 0, err
	}
	encoded, found := strings.CutPrefix(value, "sha256=")
	signature, err := hex.DecodeString(encoded)
	if !found || err != nil {
		return 0, forge.Unverified(forge.SignatureInvalid, "header X-Hub-Signature-256 is not sha256= and hex digits")
	}
	return forge.Compare(forge.Signers(webhook.Secrets, sha256.New, body), signature)
}

// Open reads the headers, and the JSON of a body that may be a form.
func (Deliveries) Open(headers http.Header, body []byte) (forge.Content, error) {
	event, err := forge.Identifier(headers, "X-GitHub-Event")
	if err != nil {
		return forge.Content{}, err
	}
	if event == "" {
		return forge.Content{}, forge.MalformedBy("header X-GitHub-Event is missing")
	}
	id, err := forge.Identifier(headers, "X-GitHub-Delivery")
	if err != nil {
		return forge.Content{}, err
	}
	payload, err := forge.Payload(headers, body)
	if err != nil {
		return forge.Content{}, err
	}
	return forge.Content{ID: id, Event: event, Body: payload}, forge.CheckJSON(payload)
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
	case "pull_request":
		signal, err = pullRequest(body)
	case "ping":
		signal, err = ping(body)
	case "installation", "installation_repositories":
		signal, err = installation(body)
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
	Name          string `json:"name"`
	FullName      string `json:"full_name"`
	DefaultBranch string `json:"default_branch"`
}

func (r *repository) signal() (forge.Repository, error) {
	if r == nil {
		return forge.Repository{}, forge.MalformedBy("repository: missing")
	}
	if err := forge.CheckRepository("repository.full_name", r.FullName); err != nil {
		return forge.Repository{}, err
	}
	if r.DefaultBranch != "" {
		if err := forge.CheckBranch("repository.default_branch", r.DefaultBranch); err != nil {
			return forge.Repository{}, err
		}
	}
	return forge.Repository{FullName: r.FullName, ID: r.ID, DefaultBranch: r.DefaultBranch}, nil
}

type user struct {
	Login string `json:"login"`
	Name  string `json:"name"`
}

// common is what most events have.
type common struct {
	Action       string      `json:"action"`
	Repository   *repository `json:"repository"`
	Sender       user        `json:"sender"`
	Installation struct {
		ID int64 `json:"id"`
	} `json:"installation"`
}

func (c *common) signal(kind forge.SignalKind) (forge.Signal, error) {
	repository, err := c.Repository.signal()
	return forge.Signal{Kind: kind, Repository: repository, Pusher: forge.Text(c.Sender.Login)}, err
}

func push(body []byte) (forge.Signal, error) {
	var event struct {
		common
		Ref        string `json:"ref"`
		Before     string `json:"before"`
		After      string `json:"after"`
		Forced     bool   `json:"forced"`
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
	signal.Forced = event.Forced
	if event.Pusher.Name != "" {
		signal.Pusher = forge.Text(event.Pusher.Name)
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

// refHint reads create and delete, which come beside push or, for many refs, do not come.
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
	Ref  string      `json:"ref"`
	SHA  string      `json:"sha"`
	Repo *repository `json:"repo"`
}

func pullRequest(body []byte) (forge.Signal, error) {
	var event struct {
		common
		Number  int64  `json:"number"`
		Before  string `json:"before"`
		Changes struct {
			Base *struct{} `json:"base"`
		} `json:"changes"`
		PullRequest *struct {
			Title          string `json:"title"`
			HTMLURL        string `json:"html_url"`
			Draft          bool   `json:"draft"`
			Merged         bool   `json:"merged"`
			MergeCommitSHA string `json:"merge_commit_sha"`
			User           *user  `json:"user"`
			Head           side   `json:"head"`
			Base           side   `json:"base"`
		} `json:"pull_request"`
	}
	if err := forge.Decode(body, &event); err != nil {
		return forge.Signal{}, err
	}
	actions := map[string]forge.PullRequestAction{
		"opened": forge.Opened, "synchronize": forge.Updated, "reopened": forge.Reopened, "closed": forge.Closed,
		"ready_for_review": forge.ReadyForReview, "converted_to_draft": forge.ConvertedToDraft,
	}
	if event.Changes.Base != nil {
		actions["edited"] = forge.Retargeted
	}
	signal, err := event.signal(forge.PullRequestChanged)
	if err != nil {
		return forge.Signal{}, err
	}
	action, used := actions[event.Action]
	if !used {
		return forge.Signal{}, forge.Ignore("the action %s of pull requests starts nothing", forge.Quoted(event.Action))
	}
	request := event.PullRequest
	if request == nil {
		return forge.Signal{}, forge.MalformedBy("pull_request: missing")
	}
	pull := forge.PullRequest{
		Number: event.Number, Action: action, Title: forge.Text(request.Title), URL: forge.Text(request.HTMLURL),
		Draft: request.Draft, Merged: request.Merged && action == forge.Closed,
		SourceBranch: request.Head.Ref, DestinationBranch: request.Base.Ref, Fork: true,
	}
	if request.User != nil {
		pull.Author = forge.Text(request.User.Login)
	}
	if request.Head.Repo != nil {
		if pull.SourceRepository, err = request.Head.Repo.signal(); err != nil {
			return forge.Signal{}, err
		}
		pull.Fork = pull.SourceRepository.ID == 0 || pull.SourceRepository.ID != signal.Repository.ID
	}
	if pull.Merged {
		pull.MergeCommit = request.MergeCommitSHA
	}
	pull.HeadCommit, pull.BaseCommit = request.Head.SHA, request.Base.SHA
	return signal, signal.SetPullRequest(pull, "refs/pull/"+strconv.FormatInt(event.Number, 10)+"/head", event.Before)
}

// ping reads the first delivery of a hook. A hook of an organization has no repository.
func ping(body []byte) (forge.Signal, error) {
	var event common
	if err := forge.Decode(body, &event); err != nil {
		return forge.Signal{}, err
	}
	if event.Repository == nil {
		return forge.Signal{Kind: forge.Ping, Pusher: forge.Text(event.Sender.Login)}, nil
	}
	return event.signal(forge.Ping)
}

func installation(body []byte) (forge.Signal, error) {
	var event common
	if err := forge.Decode(body, &event); err != nil {
		return forge.Signal{}, err
	}
	if event.Installation.ID == 0 {
		return forge.Signal{}, forge.MalformedBy("installation.id: missing")
	}
	return forge.Signal{Kind: forge.InstallationChanged, Pusher: forge.Text(event.Sender.Login)}, nil
}

func repositoryEvent(body []byte) (forge.Signal, error) {
	type owner struct {
		Login string `json:"login"`
	}
	var event struct {
		common
		Changes struct {
			Repository *struct {
				Name struct {
					From string `json:"from"`
				} `json:"name"`
			} `json:"repository"`
			Owner *struct {
				From struct {
					User         *owner `json:"user"`
					Organization *owner `json:"organization"`
				} `json:"from"`
			} `json:"owner"`
			DefaultBranch *struct{} `json:"default_branch"`
		} `json:"changes"`
	}
	if err := forge.Decode(body, &event); err != nil {
		return forge.Signal{}, err
	}
	signal, err := event.signal(forge.RepositoryChanged)
	if err != nil {
		return forge.Signal{}, err
	}
	ownerName, name, _ := strings.Cut(signal.Repository.FullName, "/")
	switch changes := event.Changes; {
	case event.Action == "renamed" && changes.Repository != nil:
		signal.Kind, name = forge.RepositoryRenamed, changes.Repository.Name.From
	case event.Action == "transferred" && changes.Owner != nil && changes.Owner.From.User != nil:
		signal.Kind, ownerName = forge.RepositoryRenamed, changes.Owner.From.User.Login
	case event.Action == "transferred" && changes.Owner != nil && changes.Owner.From.Organization != nil:
		signal.Kind, ownerName = forge.RepositoryRenamed, changes.Owner.From.Organization.Login
	case event.Action == "deleted":
		signal.Kind = forge.RepositoryDeleted
	case event.Action == "edited" && changes.DefaultBranch != nil, event.Action == "archived", event.Action == "unarchived":
		return signal, nil
	default:
		return forge.Signal{}, forge.Ignore("the action %s of repositories starts nothing", forge.Quoted(event.Action))
	}
	if signal.Kind == forge.RepositoryRenamed {
		signal.PreviousName = ownerName + "/" + name
		return signal, forge.CheckRepository("changes", signal.PreviousName)
	}
	return signal, nil
}
