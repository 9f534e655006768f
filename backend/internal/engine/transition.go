package engine

import (
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// disabled tells whether the inbound transition of a stage is.
func (d *decision) disabled(name string) bool {
	t := d.stageState(name).Transition
	return t != nil && t.Disabled
}

// setTransition disables or enables the inbound transition of a stage (CodePipeline
// 3.10). What is in the stage goes on; who waits enters when it is enabled. One that
// is disabled can always be enabled: an execution of an older version may wait there.
func (d *decision) setTransition(in SetTransition) error {
	def := d.scope.Definition(in.Newest)
	switch {
	case in.Enabled && d.disabled(in.Stage):
	case def.Mode() == pipeline.Parallel:
		return fmt.Errorf("%w: executions of a PARALLEL pipeline do not wait for each other", ErrNoTransitions)
	case def.Stage(in.Stage) == nil:
		return fmt.Errorf("%w: version %d has no stage %q", ErrStageNotFound, in.Newest, in.Stage)
	case in.Enabled:
		// It is already.
		return nil
	}
	d.changeState(in.Stage, func(s *execution.StageState) {
		s.Transition = &execution.Transition{Disabled: !in.Enabled, Reason: in.Reason, Principal: in.Principal, At: d.now}
	})
	d.admitNext(in.Stage)
	return nil
}
