package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
)

const (
	// startsOfPipeline are how many executions a pipeline gets, which is less than it may have at once.
	startsOfPipeline = 40
	deliveryClients  = 50
	// oneByOne are the deliveries whose latency is measured, and together those that clients send at once.
	oneByOne = 400
	together = 1000
	// hookSecret signs the deliveries.
	hookSecret = "the secret of the bench"
)

// delivered is a headraced that takes deliveries, and starts an execution for each.
type delivered struct {
	client *client.Client
	url    string
	http   http.Client
}

// measureDeliveries measures how long a signed delivery takes whose answer says that the start is committed,
// and how many of them a server takes in a second. A durable commit and the floor of any server take turns with
// the deliveries, so that other load on the machine slows all of them.
func (r *run) measureDeliveries(ctx context.Context) error {
	database, err := openLimit(ctx, filepath.Join(r.dir, "deliveries.db"))
	if err != nil {
		return err
	}
	defer func() { _ = database.close() }()
	floor := httptest.NewServer(committing(database))
	defer floor.Close()
	return withRepositories(ctx, r.dir, func(host *gittest.Host) error {
		return r.withDelivered(ctx, host, func(d *delivered) error {
			one, err := r.measureOneByOne(ctx, d, database, floor.URL)
			if err != nil {
				return err
			}
			begun := time.Now()
			group, ctx := errgroup.WithContext(ctx)
			group.SetLimit(deliveryClients)
			for n := range together {
				group.Go(func() error { return d.push(ctx, d.url, oneByOne+n) })
			}
			if err := group.Wait(); err != nil {
				return err
			}
			r.value("deliveries_50_clients", together/time.Since(begun).Seconds(), "deliveries/s", 1/one.Seconds(),
				"durable commits, one after the other", "value >= 1000")
			return nil
		})
	})
}

// measureOneByOne returns how long a durable commit took beside the deliveries.
func (r *run) measureOneByOne(ctx context.Context, d *delivered, database *limitDatabase, floor string) (time.Duration, error) {
	var commits, floors, took []time.Duration
	for n := range oneByOne {
		for _, step := range []struct {
			took *[]time.Duration
			do   func() error
		}{
			{&commits, func() error { return database.commit(ctx, rowText) }},
			{&floors, func() error { return d.push(ctx, floor, n) }},
			{&took, func() error { return d.push(ctx, d.url, n) }},
		} {
			begun := time.Now()
			if err := step.do(); err != nil {
				return 0, err
			}
			*step.took = append(*step.took, time.Since(begun))
		}
	}
	one := at(commits, 50)
	r.latency("delivery_to_start", took, one, "one durable commit", "ratio <= 2")
	r.latency("delivery_to_start_http", took, at(floors, 50), "an HTTP request with that body, answered after one durable commit", "")
	return one, nil
}

// committing answers each request after one durable commit of its body.
func committing(database *limitDatabase) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = database.commit(r.Context(), string(body))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	})
}

// withDelivered runs headraced with enough pipelines, each with a repository and a trigger of its own. It has
// no runner: executions stay where they started.
func (r *run) withDelivered(ctx context.Context, host *gittest.Host, measure func(*delivered) error) (err error) {
	data := filepath.Join(r.dir, "deliveries")
	var addresses [3]string
	for n := range addresses {
		if addresses[n], err = freePort(ctx); err != nil {
			return err
		}
	}
	server := exec.CommandContext(ctx, r.headraced, "--data-dir", data, "--grpc-listen", addresses[0], "--http-listen", addresses[1],
		"--hooks-listen", addresses[2], "--public-url", "http://"+addresses[2], "--runner-slots", "0", "--poll-interval", "0s",
		"--backfill-interval", "0s", "--log-level", "error")
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Process.Signal(syscall.SIGTERM), server.Wait()) }()
	if err := ready(ctx, "http://"+addresses[1]+"/readyz"); err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(data, "admin.token"))
	if err != nil {
		return err
	}
	d := &delivered{http: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: deliveryClients}}}
	defer d.http.CloseIdleConnections()
	if d.client, err = client.Dial(client.Config{Endpoint: addresses[0], Token: strings.TrimSpace(string(token))}, "bench"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.client.Close()) }()
	if err := d.declare(ctx, host); err != nil {
		return err
	}
	return measure(d)
}

