package ledger

import "time"

// unreadable is how long a repository may fail to be read before it is reported.
const unreadable = time.Hour

// NoteFailure records that the refs of a repository could not be read. It returns true once
// for each outage of an hour, which is then reported.
func (r *Repository) NoteFailure(problem string, now time.Time) (report bool) {
	if r.Failures == 0 {
		r.FailingSince = now
	}
	r.Failures++
	r.Problem, r.ProblemAt = problem, now
	if r.Reported || now.Sub(r.FailingSince) < unreadable {
		return false
	}
	r.Reported = true
	return true
}

// NoteRead records that all refs were read at a time.
func (r *Repository) NoteRead(at time.Time) {
	r.ObservedAt, r.Problem, r.ProblemAt, r.FailingSince, r.Failures, r.Reported = at, "", time.Time{}, time.Time{}, 0, false
}

// Unreadable returns why a repository could not be read for an hour, empty if it could.
func (r *Repository) Unreadable() string {
	if !r.Reported {
		return ""
	}
	return r.Problem
}
