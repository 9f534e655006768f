package ledger

import (
	"strconv"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// Trigger starts executions of one pipeline.
type Trigger struct {
	ID      string
	Account string
	// Owner is the name of the pipeline whose definition has the trigger. Empty for one that
	// is declared on its own.
	Owner string
	// Name is that of the source action if the trigger has an owner.
	Name string
	// Pipeline is the name of the pipeline that it starts.
	Pipeline string
	// RepositoryID is empty for a trigger of a webhook, and Webhook, a name, for one of a
	// repository.
	RepositoryID string
	Webhook      string
	Declared     Declared
	// Pause is nil while nobody paused it. It is not part of what is declared.
	Pause *Pause
	// Baselined is set once the refs were read that later changes are compared with.
	Baselined bool
	Revision  int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Inline tells whether the trigger belongs to the definition of its pipeline.
func (t *Trigger) Inline() bool { return t.Owner != "" }

// ResourceName returns the resource name.
func (t *Trigger) ResourceName() string {
	return pipeline.TriggerName{Account: t.Account, Pipeline: t.Owner, Trigger: t.Name}.String()
}

// Etag identifies the trigger as it is declared now.
func (t *Trigger) Etag() string { return t.ID + "-" + strconv.FormatInt(t.Revision, 10) }

// Declared is what a user declares of a trigger beside its names. One of Git and Event is
// set.
type Declared struct {
	Description string            `json:"description,omitempty"`
	Git         *trigger.Git      `json:"git,omitempty"`
	Event       *trigger.Generic  `json:"event,omitempty"`
	Variables   map[string]string `json:"variables,omitempty"`
	// Detected is set if nobody wrote the trigger: the source action detects changes.
	Detected bool `json:"detected,omitempty"`
}

// Pause is a pause of a trigger.
type Pause struct {
	Principal string    `json:"principal"`
	Reason    string    `json:"reason"`
	At        time.Time `json:"at"`
}