// declare makes the webhook, and the pipelines with their triggers.
func (d *delivered) declare(ctx context.Context, host *gittest.Host) error {
	connection, token := client.ConnectionName("default", "gitea"), "unused"
	if _, err := d.client.Connections.CreateConnection(ctx, &headracev1.CreateConnectionRequest{
		Connection: &headracev1.Connection{Name: connection, Type: &headracev1.Connection_Gitea{
			Gitea: &headracev1.GiteaConnection{Endpoint: host.HTTP().Base()},
		}},
		Credentials: &headracev1.ConnectionCredentials{Token: &token},
	}); err != nil {
		return err
	}
	created, err := d.client.Webhooks.CreateWebhook(ctx, &headracev1.CreateWebhookRequest{Webhook: &headracev1.Webhook{
		Name: client.WebhookName("default", "gitea"), Kind: headracev1.WebhookKind_WEBHOOK_KIND_GITEA, Connection: connection, Secret: hookSecret,
	}})
	if err != nil {
		return err
	}
	d.url = created.GetWebhook().GetUrl()
	for n := range (oneByOne+together)/startsOfPipeline + 1 {
		host.Repository("acme/"+repositoryName(n)).Commit("main", nil)
		if err := d.watch(ctx, "acme/"+repositoryName(n), repositoryName(n)); err != nil {
			return err
		}
	}
	// The repositories are read for the first time.
	_, err = d.client.Triggers.Backfill(ctx, &headracev1.BackfillRequest{Parent: "accounts/default"})
	return err
}

// watch makes a pipeline of a repository, and its trigger.
func (d *delivered) watch(ctx context.Context, repository, pipeline string) error {
	name := client.PipelineName("default", pipeline)
	if _, err := d.client.Pipelines.CreatePipeline(ctx, &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
		Name: name, Definition: &headracev1.PipelineDefinition{
			ExecutionMode: headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL,
			Stages: []*headracev1.Stage{
				{Name: "Source", Actions: []*headracev1.Action{{
					Name: "Checkout", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
					Configuration:   map[string]string{"RepositoryUrl": repository, "Branch": "main", "Connection": "gitea"},
					OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
				}}},
				{Name: "Approve", Actions: []*headracev1.Action{{Name: "Manual", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1"}}},
			},
		},
	}}); err != nil {
		return err
	}
	_, err := d.client.Triggers.CreateTrigger(ctx, &headracev1.CreateTriggerRequest{Trigger: &headracev1.DeclaredTrigger{
		Name: client.TriggerName("default", pipeline), Pipeline: name, Source: &headracev1.DeclaredTrigger_Git{Git: &headracev1.GitTrigger{
			SourceAction: "Checkout", Push: []*headracev1.GitPushFilter{{Branches: &headracev1.GlobFilter{Includes: []string{"feature/**"}}}},
		}},
	}})
	return err
}

// push delivers the push of a new branch.
func (d *delivered) push(ctx context.Context, url string, n int) error {
	commit := fmt.Sprintf("%040x", n+1)
	body, err := json.Marshal(map[string]any{
		"ref": "refs/heads/feature/" + strconv.Itoa(n), "before": gittest.Zero, "after": commit,
		"repository":  map[string]any{"full_name": "acme/" + repositoryName(n/startsOfPipeline), "default_branch": "main"},
		"pusher":      map[string]any{"login": "ann"},
		"head_commit": map[string]any{"id": commit, "message": "Change the page"},
	})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write(body)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Gitea-Event", "push")
	request.Header.Set("X-Gitea-Delivery", strconv.Itoa(n))
	request.Header.Set("X-Gitea-Signature", hex.EncodeToString(mac.Sum(nil)))
	response, err := d.http.Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	if err = errors.Join(err, response.Body.Close()); err == nil && response.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("delivery %d was answered with %s", n, response.Status)
	}
	return err
}
