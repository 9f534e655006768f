package pipeline

// Reason is the machine-readable cause of a refused request. The server sends
// it as google.rpc.ErrorInfo in ErrorDomain, so that clients branch without
// reading text.
type Reason string

// ErrorDomain is the domain of the google.rpc.ErrorInfo that carries a Reason.
const ErrorDomain = "headrace.dev"

// The reasons. Their text is part of the contract and never changes.
const (
	// ReasonNotFound: the named object does not exist, or the caller may not know.
	ReasonNotFound Reason = "NOT_FOUND"
	// ReasonAlreadyExists: an object of that name exists.
	ReasonAlreadyExists Reason = "ALREADY_EXISTS"
	// ReasonEtagMismatch: the object changed since the caller read it.
	ReasonEtagMismatch Reason = "ETAG_MISMATCH"
	// ReasonExecutionLive: an execution of the pipeline is still live.
	ReasonExecutionLive Reason = "EXECUTION_LIVE"
	// ReasonInvalidDefinition: the definition breaks rules; google.rpc.BadRequest names them.
	ReasonInvalidDefinition Reason = "INVALID_DEFINITION"
	// ReasonUnauthenticated: there is no token, or it is unknown, revoked or expired.
	ReasonUnauthenticated Reason = "UNAUTHENTICATED"
	// ReasonPermissionDenied: the token lacks the role in the account.
	ReasonPermissionDenied Reason = "PERMISSION_DENIED"
	// ReasonGuardRequiresAdmin: the change weakens what an approval rule guards, and the token
	// lacks the role admin.
	ReasonGuardRequiresAdmin Reason = "GUARD_REQUIRES_ADMIN"
	// ReasonNotStoppable: the execution already ended.
	ReasonNotStoppable Reason = "NOT_STOPPABLE"
	// ReasonDuplicateStop: the execution is already being stopped.
	ReasonDuplicateStop Reason = "DUPLICATE_STOP"
	// ReasonApprovalNotFound: no approval of that stage and action is open.
	ReasonApprovalNotFound Reason = "APPROVAL_NOT_FOUND"
	// ReasonApprovalStale: the approval that the decision is about is no longer open.
	// Another one may be open in its place.
	ReasonApprovalStale Reason = "APPROVAL_STALE"
	// ReasonApprovalNotEligible: the rules do not let this person decide.
	ReasonApprovalNotEligible Reason = "APPROVAL_NOT_ELIGIBLE"
	// ReasonCommentRequired: a rule asks for a comment.
	ReasonCommentRequired Reason = "COMMENT_REQUIRED"
	// ReasonAlreadyDecided: this person decided before.
	ReasonAlreadyDecided Reason = "ALREADY_DECIDED"
	// ReasonCompositionMismatch: an inline pipeline was treated as a composed one, or the reverse.
	ReasonCompositionMismatch Reason = "COMPOSITION_MISMATCH"
	// ReasonStageNotEmpty: the stage of a composed pipeline still has actions.
	ReasonStageNotEmpty Reason = "STAGE_NOT_EMPTY"
	// ReasonNothingToPublish: the composed pipeline has no parts to publish.
	ReasonNothingToPublish Reason = "NOTHING_TO_PUBLISH"
	// ReasonStageNotFound: the pipeline has no such stage.
	ReasonStageNotFound Reason = "STAGE_NOT_FOUND"
	// ReasonStageNotRetryable: the stage, as it is, cannot be retried.
	ReasonStageNotRetryable Reason = "STAGE_NOT_RETRYABLE"
	// ReasonNotLatestExecution: a later execution has entered the stage since.
	ReasonNotLatestExecution Reason = "NOT_LATEST_EXECUTION"
	// ReasonUnableToRollback: the stage, as it is, cannot be rolled back.
	ReasonUnableToRollback Reason = "UNABLE_TO_ROLLBACK_STAGE"
	// ReasonExecutionOutdated: the execution cannot be the target of a rollback.
	ReasonExecutionOutdated Reason = "EXECUTION_OUTDATED"
	// ReasonConditionNotOverridable: no condition of that kind keeps the execution there.
	ReasonConditionNotOverridable Reason = "CONDITION_NOT_OVERRIDABLE"
	// ReasonNoTransitions: executions of a PARALLEL pipeline pass no transitions.
	ReasonNoTransitions Reason = "NO_TRANSITIONS"
	// ReasonLimitExceeded: a limit of the server is reached.
	ReasonLimitExceeded Reason = "LIMIT_EXCEEDED"
	// ReasonOutputsRemoved: retention removed the logs and artifacts of the execution.
	ReasonOutputsRemoved Reason = "OUTPUTS_REMOVED"
	// ReasonUnknownField: the request has a field that the server does not know.
	ReasonUnknownField Reason = "UNKNOWN_FIELD"
	// ReasonClientTooOld: the update would clear what the client does not know.
	ReasonClientTooOld Reason = "CLIENT_TOO_OLD"
	// ReasonServerTooOld: the request holds what the server does not know. Clients find it
	// before they send.
	ReasonServerTooOld Reason = "SERVER_TOO_OLD"
	// ReasonSelectorMatchesNothing warns of an entry of an approval rule that matches nothing.
	ReasonSelectorMatchesNothing Reason = "SELECTOR_MATCHES_NOTHING"
	// ReasonSelectorGuardsNothing warns of an entry of an approval rule that matches pipelines
	// in which the rule guards nothing.
	ReasonSelectorGuardsNothing Reason = "SELECTOR_GUARDS_NOTHING"
	// ReasonReportIncomplete warns that what an approval rule guards was not looked up in full,
	// because its patterns take too long to match.
	ReasonReportIncomplete Reason = "REPORT_INCOMPLETE"
	// ReasonRepositoryUnreadable warns of a trigger whose repository could not be read for an
	// hour.
	ReasonRepositoryUnreadable Reason = "REPOSITORY_UNREADABLE"
	// ReasonApproverUnknown warns of a user or group of an approval rule that no token has.
	ReasonApproverUnknown Reason = "APPROVER_UNKNOWN"
	// ReasonTooFewApprovers warns of an approval rule that requires more people than may approve.
	ReasonTooFewApprovers Reason = "TOO_FEW_APPROVERS"
	// ReasonApprovalRuleMissing warns of a manual approval action that fails, because the
	// account requires an approval rule and none matches it.
	ReasonApprovalRuleMissing Reason = "APPROVAL_RULE_MISSING"
	// ReasonGuardSkipped warns of an approval rule that automatic rollbacks of a stage skip.
	ReasonGuardSkipped Reason = "GUARD_SKIPPED"
	// ReasonGuardRemoved warns an admin of a change that removes what an approval rule guards.
	ReasonGuardRemoved Reason = "GUARD_REMOVED"
	// ReasonSecretMissing warns of an environment variable whose secret does not exist.
	ReasonSecretMissing Reason = "SECRET_MISSING"
	// ReasonNotIsolated warns of actions and rules that run commands, which fail because the
	// server cannot isolate them.
	ReasonNotIsolated Reason = "NOT_ISOLATED"
	// ReasonInUse: other objects use the object, which the message names.
	ReasonInUse Reason = "IN_USE"
	// ReasonNoSealingKey: the server lacks the key that seals or opens secrets.
	ReasonNoSealingKey Reason = "NO_SEALING_KEY"
	// ReasonStoreUnavailable is of calls that the server cannot answer since its database
	// does not. Of a write it is not known whether it was stored.
	ReasonStoreUnavailable Reason = "STORE_UNAVAILABLE"
)

// AboutSelector tells whether a reason is that of a warning about the selector of an approval
// rule.
func (r Reason) AboutSelector() bool {
	return r == ReasonSelectorMatchesNothing || r == ReasonSelectorGuardsNothing
}
