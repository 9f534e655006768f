package pipeline

// Status is the status of an execution, a stage, an action, a condition or a rule,
// in CodePipeline's words.
type Status string

// The statuses. Actions have InProgress, Succeeded, Failed and Abandoned; stages
// all but Superseded and Abandoned; executions all but Skipped and Abandoned. Rules
// have the statuses of actions; conditions those and Errored (a rule could not be
// checked), Cancelled and Overridden.
const (
	InProgress       Status = "InProgress"
	Succeeded        Status = "Succeeded"
	Failed           Status = "Failed"
	Stopping         Status = "Stopping"
	Stopped          Status = "Stopped"
	StatusSuperseded Status = "Superseded"
	Cancelled        Status = "Cancelled"
	Skipped          Status = "Skipped"
	Abandoned        Status = "Abandoned"
	Errored          Status = "Errored"
	Overridden       Status = "Overridden"
)

// Statuses returns all of them in a fixed order.
func Statuses() []Status {
	return []Status{InProgress, Succeeded, Failed, Stopping, Stopped, StatusSuperseded, Cancelled, Skipped, Abandoned, Errored, Overridden}
}

// Terminal tells whether nothing more happens by itself. A retry or an override
// may bring an execution back that is Failed or Stopped.
func (s Status) Terminal() bool {
	return s != InProgress && s != Stopping
}
