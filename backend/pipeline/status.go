package pipeline

// Status is the status of an execution, a stage or an action, in CodePipeline's
// words.
type Status string

// The statuses. Actions have InProgress, Succeeded, Failed and Abandoned; stages
// all but Superseded and Abandoned; executions all but Skipped and Abandoned.
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
)

// Statuses returns all of them in a fixed order.
func Statuses() []Status {
	return []Status{InProgress, Succeeded, Failed, Stopping, Stopped, StatusSuperseded, Cancelled, Skipped, Abandoned}
}

// Terminal tells whether nothing more happens.
func (s Status) Terminal() bool {
	return s != InProgress && s != Stopping
}
