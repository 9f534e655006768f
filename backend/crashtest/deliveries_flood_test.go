package crashtest

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
)

// deliveriesEnv makes the floods of deliveries long: it is how many deliveries are sent.
const deliveriesEnv = "HEADRACE_FLOOD_DELIVERIES"

const (
	branches = 3
	pushes   = 10
	// perRepository is how many deliveries the pushes to one repository make: half of them come twice,
	// and forged ones are between them.
	perRepository = branches * (pushes + pushes/2 + forgeries)
	forgeries     = 2
	// grows is how much memory the flood may take beyond that of a server that does nothing. The large bodies
	// of the long form are more.
	grows = 96 << 20
	// usual makes a body as large as that of a push of a commit or two, and large one of many commits.
	usual, large = 8_000, 100_000
)

// flood is a server that gets the deliveries of a forge.
type flood struct {
	*server

	sender       *sender
	git          *gittest.HTTPServer
	repositories []*gittest.Repository
	branches     []*branch

	sent, refused atomic.Int64
	// forged are forged deliveries, also those that had no answer.
	forged atomic.Int64
	mu     sync.Mutex
	// answered counts deliveries that were answered with success, also repeated ones.
	answered atomic.Int64
	// took is how long each delivery waited for its answer.
	took []time.Duration
	// life is the present life of the server.
	life *life
	// accepted are the ids of deliveries that were answered with success.
	accepted map[string]bool
}

// life is that of a server between two kills.
type life struct {
	// up is closed once the server listens, and was compared with the remotes if compared is set.
	up       chan struct{}
	compared bool
	// over is closed by the kill, and most is how many deliveries are sent before that, so that some are left
	// for further kills.
	over chan struct{}
	most int64
}

func newLife(compared bool, most int64) *life {
	return &life{up: make(chan struct{}), over: make(chan struct{}), compared: compared, most: most}
}

// fate is what became of a delivery.
type fate int

const (
	// answered is of one that the server took.
	answered fate = iota
	// lost is of one that had no answer, and made up of one that had none and that a comparison with the
	// remote has found since.
	lost
	madeUp
)

// branch is what happens to a branch.
type branch struct {
	repository *gittest.Repository
	trigger    string
	ref        string
	// base is where the branch is when it is first seen, and commits what is pushed.
	base    string
	commits []string
	// swaps is of how many pairs the second push is delivered before the first: the last ones.
	swaps int
	// known tells that the ledger has the newest push for sure, and continued are the pushes that came then:
	// each starts an execution of its own.
	known     bool
	continued []int
}

func (b *branch) push(number int) push {
	p := push{repository: b.repository.Name, ref: b.ref, before: b.base, after: b.commits[number-1]}
	if number > 1 {
		p.before = b.commits[number-2]
	}
	return p
}

// swapped tells whether the delivery at a place is one of a pair that is swapped.
func (b *branch) swapped(place int) bool { return place >= len(b.commits)-2*b.swaps }

// order returns the numbers of the pushes in the order in which they are delivered.
func (b *branch) order() []int {
	all := make([]int, len(b.commits))
	for n := range all {
		all[n] = n + 1
		if b.swapped(n) {
			all[n] = (n ^ 1) + 1
		}
	}
	return all
}

