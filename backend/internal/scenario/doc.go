// Package scenario pins the execution semantics by stories that a release engineer
// can read: each file of testdata is a pipeline, what people and runners do with it,
// and what must come of it. Its tests run every file in process on the real services,
// the real queue and every engine of the store; only the clock and the runner are
// the story's. The package must never hold code that ships.
//
// # A file
//
// The first line is "# " with the number of the paragraph of CodePipeline's
// semantics that the file pins and what it says; sentences on why follow. Lines that
// are not indented are statements, lines below that are indented belong to them, and
// lines that begin with "#" say why in between.
//
// # Definitions
//
//	pipeline SUPERSEDED                     or QUEUED, PARALLEL
//	pipeline QUEUED, on_update cancel
//	  variable env = dev                    with a default
//	  variable ticket                       required at the start
//	  stage Source                          the actions of the first stage are Source/Git
//	    1 checkout -> src                   run order, name, output artifacts
//	  stage Build                           those of others are Commands
//	    1 compile <- src -> app namespace=build exports=VERSION
//	    1 lint, unit                        same run order: at the same time
//	    2 sign-off Manual timeout=60        a manual approval
//	    3 scan Cloud timeout=30             a job of a service, which is asked in turns
//	    on_failure RETRY ALL_ACTIONS, ROLLBACK when
//	      rule broken: VariableCheck #{variables.env} EQ prod
//	  stage Prod
//	    before_entry FAIL unless            or SKIP
//	      rule hours: DeploymentWindow "* * 9-16 ? * MON-FRI *" UTC+01:00
//	    1 deploy <- app env:VERSION=#{build.VERSION} on_lost=retry config:Key=value
//	    on_success ROLLBACK unless          or FAIL
//	      rule smoke: Commands <- app env:VERSION=#{build.VERSION}
//	      rule calm: Expression "true"
//	      rule quiet: Alarm timeout=5       a job of a service
//	    on_rollback skips conditions and approvals
//
// A second pipeline has a name, "pipeline api QUEUED", and its executions are api/1,
// api/2. Approval rules guard the entry of a stage, or a manual action:
//
//	group ops: bob carol
//	approval rule two-eyes guards Prod: 2 of ops dave, comment, expires 2h, starter, supersede
//	approval rule signers guards Build/sign-off: 1 of anyone
//	the account requires approval rules, the account no longer requires approval rules
//
// # Steps
//
//	ann starts 1 with env=prod, request id r1, checkout at COMMIT_ID abc123
//	ann starts 2 to 9
//	Build/compile of 1 succeeds with app:label VERSION=1.0 revision:abc123
//	Source of 2 succeeds                    whatever runs in that stage
//	Build of 3 succeeds with LOG=<60000>    60000 bytes
//	Prod/smoke of 1 fails with JobFailed "exit code 1"
//	Build/compile of 1 succeeds too late    the report of an attempt that is dead
//	bob approves Build/sign-off of 1 "fine"
//	bob rejects the entry of Prod of 1
//	ann stops 1 "why", ann abandons 1 "why"
//	ann retries Build of 1, ALL_ACTIONS
//	ann rolls Prod back to 1 as 3
//	ann overrides before_entry of Prod of 1 "why"
//	ann disables the transition into Prod "why", ann enables the transition into Prod
//	ann publishes version 2: SUPERSEDED, with a definition as above
//	the clock moves on by 2h30m, the clock moves to 2026-03-02 09:00
//	the server restarts
//	the runner leaves, the runner returns   it takes no attempts in between
//	the service is down, the service is up
//	the job of Build/scan of 1 succeeds, the job of Prod/quiet of 1 fails with "why"
//	during the next turn of Build/scan of 1 ann abandons it
//	then                                    nothing
//
// A turn asks the service for a job every minute, so what a job does is seen when the clock
// moves on.
//
// The clock starts on Monday, 2026-03-02 at 08:00 UTC.
//
// # What must come of a step
//
// Below a step stands the state of all executions, a line for each, or that the
// step is refused, with the machine-readable reason and words of the message. "…"
// stands for anything, "others" for the executions that are not listed. A stage of
// which nothing is told but that it Succeeded is one whose actions all did.
//
//	1 InProgress: Source Succeeded > Build InProgress (compile Failed, lint InProgress)
//	2 InProgress: Source Succeeded > waits for Build
//	3 Cancelled (version 2, attempt 2): Source Succeeded > Build Cancelled, not entered
//	refused NOT_STOPPABLE: no longer in progress
//
// Other statements look: the lines below them are what is to be seen.
//
//	explain 1              every reason to wait, kind and essential words
//	events of 1            all events in order; "..." stands for any number of them
//	show 1                 lines of the record, in any order
//	state                  lines of the pipeline's stages, in any order
//	the runner has Build/compile of 1      lines of the attempt, in any order
//	the runner must end Build/compile of 1
//	the jobs of the service                all jobs in order, and how each ended
//	a watcher of 1 reads 3 events, the watcher of 1 resumes
package scenario
