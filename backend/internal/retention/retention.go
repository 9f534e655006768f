// Package retention decides of which ended executions logs and artifacts go. It must
// never do I/O or read a clock.
package retention

import (
	"fmt"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

// Policy says what is kept. Outputs go when nothing of it keeps them; the zero policy
// keeps everything.
type Policy struct {
	// Age keeps executions for so long after their end; 0 does not ask for an age.
	Age time.Duration
	// Count keeps the newest executions of each pipeline, as many; 0 does not count.
	Count int
	// KeepLastSuccessful keeps what each stage of a pipeline has succeeded with last, so
	// that it can be rolled back to, the last execution that succeeded as a whole, and
	// what rollbacks that succeeded since then went back to.
	KeepLastSuccessful bool
}

// Off tells whether the policy keeps everything.
func (p Policy) Off() bool { return p.Age <= 0 && p.Count <= 0 }

// Pipeline is what a decision has to know of a pipeline beside its executions.
type Pipeline struct {
	// Newest is the number of its newest execution. Numbers have no gaps.
	Newest int64
	// Successful are the ids of those that KeepLastSuccessful is about.
	Successful map[string]bool
}

// Removal is an execution whose outputs go.
type Removal struct {
	Execution *execution.Execution
	// Reason is why, in words for people.
	Reason string
}

// Plan returns those of a pipeline's executions whose outputs go. Executions are given
// by their numbers; done is set where none that follow them can be among those.
func Plan(policy Policy, now time.Time, p Pipeline, executions []*execution.Execution) (removals []Removal, done bool) {
	if policy.Off() {
		return nil, true
	}
	for _, e := range executions {
		if policy.keepsFollowing(now, p, e) {
			return removals, true
		}
		if policy.keeps(now, p, e) {
			continue
		}
		removals = append(removals, Removal{Execution: e, Reason: policy.reason(now, p, e)})
	}
	return removals, false
}

// keepsFollowing tells whether an execution and all that started after it are kept:
// none ends before it starts.
func (p Policy) keepsFollowing(now time.Time, of Pipeline, e *execution.Execution) bool {
	return p.Count > 0 && of.Newest-e.Number < int64(p.Count) || p.Age > 0 && now.Sub(e.StartedAt) < p.Age
}

func (p Policy) keeps(now time.Time, of Pipeline, e *execution.Execution) bool {
	return !e.Status.Terminal() || !e.OutputsRemovedAt.IsZero() ||
		p.Age > 0 && now.Sub(e.EndedAt) < p.Age ||
		p.KeepLastSuccessful && of.Successful[e.ID]
}

func (p Policy) reason(now time.Time, of Pipeline, e *execution.Execution) string {
	age := fmt.Sprintf("ended %s ago", now.Sub(e.EndedAt).Round(time.Second))
	newer := fmt.Sprintf("%d newer executions", of.Newest-e.Number)
	switch {
	case p.Count <= 0:
		return age
	case p.Age <= 0:
		return newer
	default:
		return age + ", " + newer
	}
}
