// Package storetest is the suite that every engine of the store must pass. It
// must never know an engine: it is given a way to open one.
package storetest

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// Opener opens a store on one and the same data, again after it was closed. The
// test that it is given ends before the data goes away.
type Opener func(t *testing.T) store.Store

// Run runs the suite. Fresh returns an opener of a new, empty store for each test.
func Run(t *testing.T, fresh func(t *testing.T) Opener) {
	t.Helper()
	each(t, fresh, map[string]func(*suite){
		"Accounts":                         testAccounts,
		"Tokens":                           testTokens,
		"Sessions":                         testSessions,
		"Pipelines":                        testPipelines,
		"PipelineIsCompareAndSet":          testPipelineIsCompareAndSet,
		"PipelinePages":                    testPipelinePages,
		"PipelineVersions":                 testPipelineVersions,
		"ApprovalRules":                    testApprovalRules,
		"Secrets":                          testSecrets,
		"Connections":                      testConnections,
		"CachedTokens":                     testCachedTokens,
		"Requests":                         testRequests,
		"Creations":                        testCreations,
		"Identities":                       testIdentities,
		"Webhooks":                         testWebhooks,
		"Ledger":                           testLedger,
		"Triggers":                         testTriggers,
		"Decisions":                        testDecisions,
		"NextNumber":                       testNextNumber,
		"DeletePipelineTakesAllWithIt":     testDeletePipelineTakesAllWithIt,
		"Texts":                            testTexts,
		"Times":                            testTimes,
		"BigDocuments":                     testBigDocuments,
		"ChangeIsReadBack":                 testChangeIsReadBack,
		"ChangeOfLiveRowsIsReadBack":       testChangeOfLiveRowsIsReadBack,
		"ChangeReplacesWork":               testChangeReplacesWork,
		"ManyEvents":                       testManyEvents,
		"ExecutionsAreListed":              testExecutionsAreListed,
		"ExecutionsAreListedByDocuments":   testExecutionsAreListedByTheirDocuments,
		"LiveScopes":                       testLiveScopes,
		"ClaimScopeIsCompareAndSet":        testClaimScopeIsCompareAndSet,
		"StateOfAPipeline":                 testStateOfAPipeline,
		"StateNeedsItsPipeline":            testStateNeedsItsPipeline,
		"ResumedExecutionIsLiveAgain":      testResumedExecutionIsLiveAgain,
		"ResumedOnce":                      testResumedOnce,
		"RollbackHasOneStage":              testRollbackHasOneStage,
		"ActionsInTheOrderOfTheirStarts":   testActionsInTheOrderOfTheirStarts,
		"OutputsAreRemovedOnce":            testOutputsAreRemovedOnce,
		"SmallLogs":                        testSmallLogs,
		"ArtifactGoesWhenNobodyUsesIt":     testArtifactGoesWhenNobodyUsesIt,
		"RemovalThatIsCutOff":              testRemovalThatIsCutOff,
		"RollbackUsesWhatItGot":            testRollbackUsesWhatItGot,
		"StageWithoutDetails":              testStageWithoutDetails,
		"Leases":                           testLeases,
		"LeasesAreTakenOnce":               testLeasesAreTakenOnce,
		"SharesTakeTurns":                  testSharesTakeTurns,
		"SharesCountWhatIsHeld":            testSharesCountWhatIsHeld,
		"PreferredAttempt":                 testPreferredAttempt,
		"TurnsByDueTime":                   testTurnsByDueTime,
		"MissingExecutions":                testMissingExecutions,
		"RollbackLeavesNothing":            testRollbackLeavesNothing,
		"TransactionSeesItsOwnWrites":      testTransactionSeesItsOwnWrites,
		"ViewIsOneSnapshot":                testViewIsOneSnapshot,
		"ConcurrentUpdatesAllCommit":       testConcurrentUpdatesAllCommit,
		"OneFailureDoesNotTouchTheOthers":  testOneFailureDoesNotTouchTheOthers,
		"ViewSeesEveryAcknowledgedCommit":  testViewSeesEveryAcknowledgedCommit,
		"ConcurrentClaimsOfOneScope":       testConcurrentClaimsOfOneScope,
		"EndedContextIsAnError":            testEndedContextIsAnError,
		"RestartKeepsEverything":           testRestartKeepsEverything,
		"ClosedStoreAnswers":               testClosedStoreAnswers,
		"CloseWaitsForRunningTransactions": testCloseWaitsForRunningTransactions,
		"ListenEndsWithItsContext":         testListenEndsWithItsContext,
		"Overviews":                        testOverviews,
		"MarksDifferAfterChanges":          testMarks,
		"NewestVersions":                   testNewestVersions,
		"FeedHasEveryEventInOrder":         testFeedHasEveryEventInOrder,
		"FeedOfAnAccount":                  testFeedOfAnAccount,
		"FeedSurvivesRemovedPipelines":     testFeedSurvivesRemovedPipelines,
		"FeedSeesOwnWrites":                testFeedSeesOwnWrites,
		"RemovedPipelineTakesSharedEvents": testRemovedPipelineTakesSharedEvents,
		"FeedWhileOthersCommit":            testFeedWhileOthersCommit,
	})
}