// newFlood starts a server that watches repositories, whose branches get commits when the test says so.
// A third of the branches has swapped pairs.
func newFlood(t *testing.T, deliveries, swaps int, flags ...string) *flood {
	t.Helper()
	host := gittest.NewHost(t)
	hooks := freePort(t)
	f := &flood{server: newServer(t), git: host.HTTP(), accepted: make(map[string]bool), life: newLife(false, math.MaxInt64)}
	f.git.Allow("x-access-token", gitToken)
	f.flags, f.log = append([]string{"--hooks-listen", hooks, "--poll-interval", "0s"}, flags...), logFile(t, 0)
	f.start()
	close(f.life.up)
	webhook := f.connectGitea(f.git.Base(), gitToken)
	var err error
	f.sender, err = newSender(hooks, webhook)
	require.NoError(t, err)
	for n := range (deliveries + perRepository - 1) / perRepository {
		name := fmt.Sprintf("web%d", n)
		repo := host.Repository("acme/" + name)
		f.repositories = append(f.repositories, repo)
		mode := headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL
		if n%2 == 1 {
			mode = headracev1.ExecutionMode_EXECUTION_MODE_QUEUED
		}
		repo.Commit("main", nil)
		for m := range branches {
			b := &branch{repository: repo, trigger: name, ref: fmt.Sprintf("refs/heads/b%d", m), known: true}
			if m == 0 {
				b.swaps = swaps
			}
			b.base = repo.Commit(strings.TrimPrefix(b.ref, "refs/heads/"), nil)
			f.branches = append(f.branches, b)
		}
		f.watchPushes(name, repo.Name, mode)
	}
	// The turns of new triggers must not see the pushes as the beginning.
	require.Eventually(t, func() bool { return f.git.Requests()["refs git-upload-pack"] >= len(f.repositories) }, patience, 10*time.Millisecond)
	f.compareAll(len(f.repositories))
	for _, b := range f.branches {
		name := strings.TrimPrefix(b.ref, "refs/heads/")
		b.repository.Grow(name, pushes, 0)
		b.commits = strings.Fields(b.repository.Git("rev-list", "--reverse", b.base+".."+name))
		require.Len(t, b.commits, pushes)
	}
	return f
}

// play delivers the pushes to a branch, one after the other. If it moves, the branch gets each commit just
// before its delivery.
func (f *flood) play(ctx context.Context, b *branch, moves bool) error {
	late := ""
	var again push
	for n, number := range b.order() {
		life, err := f.turn(ctx)
		if err != nil {
			return err
		}
		p := b.push(number)
		if moves {
			newest := b.commits[n]
			if b.swapped(n) {
				newest = b.commits[n|1]
			}
			if err := moveRef(ctx, b.repository, b.ref, newest); err != nil {
				return err
			}
		}
		id := fmt.Sprintf("%s %s %d", b.repository.Name, b.ref, number)
		came, err := f.deliver(ctx, life, id, p)
		if err != nil {
			return err
		}
		if came == answered && b.known && !b.swapped(n) {
			b.continued = append(b.continued, number)
		}
		b.known = b.known && came == answered || came == madeUp
		if late != "" {
			// The forge sends it again, as the button in its settings does.
			if came, err = f.deliver(ctx, life, late, again); err != nil {
				return err
			}
			late, b.known = "", b.known || came == madeUp
		}
		switch n % 4 {
		case 1:
			// A hook of the organization tells of it too.
			if came, err = f.deliver(ctx, life, id+" of the organization", p); err != nil {
				return err
			}
			b.known = b.known || came == madeUp
		case 2:
			late, again = id, p
		}
		if n%(pushes/forgeries) == 0 {
			if err := f.forge(ctx, id+" forged", p); err != nil {
				return err
			}
		}
	}
	return nil
}

