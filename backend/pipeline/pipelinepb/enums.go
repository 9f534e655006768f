package pipelinepb

import (
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// The enums of the contract whose values are words of package pipeline.
var (
	modeEnum = NewEnum(map[headracev1.ExecutionMode]pipeline.ExecutionMode{
		headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED: pipeline.Superseded,
		headracev1.ExecutionMode_EXECUTION_MODE_QUEUED:     pipeline.Queued,
		headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL:   pipeline.Parallel,
	})
	onUpdateEnum = NewEnum(map[headracev1.OnUpdate]pipeline.OnUpdate{
		headracev1.OnUpdate_ON_UPDATE_FINISH: pipeline.OnUpdateFinish,
		headracev1.OnUpdate_ON_UPDATE_CANCEL: pipeline.OnUpdateCancel,
	})
	conditionKindEnum = NewEnum(map[headracev1.ConditionKind]pipeline.ConditionKind{
		headracev1.ConditionKind_CONDITION_KIND_BEFORE_ENTRY: pipeline.ConditionBeforeEntry,
		headracev1.ConditionKind_CONDITION_KIND_ON_SUCCESS:   pipeline.ConditionOnSuccess,
		headracev1.ConditionKind_CONDITION_KIND_ON_FAILURE:   pipeline.ConditionOnFailure,
	})
	retryModeEnum = NewEnum(map[headracev1.RetryMode]pipeline.RetryMode{
		headracev1.RetryMode_RETRY_MODE_FAILED_ACTIONS: pipeline.RetryFailedActions,
		headracev1.RetryMode_RETRY_MODE_ALL_ACTIONS:    pipeline.RetryAllActions,
	})
	executionTypeEnum = NewEnum(map[headracev1.ExecutionType]pipeline.ExecutionType{
		headracev1.ExecutionType_EXECUTION_TYPE_STANDARD: pipeline.TypeStandard,
		headracev1.ExecutionType_EXECUTION_TYPE_ROLLBACK: pipeline.TypeRollback,
	})
	statusEnum = NewEnum(map[headracev1.ExecutionStatus]pipeline.Status{
		headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS: pipeline.InProgress,
		headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED:   pipeline.Succeeded,
		headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED:      pipeline.Failed,
		headracev1.ExecutionStatus_EXECUTION_STATUS_STOPPING:    pipeline.Stopping,
		headracev1.ExecutionStatus_EXECUTION_STATUS_STOPPED:     pipeline.Stopped,
		headracev1.ExecutionStatus_EXECUTION_STATUS_SUPERSEDED:  pipeline.StatusSuperseded,
		headracev1.ExecutionStatus_EXECUTION_STATUS_CANCELLED:   pipeline.Cancelled,
		headracev1.ExecutionStatus_EXECUTION_STATUS_SKIPPED:     pipeline.Skipped,
		headracev1.ExecutionStatus_EXECUTION_STATUS_ABANDONED:   pipeline.Abandoned,
		headracev1.ExecutionStatus_EXECUTION_STATUS_ERRORED:     pipeline.Errored,
		headracev1.ExecutionStatus_EXECUTION_STATUS_OVERRIDDEN:  pipeline.Overridden,
	})
)

// ModeFromProto returns the mode, empty if none was given. A mode of a newer contract
// becomes its number as a word, which the validator refuses.
func ModeFromProto(mode headracev1.ExecutionMode) pipeline.ExecutionMode { return word(modeEnum, mode) }

// ModeToProto returns the mode on the wire. A word that is not a mode becomes a number
// that is not one either, since UNSPECIFIED means the default mode.
func ModeToProto(mode pipeline.ExecutionMode) headracev1.ExecutionMode {
	return setting(modeEnum, mode)
}

// OnUpdateFromProto returns the word, as ModeFromProto does.
func OnUpdateFromProto(p headracev1.OnUpdate) pipeline.OnUpdate { return word(onUpdateEnum, p) }

// OnUpdateToProto returns the word on the wire, as ModeToProto does.
func OnUpdateToProto(w pipeline.OnUpdate) headracev1.OnUpdate { return setting(onUpdateEnum, w) }

// ConditionKindFromProto returns the kind, as ModeFromProto does.
func ConditionKindFromProto(p headracev1.ConditionKind) pipeline.ConditionKind {
	return word(conditionKindEnum, p)
}

// ConditionKindToProto returns the kind on the wire, UNSPECIFIED for a word that is not one.
func ConditionKindToProto(kind pipeline.ConditionKind) headracev1.ConditionKind {
	return conditionKindEnum.ToProto(kind)
}

// RetryModeFromProto returns the mode, as ModeFromProto does.
func RetryModeFromProto(p headracev1.RetryMode) pipeline.RetryMode { return word(retryModeEnum, p) }

// RetryModeToProto returns the mode on the wire, as ModeToProto does.
func RetryModeToProto(mode pipeline.RetryMode) headracev1.RetryMode {
	return setting(retryModeEnum, mode)
}

// TypeFromProto returns the type of an execution, as ModeFromProto does.
func TypeFromProto(p headracev1.ExecutionType) pipeline.ExecutionType {
	return word(executionTypeEnum, p)
}

// TypeToProto returns the type of an execution on the wire, as ConditionKindToProto does.
func TypeToProto(w pipeline.ExecutionType) headracev1.ExecutionType {
	return executionTypeEnum.ToProto(w)
}

// StatusFromProto returns the status, as ModeFromProto does.
func StatusFromProto(status headracev1.ExecutionStatus) pipeline.Status {
	return word(statusEnum, status)
}

// StatusToProto returns the status on the wire, as ConditionKindToProto does.
func StatusToProto(status pipeline.Status) headracev1.ExecutionStatus {
	return statusEnum.ToProto(status)
}
