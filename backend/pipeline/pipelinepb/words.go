package pipelinepb

import (
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// unknownWord is a number that the contract gives to no value of an enum. As
// unknownMode it keeps a word that is none from becoming the default on the wire.
const unknownWord = -1

// OnUpdateFromProto returns the word, which is empty where none was given. One of
// a newer contract becomes its number as a word, which the validator refuses.
func OnUpdateFromProto(p headracev1.OnUpdate) pipeline.OnUpdate {
	switch p {
	case headracev1.OnUpdate_ON_UPDATE_UNSPECIFIED:
		return ""
	case headracev1.OnUpdate_ON_UPDATE_FINISH:
		return pipeline.OnUpdateFinish
	case headracev1.OnUpdate_ON_UPDATE_CANCEL:
		return pipeline.OnUpdateCancel
	}
	return pipeline.OnUpdate(p.String())
}

// OnUpdateToProto returns the word on the wire. One that is none becomes a number
// that is none either.
func OnUpdateToProto(word pipeline.OnUpdate) headracev1.OnUpdate {
	switch word {
	case "":
		return headracev1.OnUpdate_ON_UPDATE_UNSPECIFIED
	case pipeline.OnUpdateFinish:
		return headracev1.OnUpdate_ON_UPDATE_FINISH
	case pipeline.OnUpdateCancel:
		return headracev1.OnUpdate_ON_UPDATE_CANCEL
	}
	return unknownWord
}

// ConditionKindFromProto returns the kind, as OnUpdateFromProto does.
func ConditionKindFromProto(p headracev1.ConditionKind) pipeline.ConditionKind {
	switch p {
	case headracev1.ConditionKind_CONDITION_KIND_UNSPECIFIED:
		return ""
	case headracev1.ConditionKind_CONDITION_KIND_BEFORE_ENTRY:
		return pipeline.ConditionBeforeEntry
	case headracev1.ConditionKind_CONDITION_KIND_ON_SUCCESS:
		return pipeline.ConditionOnSuccess
	case headracev1.ConditionKind_CONDITION_KIND_ON_FAILURE:
		return pipeline.ConditionOnFailure
	}
	return pipeline.ConditionKind(p.String())
}

// ConditionKindToProto returns the kind on the wire, as OnUpdateToProto does.
func ConditionKindToProto(kind pipeline.ConditionKind) headracev1.ConditionKind {
	switch kind {
	case "":
		return headracev1.ConditionKind_CONDITION_KIND_UNSPECIFIED
	case pipeline.ConditionBeforeEntry:
		return headracev1.ConditionKind_CONDITION_KIND_BEFORE_ENTRY
	case pipeline.ConditionOnSuccess:
		return headracev1.ConditionKind_CONDITION_KIND_ON_SUCCESS
	case pipeline.ConditionOnFailure:
		return headracev1.ConditionKind_CONDITION_KIND_ON_FAILURE
	}
	return unknownWord
}

// RetryModeFromProto returns the mode, as OnUpdateFromProto does.
func RetryModeFromProto(p headracev1.RetryMode) pipeline.RetryMode {
	switch p {
	case headracev1.RetryMode_RETRY_MODE_UNSPECIFIED:
		return ""
	case headracev1.RetryMode_RETRY_MODE_FAILED_ACTIONS:
		return pipeline.RetryFailedActions
	case headracev1.RetryMode_RETRY_MODE_ALL_ACTIONS:
		return pipeline.RetryAllActions
	}
	return pipeline.RetryMode(p.String())
}

// RetryModeToProto returns the mode on the wire, as OnUpdateToProto does.
func RetryModeToProto(mode pipeline.RetryMode) headracev1.RetryMode {
	switch mode {
	case "":
		return headracev1.RetryMode_RETRY_MODE_UNSPECIFIED
	case pipeline.RetryFailedActions:
		return headracev1.RetryMode_RETRY_MODE_FAILED_ACTIONS
	case pipeline.RetryAllActions:
		return headracev1.RetryMode_RETRY_MODE_ALL_ACTIONS
	}
	return unknownWord
}

// TypeFromProto returns the type of an execution, as OnUpdateFromProto does.
func TypeFromProto(p headracev1.ExecutionType) pipeline.ExecutionType {
	switch p {
	case headracev1.ExecutionType_EXECUTION_TYPE_UNSPECIFIED:
		return ""
	case headracev1.ExecutionType_EXECUTION_TYPE_STANDARD:
		return pipeline.TypeStandard
	case headracev1.ExecutionType_EXECUTION_TYPE_ROLLBACK:
		return pipeline.TypeRollback
	}
	return pipeline.ExecutionType(p.String())
}

// TypeToProto returns the type of an execution on the wire, as OnUpdateToProto does.
func TypeToProto(word pipeline.ExecutionType) headracev1.ExecutionType {
	switch word {
	case "":
		return headracev1.ExecutionType_EXECUTION_TYPE_UNSPECIFIED
	case pipeline.TypeStandard:
		return headracev1.ExecutionType_EXECUTION_TYPE_STANDARD
	case pipeline.TypeRollback:
		return headracev1.ExecutionType_EXECUTION_TYPE_ROLLBACK
	}
	return unknownWord
}