// turn waits until more may be sent, and returns the life of the server then.
func (f *flood) turn(ctx context.Context) (*life, error) {
	for {
		now := f.living()
		if f.sent.Load() < now.most {
			return now, nil
		}
		select {
		case <-now.over:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (f *flood) living() *life {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.life
}

// deliver sends a delivery about a change that happened in a life of the server. After one that was lost the
// next comes when the server is there again.
func (f *flood) deliver(ctx context.Context, happened *life, id string, p push) (fate, error) {
	begun := time.Now()
	status, err := f.sender.send(ctx, id, hookSecret, p, usual)
	f.sent.Add(1)
	if err != nil {
		return lost, err
	}
	f.mu.Lock()
	f.took = append(f.took, time.Since(begun))
	f.mu.Unlock()
	switch status {
	case http.StatusAccepted:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.accepted[id] = true
		f.answered.Add(1)
		return answered, nil
	case 0, http.StatusServiceUnavailable:
		now := f.living()
		select {
		case <-now.up:
		case <-ctx.Done():
			return lost, ctx.Err()
		}
		if now != happened && now.compared {
			return madeUp, nil
		}
		return lost, nil
	default:
		return lost, fmt.Errorf("delivery %s was answered with %d", id, status)
	}
}

// restart kills the server and starts it again. It can also compare the ledger with the remotes then, before
// those whose deliveries were lost send more.
func (f *flood) restart(compare bool, most int64) {
	f.t.Helper()
	next := newLife(compare, most)
	f.mu.Lock()
	last := f.life
	f.life = next
	f.mu.Unlock()
	close(last.over)
	f.kill()
	f.start()
	if compare {
		f.compareAll(len(f.repositories))
	}
	close(next.up)
}

// forge sends a push to a branch that does not exist, with a signature by another secret.
func (f *flood) forge(ctx context.Context, id string, p push) error {
	p.ref = "refs/heads/forged"
	status, err := f.sender.send(ctx, id, "another secret", p, 0)
	f.sent.Add(1)
	f.forged.Add(1)
	switch {
	case err != nil || status == 0:
		return err
	case status != http.StatusUnauthorized:
		return fmt.Errorf("a forged delivery was answered with %d", status)
	}
	f.refused.Add(1)
	return nil
}

// repeat delivers the newest push to each branch again, as other hooks and with a large body, until so many
// were sent.
func (f *flood) repeat(ctx context.Context, deliveries int) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, b := range f.branches {
		group.Go(func() error {
			for n := range deliveries / len(f.branches) {
				id := fmt.Sprintf("%s %s again %d", b.repository.Name, b.ref, n)
				status, err := f.sender.send(ctx, id, hookSecret, b.push(pushes), large)
				if err != nil {
					return err
				}
				if status != http.StatusAccepted {
					return fmt.Errorf("delivery %s was answered with %d", id, status)
				}
				f.mu.Lock()
				f.accepted[id] = true
				f.mu.Unlock()
			}
			return nil
		})
	}
	return group.Wait()
}

// playAll delivers everything, some branches at the same time, and returns how long that took.
func (f *flood) playAll(ctx context.Context, moves bool, atOnce int) (time.Duration, error) {
	begun := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, b := range f.branches {
		group.Go(func() error { return f.play(ctx, b, moves) })
	}
	err := group.Wait()
	return time.Since(begun), err
}

// check holds what was started against what was delivered.
func (f *flood) check(exact bool) (started, alone int) {
	t := f.t
	t.Helper()
	for _, repo := range f.repositories {
		name := strings.TrimPrefix(repo.Name, "acme/")
		chains, told := make(map[string][]*headracev1.TriggerDecision), make(map[string]string)
		executions := make(map[string]*headracev1.TriggerDecision)
		for _, d := range f.decisions(name) {
			require.NotEqual(t, headracev1.TriggerOutcome_TRIGGER_OUTCOME_FAILED, d.GetOutcome(), "%v", d)
			told[d.GetRef()] += fmt.Sprintf("%s %.8s..%.8s %s: %s (%s)\n", d.GetFoundBy(), d.GetFromCommit(), d.GetToCommit(), d.GetOutcome(), d.GetMessage(), d.GetDelivery())
			require.NotEqual(t, "refs/heads/forged", d.GetRef(), "a forged delivery was decided on")
			if d.GetReason() == "COALESCED" {
				// A later one has its changes.
				chains[d.GetRef()] = append(chains[d.GetRef()], d)
			}
			if d.GetOutcome() == headracev1.TriggerOutcome_TRIGGER_OUTCOME_STARTED {
				chains[d.GetRef()] = append(chains[d.GetRef()], d)
				executions[d.GetExecution()] = d
				started++
			}
		}
		heads := f.remoteRefs(strings.Replace(f.git.URL(repo), "://", "://x-access-token:"+gitToken+"@", 1))
		for _, b := range f.branches {
			if b.repository != repo {
				continue
			}
			chain := chains[b.ref]
			slices.SortFunc(chain, func(x, y *headracev1.TriggerDecision) int {
				return slices.Index(b.commits, x.GetToCommit()) - slices.Index(b.commits, y.GetToCommit())
			})
			at, starts := b.base, make(map[string]bool)
			for _, d := range chain {
				require.Equal(t, at, d.GetFromCommit(), "%s of %s: a move begins where the one before ended, pushed were %.8s:\n%s", b.ref, repo.Name, b.commits, told[b.ref])
				at = d.GetToCommit()
				starts[d.GetFromCommit()+at] = d.GetExecution() != ""
			}
			require.NotEmpty(t, chain[len(chain)-1].GetExecution(), "the head of %s of %s started nothing:\n%s", b.ref, repo.Name, told[b.ref])
			require.Equal(t, heads[b.ref], at, "%s of %s is where the remote has it", b.ref, repo.Name)
			require.Equal(t, b.commits[pushes-1], at)
			for _, n := range b.continued {
				p := b.push(n)
				started, moved := starts[p.before+p.after]
				require.True(t, moved, "push %d to %s of %s was told, and is not a move of its own:\n%s", n, b.ref, repo.Name, told[b.ref])
				// A turn from before a kill may have found it first, without its message, and a later push stands for it.
				require.True(t, started || !exact, "push %d to %s of %s was told, and started nothing:\n%s", n, b.ref, repo.Name, told[b.ref])
				if started {
					alone++
				}
			}
			if exact {
				// Both of a pair start if the first is told before the remote says where the second led.
				require.LessOrEqual(t, len(chain), pushes)
				require.GreaterOrEqual(t, len(chain), pushes-b.swaps)
			}
		}
		f.checkExecutions(name, executions)
	}
	f.checkDeliveries(f.accepted)
	return started, alone
}

// checkExecutions holds the executions of a pipeline against the decisions that started them.
func (s *server) checkExecutions(name string, started map[string]*headracev1.TriggerDecision) {
	s.t.Helper()
	executions := s.executionsOf(name)
	require.Len(s.t, executions, len(started), "executions and the decisions that started them")
	for _, e := range executions {
		d := started[e.GetName()]
		require.NotNil(s.t, d, "no decision started %s", e.GetName())
		require.Equal(s.t, d.GetToCommit(), e.GetTrigger().GetToCommit())
		require.Equal(s.t, d.GetFromCommit(), e.GetTrigger().GetFromCommit())
	}
}

// checkDeliveries finds each delivery that was answered, with a decision, and returns all by the forge's id.
func (s *server) checkDeliveries(accepted map[string]bool) map[string]*headracev1.Delivery {
	s.t.Helper()
	kept := make(map[string]*headracev1.Delivery)
	for _, d := range s.deliveries(headracev1.DeliveryStatus_DELIVERY_STATUS_ACCEPTED) {
		require.Nil(s.t, kept[d.GetExternalId()], "%s is kept twice", d.GetExternalId())
		kept[d.GetExternalId()] = d
		require.NotEmpty(s.t, d.GetDecisions(), "nothing was decided on %s", d.GetExternalId())
	}
	for id := range accepted {
		require.NotNil(s.t, kept[id], "delivery %s was answered and is not kept", id)
	}
	require.Empty(s.t, s.deliveries(headracev1.DeliveryStatus_DELIVERY_STATUS_IGNORED))
	return kept
}

// refusals is how many refused deliveries there are rows for.
func (s *server) refusals() (n int64) {
	for _, d := range s.deliveries(headracev1.DeliveryStatus_DELIVERY_STATUS_REFUSED) {
		n += d.GetCount()
	}
	return n
}

// peak is the most memory that the server ever had, in bytes.
func (s *server) peak() int64 {
	s.t.Helper()
	return s.memory("VmHWM:")
}

func floodOf(t *testing.T, short int) (deliveries int, long bool) {
	t.Helper()
	text := os.Getenv(deliveriesEnv)
	if text == "" {
		return short, false
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, deliveriesEnv)
	return n, true
}

// A busy forge sends everything at once, half of it twice, some swapped and some forged: each push in order
// starts one execution, each delivery has its decision, and the memory of the server stays flat.
func TestFloodOfDeliveries(t *testing.T) {
	t.Parallel()
	deliveries, _ := floodOf(t, 150)
	// No runner: what is measured is the intake.
	f := newFlood(t, deliveries, 1, "--backfill-interval", "0s", "--runner-slots", "0")
	before, spent := f.resident(), f.spent()
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	defer cancel()
	took, err := f.playAll(ctx, false, len(f.branches))
	require.NoError(t, err, "%s", f.output)
	spent = f.spent().less(spent)
	require.NoError(t, f.repeat(ctx, deliveries), "%s", f.output)
	after := f.peak()
	started, alone := f.check(true)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Equal(c, f.refused.Load(), f.refusals(), "refused deliveries that have a row")
	}, patience, 50*time.Millisecond)
	require.NotZero(t, f.refused.Load())
	require.Zero(t, f.compareAll(len(f.repositories)), "a comparison finds nothing that deliveries did not tell")
	t.Logf("%d deliveries in %.2f s, %.0f a second; %d were refused, %d executions started, %d for a push alone; memory %d MiB, at most %d MiB",
		f.sent.Load(), took.Seconds(), float64(f.sent.Load())/took.Seconds(), f.refused.Load(), started, alone, before>>20, after>>20)
	slices.Sort(f.took)
	t.Logf("half were answered within %d ms, all within %d ms; CPU meanwhile: %s, on %d cores",
		f.took[len(f.took)/2].Milliseconds(), f.took[len(f.took)-1].Milliseconds(), spent, runtime.NumCPU())
	require.Less(t, after-before, int64(grows))
	f.stop()
	require.NotContains(t, f.output.String(), gitToken)
	require.NotContains(t, f.output.String(), hookSecret)
}

