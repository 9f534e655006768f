package crashtest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
)

const (
	// polledEvery is the shortest interval that a server accepts.
	polledEvery = time.Second
	// polledRepositories are so few that one server may read all of them at once.
	polledRepositories = 6
)

// gate is a git server that notes when the refs of each repository are read with the right password,
// and that can keep such reads waiting.
type gate struct {
	git *gittest.HTTPServer

	mu    sync.Mutex
	reads map[string][]time.Time
	// held is closed to end the waiting of reads; nil if none has to wait.
	held    chan struct{}
	waiting map[string]int
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Git asks without a password first.
	if name, found := strings.CutSuffix(r.URL.Path, "/info/refs"); found && r.Header.Get("Authorization") != "" {
		name = strings.TrimPrefix(name, "/")
		g.mu.Lock()
		g.reads[name] = append(g.reads[name], time.Now())
		held := g.held
		if held != nil {
			g.waiting[name]++
		}
		g.mu.Unlock()
		if held != nil {
			select {
			case <-held:
			case <-r.Context().Done():
				return
			}
		}
	}
	g.git.ServeHTTP(w, r)
}

// hold keeps reads waiting until release is called.
func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held, g.waiting = make(chan struct{}), make(map[string]int)
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held != nil {
		close(g.held)
		g.held = nil
	}
}

// waits returns how many reads of each repository have waited since hold.
func (g *gate) waits() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make(map[string]int, len(g.waiting))
	for name, n := range g.waiting {
		all[name] = n
	}
	return all
}

// since returns when the refs of a repository were read after a time.
func (g *gate) since(name string, begin time.Time) (after []time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, at := range g.reads[name] {
		if at.After(begin) {
			after = append(after, at)
		}
	}
	return after
}

// polledSite is two servers on one PostgreSQL, whose pipelines detect the changes of a repository each.
type polledSite struct {
	*site

	gate         *gate
	repositories []*gittest.Repository
	// heads are the commits that were pushed to each repository.
	heads [][]string
}

func newPolledSite(t *testing.T) *polledSite {
	t.Helper()
	host := gittest.NewHost(t)
	p := &polledSite{gate: &gate{git: host.HTTP(), reads: make(map[string][]time.Time)}}
	p.gate.git.Allow("deploy", gitToken)
	front := httptest.NewServer(p.gate)
	t.Cleanup(front.Close)
	t.Cleanup(p.gate.release)
	first := newServer(t)
	p.site = replicate(t, first, 2, cluster.Database(t), "--storage-url", blob.DirectoryURL(first.dir+"-shared"), "--storage-key", first.newKey("storage.key"),
		"--poll-interval", polledEvery.String(), "--backfill-interval", "0s")
	connection, password := client.ConnectionName("default", "git"), gitToken
	api := p.servers[0].client
	_, err := api.Connections.CreateConnection(t.Context(), &headracev1.CreateConnectionRequest{
		Connection:  &headracev1.Connection{Name: connection, Type: &headracev1.Connection_Git{Git: &headracev1.GitConnection{Endpoint: front.URL, Username: "deploy"}}},
		Credentials: &headracev1.ConnectionCredentials{Password: &password},
	})
	require.NoError(t, err)
	for n := range polledRepositories {
		r := host.Repository(fmt.Sprintf("acme/repo%d", n))
		r.Commit("main", nil)
		p.repositories, p.heads = append(p.repositories, r), append(p.heads, nil)
		_, err = api.Pipelines.CreatePipeline(t.Context(), &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
			Name: p.pipeline(n),
			Definition: &headracev1.PipelineDefinition{
				ExecutionMode: headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL,
				Stages: []*headracev1.Stage{
					{Name: "Source", Actions: []*headracev1.Action{{
						Name: "Checkout", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
						Configuration:   map[string]string{"RepositoryUrl": r.Name, "Branch": "main", "Connection": "git", "DetectChanges": "true"},
						OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
					}}},
					{Name: "Approve", Actions: []*headracev1.Action{{Name: "Manual", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1"}}},
				},
			},
		}})
		require.NoError(t, err)
	}
	// The first read is that of the new trigger.
	p.polled(time.Now(), 2)
	return p
}

func (p *polledSite) pipeline(n int) string {
	return client.PipelineName("default", fmt.Sprintf("web%d", n))
}

// polled waits until each repository was read so often after a time.
func (p *polledSite) polled(begin time.Time, times int) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		for _, r := range p.repositories {
			if len(p.gate.since(r.Name, begin)) < times {
				return false
			}
		}
		return true
	}, patience, 20*time.Millisecond, "%v", p.logs())
}

