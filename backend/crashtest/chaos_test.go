package crashtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/s3test"
	"github.com/headrace/terraform-provider-headrace/backend/internal/programtest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres/postgrestest"
)

// executionsEnv makes the chaos long: it is the number of executions on each store.
const executionsEnv = "HEADRACE_CHAOS_EXECUTIONS"

func TestMain(m *testing.M) {
	if err := s3test.Setenv(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(programs.Main(func() int { return postgrestest.Main(m, &cluster) }))
}

// programs has the server that all tests start.
var programs = programtest.Programs{Packages: []string{programtest.Headraced}}

// cluster is the PostgreSQL of the tests that leave it running; it syncs what it commits.
var cluster = postgrestest.Cluster{Durable: true}

// size says how much chaos there is.
type size struct {
	executions, faults int
	// pushes are those to each branch that deliveries tell of.
	pushes int
	// long has timers that take minutes.
	long bool
	// soon is how long the short form waits for a window.
	soon time.Duration
	// patience is how long all of it may take.
	patience time.Duration
}

func sizeOf(t *testing.T, short size) size {
	t.Helper()
	text := os.Getenv(executionsEnv)
	if text == "" {
		return short
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, executionsEnv)
	return size{executions: n, faults: n / 8, pushes: n / 10, long: true, patience: 20 * time.Minute}
}

// Replicas that are killed and paused, a database that crashes and is restarted and
// whose connections are cut: every execution ends as its script says, no action runs
// twice in one attempt, the modes keep their promises, and no event is missing. Of what is
// pushed at the same time each move starts one execution, however it is delivered.
func TestReplicasInChaos(t *testing.T) {
	t.Parallel()
	size := sizeOf(t, size{executions: 45, faults: 8, pushes: 6, soon: 20 * time.Second, patience: 10 * time.Minute})
	s := newReplicas(t, 3)
	runs := s.chaos(size)

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := pgx.Connect(ctx, s.url)
	require.NoError(t, err)
	var kept, turns int
	require.NoError(t, c.QueryRow(ctx, `SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM turns WHERE execution_id <> '')`).Scan(&kept, &turns))
	require.NoError(t, c.Close(ctx))
	require.Zero(t, turns, "turns of executions that have ended")
	// Positions have gaps where a transaction was rolled back.
	require.Len(t, positions(runs), kept, "events that are stored and that watches told")
}

// The same with one process on SQLite.
func TestProcessInChaos(t *testing.T) {
	t.Parallel()
	size := sizeOf(t, size{executions: 45, faults: 6, pushes: 6, soon: 10 * time.Second, patience: 10 * time.Minute})
	s := newProcess(t)
	told := positions(s.chaos(size))
	for i, position := range told {
		require.EqualValues(t, i+1, position, "of %d events in all one is missing", len(told))
	}
	s.servers[0].artifactsAreWhole()
}

// positions are those of all events, in order.
func positions(runs []*run) (all []int64) {
	for _, r := range runs {
		for _, ev := range r.read {
			all = append(all, ev.GetPosition())
		}
	}
	slices.Sort(all)
	return all
}

// scene is a pipeline of the chaos.
type scene struct {
	name     string
	mode     headracev1.ExecutionMode
	stages   []*headracev1.Stage
	runs     []*run
	parallel int
}

// scenes makes the pipelines of the chaos: of every mode some plain ones and one with a
// deployment window, in the long form also one whose approvals expire.
func (s *site) scenes(size size) (all []*scene) {
	first := s.servers[0]
	plain, window := 1, nextMinute(time.Now(), size.soon)
	if size.long {
		// Open every other minute.
		plain, window = 3, "* 0/2 * * * ? *"
	}
	kinds := map[string]struct {
		mode headracev1.ExecutionMode
		// crowd is how many are there at once: most of a crowd would be superseded.
		crowd, quiet int
	}{
		"queued":     {headracev1.ExecutionMode_EXECUTION_MODE_QUEUED, 6, 2},
		"superseded": {headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED, 3, 4},
		"parallel":   {headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL, 6, 8},
	}
	// Each begins with another script.
	const offset = 3
	add := func(name string, mode headracev1.ExecutionMode, n, parallel int, stages []*headracev1.Stage, scripts []script) {
		sc := &scene{name: name, mode: mode, stages: stages, parallel: parallel}
		for i := range n {
			sc.runs = append(sc.runs, &run{script: scripts[(i+len(all)*offset)%len(scripts)], pipeline: name, request: fmt.Sprintf("%s-%d", name, i)})
		}
		all = append(all, sc)
	}
	// Rounded up: at least as many as asked for.
	n := (size.executions + len(kinds)*(plain+1) - 1) / (len(kinds) * (plain + 1))
	for name, kind := range kinds {
		for i := range plain {
			add(fmt.Sprintf("%s-%d", name, i), kind.mode, n, kind.crowd, first.chaosStages(""), scripts())
		}
		add(name+"-window", kind.mode, n, kind.crowd, first.chaosStages(window), scripts())
		if size.long {
			add(name+silenceSuffix, kind.mode, kind.quiet, kind.quiet, first.chaosStages(""), []script{silence()})
		}
	}
	return all
}

// chaos runs everything and checks it. It stops the servers and returns all runs.
func (s *site) chaos(size size) (all []*run) {
	t := s.t
	t.Helper()
	begun := time.Now()
	seed := uint64(begun.UnixNano())
	t.Logf("seed of the faults: %d; logs of the servers, kept by -artifacts: %s", seed, t.ArtifactDir())
	scenes := s.scenes(size)
	traffic := s.newTraffic(size.pushes)
	s.servers[0].alone("default")
	_, err := s.servers[0].client.ApprovalRules.CreateApprovalRule(t.Context(), &headracev1.CreateApprovalRuleRequest{ApprovalRule: silenceRule()})
	require.NoError(t, err)
	for _, sc := range append(slices.Clone(scenes), traffic.scenes...) {
		_, err := s.servers[0].client.Pipelines.CreatePipeline(t.Context(), &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
			Name: client.PipelineName("default", sc.name), Definition: &headracev1.PipelineDefinition{
				ExecutionMode: sc.mode, Stages: sc.stages, Variables: []*headracev1.Variable{{Name: "FAIL", DefaultValue: proto.String("nothing")}},
			},
		}})
		require.NoError(t, err)
	}

	traffic.watch()

	ctx, cancel := context.WithTimeout(t.Context(), size.patience)
	defer cancel()
	done := make(chan struct{})
	var failed error
	go func() {
		defer close(done)
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return s.runAll(ctx, scenes) })
		group.Go(func() error { return traffic.play(ctx) })
		failed = group.Wait()
	}()
	suffered := s.suffer(rand.New(rand.NewPCG(seed, 0)), size.faults, done)
	<-done
	require.NoError(t, failed)
	require.NoError(t, traffic.check(ctx))
	scenes = append(scenes, traffic.scenes...)

	figures := newFigures()
	record, err := readRecord(s.servers[0].record)
	require.NoError(t, err)
	figures.attempts = len(record)
	var wrong error
	for _, sc := range scenes {
		if err := s.check(ctx, sc, record, figures); err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("%s: %w", sc.name, err))
		}
		all = append(all, sc.runs...)
	}
	require.NoError(t, wrong)
	require.Empty(t, record, "attempts that ran, and that no event started")
	for _, server := range s.servers {
		server.noWorkIsLeft()
		server.stop()
	}
	for _, server := range s.servers {
		server.nothingRuns()
	}
	t.Logf("%d executions on %d servers in %.0f s\n%s\nfaults: %s\ncalls that were sent again: %s\ndeliveries: %s; %d had success", len(all),
		len(s.servers), time.Since(begun).Seconds(), figures, counts(suffered), counts(s.failed), counts(traffic.sent), len(traffic.accepted))
	return all
}