// The server is killed again and again while the forge delivers, and what it missed is lost: no forge sends it
// again. After a comparison with the remotes nothing is missing, and nothing was started twice.
func TestFloodOfDeliveriesAndKills(t *testing.T) {
	t.Parallel()
	deliveries, long := floodOf(t, 150)
	// Each kill costs so many deliveries that are on their way, and as many that come while the server is down.
	const atOnce = 9
	kills := 3
	if long {
		kills = 20
	}
	f := newFlood(t, deliveries, pushes/2)
	ctx, cancel := context.WithTimeout(t.Context(), 10*patience)
	defer cancel()
	done := make(chan struct{})
	var failed error
	// Nothing is pushed yet.
	for _, b := range f.branches {
		require.NoError(t, moveRef(ctx, b.repository, b.ref, b.base))
	}
	total := int64(len(f.repositories) * perRepository)
	// The kill comes when so many were sent.
	due := func(kill int) int64 { return total * int64(kill+1) / int64(kills+1) }
	most := func(kill int) int64 {
		if kill == kills {
			return math.MaxInt64
		}
		return due(kill) + atOnce
	}
	f.life.most = most(0)
	go func() {
		defer close(done)
		_, failed = f.playAll(ctx, true, atOnce)
	}()
	killed := 0
	for n := range kills {
		require.Eventually(t, func() bool {
			select {
			case <-done:
				return true
			default:
				return f.sent.Load() >= due(n)
			}
		}, 5*patience, time.Millisecond)
		select {
		case <-done:
			continue
		default:
		}
		f.restart(n%2 == 0, most(n+1))
		killed++
	}
	<-done
	require.NoError(t, failed, "%s", f.output)
	require.Equal(t, kills, killed, "all came before the server could be killed")
	f.compareAll(len(f.repositories))
	started, alone := f.check(false)
	f.sources(long)
	t.Logf("%d deliveries, %d kills, %d executions, %d of them for a push alone; %d deliveries had no answer",
		f.sent.Load(), killed, started, alone, f.sent.Load()-f.refused.Load()-f.answered.Load())
	// The server may have written one down and not answered it.
	require.LessOrEqual(t, f.refusals(), f.forged.Load())
	require.Zero(t, f.compareAll(len(f.repositories)))
	again, _ := f.check(false)
	require.Equal(t, started, again)
	f.stop()
	f.nothingRuns()
}

// sources waits until each execution has fetched the commit that started it. With many kills
// a fetch may have been lost as often as it is tried, which ends the execution.
func (f *flood) sources(mayBeLost bool) {
	f.t.Helper()
	for _, repo := range f.repositories {
		name := strings.TrimPrefix(repo.Name, "acme/")
		var left string
		require.Eventually(f.t, func() bool {
			for _, e := range f.executionsOf(name) {
				if mayBeLost && e.GetStatus() == headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED {
					require.Equal(f.t, "RunnerLost", f.get(e.GetName()).GetStages()[0].GetActions()[0].GetError().GetCode(), "%v", e)
					continue
				}
				require.Equal(f.t, headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS, e.GetStatus(), "%v", e)
				if len(e.GetSourceRevisions()) == 0 {
					left = e.GetName()
					return false
				}
				require.Equal(f.t, e.GetTrigger().GetToCommit(), e.GetSourceRevisions()[0].GetRevisionId())
			}
			return true
		}, 10*patience, 200*time.Millisecond, "%s fetches nothing\n%s", left, f.output)
	}
}