// RunShared runs what an engine must pass beside that whose data several processes
// share.
func RunShared(t *testing.T, fresh func(t *testing.T) Opener) {
	t.Helper()
	each(t, fresh, map[string]func(*suite){
		"ListenHearsOthers":            testListenHearsOthers,
		"FeedInTheOrderOfCommits":      testFeedInTheOrderOfCommits,
		"FeedWithoutWhatWasRolledBack": testFeedWithoutWhatWasRolledBack,
		"FeedOfSeveralWhileAllCommit":  testFeedOfSeveralWhileAllCommit,
	})
}

func each(t *testing.T, fresh func(t *testing.T) Opener, tests map[string]func(*suite)) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &suite{t: t, opener: fresh(t)}
			s.open()
			t.Cleanup(s.close)
			test(s)
		})
	}
}

// suite is one open store. Functions of a transaction may run on a goroutine of
// the engine, so they return errors and never end the test themselves.
type suite struct {
	t      *testing.T
	opener Opener
	store  store.Store
}

func (s *suite) open() {
	s.t.Helper()
	s.store = s.opener(s.t)
	require.NoError(s.t, s.store.Ready(context.Background()))
}

func (s *suite) close() {
	require.NoError(s.t, s.store.Close())
}

// restart closes the store and opens it on the same data.
func (s *suite) restart() {
	s.t.Helper()
	s.close()
	s.open()
}

func (s *suite) try(fn func(context.Context, store.Tx) error) error {
	return s.store.Update(context.Background(), fn)
}

func (s *suite) update(fn func(context.Context, store.Tx) error) {
	s.t.Helper()
	require.NoError(s.t, s.try(fn))
}

func (s *suite) apply(change *execution.Change) {
	s.t.Helper()
	s.update(func(ctx context.Context, tx store.Tx) error { return tx.Apply(ctx, change) })
}

// read runs one reading method in a view.
func read[T any](s *suite, fn func(ctx context.Context, r store.Reader) (T, error)) (T, error) {
	var found T
	err := s.store.View(context.Background(), func(ctx context.Context, r store.Reader) (err error) {
		found, err = fn(ctx, r)
		return err
	})
	return found, err
}

// get is read for what must be there.
func get[T any](s *suite, fn func(ctx context.Context, r store.Reader) (T, error)) T {
	s.t.Helper()
	found, err := read(s, fn)
	require.NoError(s.t, err)
	return found
}

// missing checks that a reading method says that there is no such record.
func missing[T any](s *suite, fn func(ctx context.Context, r store.Reader) (T, error)) {
	s.t.Helper()
	_, err := read(s, fn)
	require.ErrorIs(s.t, err, store.ErrNotFound)
}

// day is the time from which the tests count.
func day() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC) }

// account makes an account where there is none.
func (s *suite) account(name string) {
	s.t.Helper()
	s.update(func(ctx context.Context, tx store.Tx) error {
		return tx.CreateAccount(ctx, auth.Account{Name: name, CreatedAt: day()})
	})
}

// pipeline makes a pipeline of account "a", which must be there.
func (s *suite) pipeline(id string) {
	s.t.Helper()
	s.update(func(ctx context.Context, tx store.Tx) error {
		return tx.CreatePipeline(ctx, definition.Pipeline{ID: id, Account: "a", Name: "name of " + id, Revision: 1, CreatedAt: day(), UpdatedAt: day()})
	})
}

// filled returns a value with something in every field, all different, so that
// a field which a store forgets is noticed, also one that is added later.
func filled[T any]() T { return filledFrom[T](0) }

// filledFrom is filled with other values for another n.
func filledFrom[T any](n int) T {
	var v T
	fill(reflect.ValueOf(&v).Elem(), &n)
	return v
}

func fill(v reflect.Value, n *int) {
	*n++
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(day().Add(time.Duration(*n) * time.Minute)))
		return
	case v.Type() == reflect.TypeFor[[]byte]():
		v.SetBytes(fmt.Appendf(nil, "bytes %d \x00\xff", *n))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d äöü 水路 '\"$1?", *n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, n)
			fill(value, n)
			v.SetMapIndex(key, value)
		}
	default:
		//nolint:forbidigo // Only a record with a new kind of field comes here.
		panic(fmt.Sprintf("storetest: a record has a field of type %s: teach fill about it", v.Type()))
	}
}
