package pipelinepb

import (
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// unknownMode is a number that the contract does not give to a mode. It keeps a
// word that is no mode from becoming the default mode on the wire.
const unknownMode headracev1.ExecutionMode = -1

// ModeFromProto returns the mode, which is empty where none was given. A mode of
// a newer contract becomes its number as a word, which the validator refuses.
func ModeFromProto(mode headracev1.ExecutionMode) pipeline.ExecutionMode {
	switch mode {
	case headracev1.ExecutionMode_EXECUTION_MODE_UNSPECIFIED:
		return ""
	case headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED:
		return pipeline.Superseded
	case headracev1.ExecutionMode_EXECUTION_MODE_QUEUED:
		return pipeline.Queued
	case headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL:
		return pipeline.Parallel
	}
	return pipeline.ExecutionMode(mode.String())
}

// ModeToProto returns the mode on the wire. A word that is no mode becomes a
// number that is none either.
func ModeToProto(mode pipeline.ExecutionMode) headracev1.ExecutionMode {
	switch mode {
	case "":
		return headracev1.ExecutionMode_EXECUTION_MODE_UNSPECIFIED
	case pipeline.Superseded:
		return headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED
	case pipeline.Queued:
		return headracev1.ExecutionMode_EXECUTION_MODE_QUEUED
	case pipeline.Parallel:
		return headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL
	}
	return unknownMode
}

// StatusFromProto returns the status, which is empty where none was given. A
// status of a newer contract becomes its number as a word.
func StatusFromProto(status headracev1.ExecutionStatus) pipeline.Status {
	for _, known := range pipeline.Statuses() {
		if StatusToProto(known) == status {
			return known
		}
	}
	if status == headracev1.ExecutionStatus_EXECUTION_STATUS_UNSPECIFIED {
		return ""
	}
	return pipeline.Status(status.String())
}

// StatusToProto returns the status on the wire, which is UNSPECIFIED for a word
// that is no status.
func StatusToProto(status pipeline.Status) headracev1.ExecutionStatus {
	switch status {
	case pipeline.InProgress:
		return headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS
	case pipeline.Succeeded:
		return headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED
	case pipeline.Failed:
		return headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED
	case pipeline.Stopping:
		return headracev1.ExecutionStatus_EXECUTION_STATUS_STOPPING
	case pipeline.Stopped:
		return headracev1.ExecutionStatus_EXECUTION_STATUS_STOPPED
	case pipeline.StatusSuperseded:
		return headracev1.ExecutionStatus_EXECUTION_STATUS_SUPERSEDED
	case pipeline.Cancelled:
		return headracev1.ExecutionStatus_EXECUTION_STATUS_CANCELLED
	case pipeline.Skipped:
		return headracev1.ExecutionStatus_EXECUTION_STATUS_SKIPPED
	case pipeline.Abandoned:
		return headracev1.ExecutionStatus_EXECUTION_STATUS_ABANDONED
	case pipeline.Errored:
		return headracev1.ExecutionStatus_EXECUTION_STATUS_ERRORED
	case pipeline.Overridden:
		return headracev1.ExecutionStatus_EXECUTION_STATUS_OVERRIDDEN
	}
	return headracev1.ExecutionStatus_EXECUTION_STATUS_UNSPECIFIED
}