// runAll carries out all scenes at the same time, of each a few executions at once.
func (s *site) runAll(ctx context.Context, scenes []*scene) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, sc := range scenes {
		queue := make(chan *run, len(sc.runs))
		for _, r := range sc.runs {
			queue <- r
		}
		close(queue)
		for range sc.parallel {
			group.Go(func() error {
				for r := range queue {
					rest(ctx, time.Duration(rand.IntN(400))*time.Millisecond)
					if err := s.carryOut(ctx, r); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	return group.Wait()
}

// check reads all executions of a scene again and holds them against what must be.
func (s *site) check(ctx context.Context, sc *scene, record noted, figures *figures) (wrong error) {
	var events []numbered
	for _, r := range sc.runs {
		if err := s.readAll(ctx, r); err != nil {
			return err
		}
		if err := r.check(sc, record, figures); err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("execution %d: %w", r.number, err))
		}
		for _, ev := range r.read {
			events = append(events, numbered{r.number, ev})
		}
	}
	return errors.Join(wrong, checkOrder(sc.mode, sc.stages, events))
}

func (r *run) check(sc *scene, record noted, figures *figures) error {
	if err := same(r.watched, r.read); err != nil {
		return err
	}
	h, err := replay(sc.stages, r.read)
	if err != nil {
		return err
	}
	if err := errors.Join(h.matches(r.ended), h.lossesAsDeclared(), record.check(h), r.script.allows(sc.mode, h)); err != nil {
		return fmt.Errorf("%w\n%v", err, r.ended)
	}
	figures.add(sc, r, h)
	return nil
}

// same says where what was watched differs from what was read.
func same(watched, read []*headracev1.Event) error {
	if len(watched) != len(read) {
		return fmt.Errorf("%d events were watched, and %d are there", len(watched), len(read))
	}
	for i := range read {
		if !proto.Equal(watched[i], read[i]) {
			return fmt.Errorf("event %d was watched as %v, and is %v", i, watched[i], read[i])
		}
	}
	return nil
}

// figures are what the chaos counted.
type figures struct {
	attempts, events, lost, retried, resumed int
	outcomes                                 map[string]int
}

func newFigures() *figures { return &figures{outcomes: make(map[string]int)} }

func (f *figures) add(sc *scene, r *run, h *history) {
	mode := strings.TrimPrefix(sc.mode.String(), "EXECUTION_MODE_")
	f.outcomes[fmt.Sprintf("%s %s", mode, h.outcome())]++
	f.events += len(r.read)
	f.resumed += int(h.attempt - 1)
	for _, n := range h.lost {
		f.lost += n
	}
	for _, stage := range h.stages {
		for _, a := range stage.actions {
			f.retried += int(a.attempt - 1)
		}
	}
}

func (f *figures) String() string {
	return fmt.Sprintf("outcomes:\n%s%d attempts of commands ran, none twice; %d attempts were lost, %d were tried again\n"+
		"%d executions were retried by hand\n%d events checked, all of them watched through the faults",
		lines(f.outcomes), f.attempts, f.lost, f.retried, f.resumed, f.events)
}

func lines(of map[string]int) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(of)) {
		fmt.Fprintf(&b, "  %4d %s\n", of[key], key)
	}
	return b.String()
}

func counts[K comparable](of map[K]int) string {
	var all []string
	for key, n := range of {
		all = append(all, fmt.Sprintf("%v %d", key, n))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
