package rpc

import (
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/mirror"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// The enums of the contract that are not part of a definition, each with the values of the
// domain. A test compares them with both.
var (
	propertyTypeEnum = pipelinepb.NewEnum(map[headracev1.ConfigurationPropertyType]pipeline.PropertyType{
		headracev1.ConfigurationPropertyType_CONFIGURATION_PROPERTY_TYPE_STRING:     pipeline.PropertyString,
		headracev1.ConfigurationPropertyType_CONFIGURATION_PROPERTY_TYPE_NUMBER:     pipeline.PropertyNumber,
		headracev1.ConfigurationPropertyType_CONFIGURATION_PROPERTY_TYPE_BOOLEAN:    pipeline.PropertyBoolean,
		headracev1.ConfigurationPropertyType_CONFIGURATION_PROPERTY_TYPE_JSON:       pipeline.PropertyJSON,
		headracev1.ConfigurationPropertyType_CONFIGURATION_PROPERTY_TYPE_DURATION:   pipeline.PropertyDuration,
		headracev1.ConfigurationPropertyType_CONFIGURATION_PROPERTY_TYPE_EXPRESSION: pipeline.PropertyExpression,
	})
	argumentEnum = pipelinepb.NewEnum(map[headracev1.Argument]pipeline.Takes{
		headracev1.Argument_ARGUMENT_COMMANDS:              pipeline.TakesCommands,
		headracev1.Argument_ARGUMENT_ENVIRONMENT_VARIABLES: pipeline.TakesEnvironment,
		headracev1.Argument_ARGUMENT_OUTPUT_VARIABLES:      pipeline.TakesOutputVariables,
		headracev1.Argument_ARGUMENT_OUTPUT_FILES:          pipeline.TakesOutputFiles,
		headracev1.Argument_ARGUMENT_ROLE_ARN:              pipeline.TakesRole,
		headracev1.Argument_ARGUMENT_REGION:                pipeline.TakesRegion,
	})
	stepKindEnum = pipelinepb.NewEnum(map[headracev1.NextStepKind]engine.StepKind{
		headracev1.NextStepKind_NEXT_STEP_KIND_DECIDE_APPROVAL:    engine.StepDecide,
		headracev1.NextStepKind_NEXT_STEP_KIND_RETRY_STAGE:        engine.StepRetry,
		headracev1.NextStepKind_NEXT_STEP_KIND_OVERRIDE_CONDITION: engine.StepOverride,
		headracev1.NextStepKind_NEXT_STEP_KIND_ENABLE_TRANSITION:  engine.StepEnable,
		headracev1.NextStepKind_NEXT_STEP_KIND_STOP_EXECUTION:     engine.StepStop,
		headracev1.NextStepKind_NEXT_STEP_KIND_ABANDON_EXECUTION:  engine.StepAbandon,
		headracev1.NextStepKind_NEXT_STEP_KIND_START_EXECUTION:    engine.StepStart,
	})
	gateKindEnum = pipelinepb.NewEnum(map[headracev1.StageGateKind]engine.GateKind{
		headracev1.StageGateKind_STAGE_GATE_KIND_APPROVAL: engine.GateApproval,
		headracev1.StageGateKind_STAGE_GATE_KIND_WINDOW:   engine.GateWindow,
		headracev1.StageGateKind_STAGE_GATE_KIND_RULE:     engine.GateRule,
	})
	relationEnum = pipelinepb.NewEnum(map[headracev1.SourceRelation]mirror.Relation{
		headracev1.SourceRelation_SOURCE_RELATION_SAME:     mirror.Same,
		headracev1.SourceRelation_SOURCE_RELATION_NEWER:    mirror.Newer,
		headracev1.SourceRelation_SOURCE_RELATION_OLDER:    mirror.Older,
		headracev1.SourceRelation_SOURCE_RELATION_DIVERGED: mirror.Diverged,
	})
	changeKindEnum = pipelinepb.NewEnum(map[headracev1.DefinitionChangeKind]pipeline.ChangeKind{
		headracev1.DefinitionChangeKind_DEFINITION_CHANGE_KIND_ADDED:   pipeline.Added,
		headracev1.DefinitionChangeKind_DEFINITION_CHANGE_KIND_REMOVED: pipeline.Removed,
		headracev1.DefinitionChangeKind_DEFINITION_CHANGE_KIND_CHANGED: pipeline.Changed,
		headracev1.DefinitionChangeKind_DEFINITION_CHANGE_KIND_MOVED:   pipeline.Moved,
	})

	waitKindEnum = pipelinepb.NewEnum(map[headracev1.WaitKind]engine.WaitKind{
		headracev1.WaitKind_WAIT_KIND_ACTION_RUNNING: engine.WaitAction,
		headracev1.WaitKind_WAIT_KIND_APPROVAL:       engine.WaitApproval,
		headracev1.WaitKind_WAIT_KIND_STAGE_LOCK:     engine.WaitLock,
		headracev1.WaitKind_WAIT_KIND_RUNNER:         engine.WaitRunner,
		headracev1.WaitKind_WAIT_KIND_TIMER:          engine.WaitTimer,
		headracev1.WaitKind_WAIT_KIND_STOPPING:       engine.WaitStopping,
		headracev1.WaitKind_WAIT_KIND_TRANSITION:     engine.WaitTransition,
		headracev1.WaitKind_WAIT_KIND_WINDOW:         engine.WaitWindow,
		headracev1.WaitKind_WAIT_KIND_RULE_RUNNING:   engine.WaitRule,
		headracev1.WaitKind_WAIT_KIND_ACTION_LIMIT:   engine.WaitActionLimit,
		headracev1.WaitKind_WAIT_KIND_CANCELLING:     engine.WaitCancelling,
	})
	subjectEnum = pipelinepb.NewEnum(map[headracev1.EventSubject]execution.Subject{
		headracev1.EventSubject_EVENT_SUBJECT_PIPELINE_EXECUTION: execution.SubjectExecution,
		headracev1.EventSubject_EVENT_SUBJECT_STAGE_EXECUTION:    execution.SubjectStage,
		headracev1.EventSubject_EVENT_SUBJECT_ACTION_EXECUTION:   execution.SubjectAction,
		headracev1.EventSubject_EVENT_SUBJECT_CONDITION:          execution.SubjectCondition,
	})
	checkKindEnum = pipelinepb.NewEnum(map[headracev1.ConnectionCheckKind]connection.CheckKind{
		headracev1.ConnectionCheckKind_CONNECTION_CHECK_KIND_ENDPOINT:       connection.CheckEndpoint,
		headracev1.ConnectionCheckKind_CONNECTION_CHECK_KIND_AUTHENTICATION: connection.CheckAuthentication,
		headracev1.ConnectionCheckKind_CONNECTION_CHECK_KIND_PERMISSION:     connection.CheckPermission,
		headracev1.ConnectionCheckKind_CONNECTION_CHECK_KIND_REPOSITORY:     connection.CheckRepository,
		headracev1.ConnectionCheckKind_CONNECTION_CHECK_KIND_HOOK:           connection.CheckHook,
		headracev1.ConnectionCheckKind_CONNECTION_CHECK_KIND_GIT:            connection.CheckGit,
	})
	checkStatusEnum = pipelinepb.NewEnum(map[headracev1.ConnectionCheckStatus]connection.CheckStatus{
		headracev1.ConnectionCheckStatus_CONNECTION_CHECK_STATUS_OK:      connection.CheckOK,
		headracev1.ConnectionCheckStatus_CONNECTION_CHECK_STATUS_WARNING: connection.CheckWarning,
		headracev1.ConnectionCheckStatus_CONNECTION_CHECK_STATUS_FAILED:  connection.CheckFailed,
		headracev1.ConnectionCheckStatus_CONNECTION_CHECK_STATUS_SKIPPED: connection.CheckSkipped,
	})
	roleEnum = pipelinepb.NewEnum(map[headracev1.Role]auth.Role{
		headracev1.Role_ROLE_ADMIN:    auth.Admin,
		headracev1.Role_ROLE_DEPLOYER: auth.Deployer,
		headracev1.Role_ROLE_APPROVER: auth.Approver,
		headracev1.Role_ROLE_VIEWER:   auth.Viewer,
		headracev1.Role_ROLE_RUNNER:   auth.Runner,
	})
	// permissionEnum has the permissions in an account.
	permissionEnum = pipelinepb.NewEnum(map[headracev1.Permission]auth.Permission{
		headracev1.Permission_PERMISSION_READ_ACCOUNT: auth.ReadAccount,
		headracev1.Permission_PERMISSION_READ:         auth.Read,
		headracev1.Permission_PERMISSION_DEPLOY:       auth.Deploy,
		headracev1.Permission_PERMISSION_APPROVE:      auth.Approve,
		headracev1.Permission_PERMISSION_ADMINISTER:   auth.Administer,
	})
	compositionEnum = pipelinepb.NewEnum(map[headracev1.Composition]service.Composition{
		headracev1.Composition_COMPOSITION_INLINE:   service.Inline,
		headracev1.Composition_COMPOSITION_COMPOSED: service.Composed,
	})
	publishEnum = pipelinepb.NewEnum(map[headracev1.PublishPolicy]service.Publish{
		headracev1.PublishPolicy_PUBLISH_POLICY_AUTO:     service.PublishAuto,
		headracev1.PublishPolicy_PUBLISH_POLICY_EXPLICIT: service.PublishExplicit,
	})
	webhookKindEnum = pipelinepb.NewEnum(map[headracev1.WebhookKind]forge.Kind{
		headracev1.WebhookKind_WEBHOOK_KIND_GITHUB:  forge.GitHub,
		headracev1.WebhookKind_WEBHOOK_KIND_GITLAB:  forge.GitLab,
		headracev1.WebhookKind_WEBHOOK_KIND_GITEA:   forge.Gitea,
		headracev1.WebhookKind_WEBHOOK_KIND_GENERIC: forge.Generic,
	})
	deliveryStatusEnum = pipelinepb.NewEnum(map[headracev1.DeliveryStatus]ledger.Status{
		headracev1.DeliveryStatus_DELIVERY_STATUS_ACCEPTED: ledger.Accepted,
		headracev1.DeliveryStatus_DELIVERY_STATUS_IGNORED:  ledger.Ignored,
		headracev1.DeliveryStatus_DELIVERY_STATUS_REFUSED:  ledger.Refused,
	})
	outcomeEnum = pipelinepb.NewEnum(map[headracev1.TriggerOutcome]ledger.Outcome{
		headracev1.TriggerOutcome_TRIGGER_OUTCOME_STARTED:     ledger.Started,
		headracev1.TriggerOutcome_TRIGGER_OUTCOME_NOT_STARTED: ledger.NotStarted,
		headracev1.TriggerOutcome_TRIGGER_OUTCOME_DUPLICATE:   ledger.Duplicate,
		headracev1.TriggerOutcome_TRIGGER_OUTCOME_PENDING:     ledger.Pending,
		headracev1.TriggerOutcome_TRIGGER_OUTCOME_FAILED:      ledger.Failed,
	})
	newBranchEnum = pipelinepb.NewEnum(map[headracev1.NewBranch]trigger.NewBranch{
		headracev1.NewBranch_NEW_BRANCH_COMPARE_DEFAULT: trigger.NewBranchCompareDefault,
		headracev1.NewBranch_NEW_BRANCH_START:           trigger.NewBranchStart,
		headracev1.NewBranch_NEW_BRANCH_IGNORE:          trigger.NewBranchIgnore,
	})
	movedTagEnum = pipelinepb.NewEnum(map[headracev1.MovedTag]trigger.MovedTag{
		headracev1.MovedTag_MOVED_TAG_REFUSE: trigger.MovedTagRefuse,
		headracev1.MovedTag_MOVED_TAG_ALLOW:  trigger.MovedTagAllow,
	})
	unknownDiffEnum = pipelinepb.NewEnum(map[headracev1.UnknownDiff]trigger.UnknownDiff{
		headracev1.UnknownDiff_UNKNOWN_DIFF_START:  trigger.UnknownDiffStart,
		headracev1.UnknownDiff_UNKNOWN_DIFF_IGNORE: trigger.UnknownDiffIgnore,
	})
	coalesceEnum = pipelinepb.NewEnum(map[headracev1.Coalesce]trigger.Coalesce{
		headracev1.Coalesce_COALESCE_LATEST: trigger.CoalesceLatest,
		headracev1.Coalesce_COALESCE_EACH:   trigger.CoalesceEach,
	})
)