func (p *polledSite) logs() (all []string) {
	for _, s := range p.servers {
		all = append(all, s.output.String())
	}
	return all
}

// shared holds that each repository is read once in an interval, give or take 10 percent, whatever
// server does it.
func (p *polledSite) shared() {
	p.t.Helper()
	const polls = 8
	begin := time.Now()
	p.polled(begin, polls)
	for _, r := range p.repositories {
		at := p.gate.since(r.Name, begin)
		span := at[len(at)-1].Sub(at[0])
		// On a busy machine git may start late for the first one. Twice the polls would be more.
		const late = 2
		most := span.Seconds()/(0.9*polledEvery.Seconds()) + late
		require.LessOrEqual(p.t, float64(len(at)-1), most, "%s was read %d times in %s", r.Name, len(at), span)
		p.t.Logf("%s: %d polls in %s", r.Name, len(at), span.Round(time.Millisecond))
	}
}

// push pushes to each repository, and waits until each move has started the one execution that it has to,
// as a server says.
func (p *polledSite) push(asked *server) {
	p.t.Helper()
	for n, r := range p.repositories {
		p.heads[n] = append(p.heads[n], r.Commit("main", nil))
	}
	for n := range p.repositories {
		fetched := func() (commits []string) {
			all, err := asked.client.Executions.ListExecutions(p.t.Context(), &headracev1.ListExecutionsRequest{Parent: p.pipeline(n), PageSize: 100})
			require.NoError(p.t, err, "%v", p.logs())
			for _, e := range all.GetExecutions() {
				if stages := asked.get(e.GetName()).GetStages(); stages[len(stages)-1].GetStage() == "Approve" {
					require.Equal(p.t, e.GetTrigger().GetToCommit(), stages[0].GetActions()[0].GetOutputVariables()["CommitId"])
					commits = append(commits, e.GetTrigger().GetToCommit())
				}
			}
			return commits
		}
		var commits []string
		require.Eventually(p.t, func() bool {
			commits = fetched()
			return len(commits) >= len(p.heads[n])
		}, patience, 50*time.Millisecond, "%v", p.logs())
		require.ElementsMatch(p.t, p.heads[n], commits, "one execution for each move")
	}
}

// gitsOf counts the git processes that a server has started and that run.
func gitsOf(t *testing.T, s *server) (n int) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, path := range processes {
		// Processes may have ended.
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		const parent = 1
		_, name, _ := strings.Cut(string(data), "(")
		name, rest, _ := strings.Cut(name, ") ")
		if fields := strings.Fields(rest); name == "git" && len(fields) > parent && fields[parent] == strconv.Itoa(s.process.Process.Pid) {
			n++
		}
	}
	return n
}

// killWhilePolling kills a server while all repositories are being read, by either server. It holds
// that nothing reads a repository a second time before, and that the other server reads all of them.
func (p *polledSite) killWhilePolling(victim *server) {
	p.t.Helper()
	p.gate.hold()
	require.Eventually(p.t, func() bool { return len(p.gate.waits()) == polledRepositories }, patience, 10*time.Millisecond, "%v", p.logs())
	var reading []int
	for _, s := range p.servers {
		reading = append(reading, gitsOf(p.t, s))
	}
	begin := time.Now()
	victim.kill()
	for name, n := range p.gate.waits() {
		require.Equal(p.t, 1, n, "%s is read twice at once", name)
	}
	p.gate.release()
	p.polled(begin, 1)
	p.t.Logf("the servers read %v of %d repositories when one was killed; all were read again after %s",
		reading, polledRepositories, time.Since(begin).Round(time.Millisecond))
	require.Equal(p.t, polledRepositories, reading[0]+reading[1], "one git process for each repository")
}

// TestServersShareThePolls holds that two servers on one PostgreSQL poll each repository once in an
// interval, start each move once, and that polls go on at the other server if one is killed.
func TestServersShareThePolls(t *testing.T) {
	t.Parallel()
	p := newPolledSite(t)
	p.shared()
	for n, victim := range p.servers {
		other := p.servers[1-n]
		p.push(victim)
		p.killWhilePolling(victim)
		p.push(other)
		victim.start()
		p.push(victim)
	}
	p.shared()
	p.push(p.servers[0])
}
