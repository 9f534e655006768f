// Package pipeline is the domain: what a pipeline definition is, which rules it
// must keep, how artifacts and variables flow through it. It does no I/O, reads
// no clock and imports nothing else of Headrace, so that the provider can check
// a definition offline by exactly the rules of the server.
package pipeline

import "strings"

// Definition is what a pipeline version freezes. Field names and limits are
// CodePipeline's (PipelineDeclaration) wherever it has the field.
type Definition struct {
	Description    string          `json:"description,omitempty"`
	ExecutionMode  ExecutionMode   `json:"execution_mode,omitempty"`
	OnUpdate       OnUpdate        `json:"on_update,omitempty"`
	PipelineType   PipelineType    `json:"pipeline_type,omitempty"`
	RoleARN        string          `json:"role_arn,omitempty"`
	ArtifactStores []ArtifactStore `json:"artifact_stores,omitempty"`
	Variables      []Variable      `json:"variables,omitempty"`
	Triggers       []Trigger       `json:"triggers,omitempty"`
	Stages         []Stage         `json:"stages,omitempty"`
}

// ExecutionMode says how executions of one pipeline meet. The empty mode is
// SUPERSEDED.
type ExecutionMode string

// The execution modes of CodePipeline.
const (
	Superseded ExecutionMode = "SUPERSEDED"
	Queued     ExecutionMode = "QUEUED"
	Parallel   ExecutionMode = "PARALLEL"
)

// OnUpdate says what the publication of a version does to executions of older
// versions that are live then. The empty value is finish. Executions in PARALLEL
// mode always finish, as in CodePipeline.
type OnUpdate string

const (
	// OnUpdateFinish lets them finish on the version that they started with.
	OnUpdateFinish OnUpdate = "finish"
	// OnUpdateCancel cancels them once their running actions ended, as CodePipeline
	// does.
	OnUpdateCancel OnUpdate = "cancel"
)

// PipelineType is CodePipeline's generation of pipelines. The empty type is V2.
//
//nolint:revive // Type is that of actions and rules; this is CodePipeline's pipelineType.
type PipelineType string

// The pipeline types of CodePipeline.
const (
	PipelineTypeV1 PipelineType = "V1"
	PipelineTypeV2 PipelineType = "V2"
)

// Mode returns the execution mode with the default filled in.
func (d *Definition) Mode() ExecutionMode {
	if d.ExecutionMode == "" {
		return Superseded
	}
	return d.ExecutionMode
}

// Stage returns the stage of that name, or nil.
func (d *Definition) Stage(name string) *Stage {
	for i := range d.Stages {
		if d.Stages[i].Name == name {
			return &d.Stages[i]
		}
	}
	return nil
}

// ArtifactStore is CodePipeline's bucket for artifacts.
type ArtifactStore struct {
	Location          string `json:"location,omitempty"`
	Type              string `json:"type,omitempty"`
	Region            string `json:"region,omitempty"`
	EncryptionKeyID   string `json:"encryption_key_id,omitempty"`
	EncryptionKeyType string `json:"encryption_key_type,omitempty"`
}

// Variable is a pipeline variable, referred to as #{variables.name}. Without a
// default it is required at start.
type Variable struct {
	Name         string  `json:"name"`
	DefaultValue *string `json:"default_value,omitempty"`
	Description  string  `json:"description,omitempty"`
}

// Trigger starts executions from events of a repository.
type Trigger struct {
	ProviderType     string            `json:"provider_type"`
	GitConfiguration *GitConfiguration `json:"git_configuration,omitempty"`
}

// GitConfiguration is what a trigger listens to.
type GitConfiguration struct {
	SourceActionName string                 `json:"source_action_name"`
	Push             []GitPushFilter        `json:"push,omitempty"`
	PullRequest      []GitPullRequestFilter `json:"pull_request,omitempty"`
}

// GitPushFilter selects pushes.
type GitPushFilter struct {
	Branches  *GlobFilter `json:"branches,omitempty"`
	FilePaths *GlobFilter `json:"file_paths,omitempty"`
	Tags      *GlobFilter `json:"tags,omitempty"`
}

// GitPullRequestFilter selects pull request events.
type GitPullRequestFilter struct {
	Events    []string    `json:"events,omitempty"`
	Branches  *GlobFilter `json:"branches,omitempty"`
	FilePaths *GlobFilter `json:"file_paths,omitempty"`
}

// GlobFilter is a list of patterns; excludes win.
type GlobFilter struct {
	Includes []string `json:"includes,omitempty"`
	Excludes []string `json:"excludes,omitempty"`
}

// Stage groups actions.
type Stage struct {
	Name        string     `json:"name"`
	Actions     []Action   `json:"actions"`
	BeforeEntry *Condition `json:"before_entry,omitempty"`
	OnSuccess   *Condition `json:"on_success,omitempty"`
	OnFailure   *OnFailure `json:"on_failure,omitempty"`
	OnRollback  OnRollback `json:"on_rollback,omitzero"`
}

// Action returns the action of that name, or nil.
func (s *Stage) Action(name string) *Action {
	for i := range s.Actions {
		if s.Actions[i].Name == name {
			return &s.Actions[i]
		}
	}
	return nil
}

// ConditionKind says when a condition of a stage is checked.
type ConditionKind string

// The kinds of conditions, named as in CodePipeline's ConditionType; it has no
// name for the third.
const (
	ConditionBeforeEntry ConditionKind = "BEFORE_ENTRY"
	ConditionOnSuccess   ConditionKind = "ON_SUCCESS"
	ConditionOnFailure   ConditionKind = "ON_FAILURE"
)

// Argument returns the name that definitions and texts have for a kind, such as before_entry.
func (k ConditionKind) Argument() string { return strings.ToLower(string(k)) }

// Result is what a condition or on_failure does to the stage.
type Result string

// The results of CodePipeline.
const (
	ResultFail     Result = "FAIL"
	ResultRetry    Result = "RETRY"
	ResultRollback Result = "ROLLBACK"
	ResultSkip     Result = "SKIP"
)

// RetryMode says which actions of a stage a retry runs again.
type RetryMode string

const (
	// RetryFailedActions keeps what succeeded and runs the rest.
	RetryFailedActions RetryMode = "FAILED_ACTIONS"
	// RetryAllActions runs the whole stage again from its first run order.
	RetryAllActions RetryMode = "ALL_ACTIONS"
)

// ExecutionType tells an execution of the whole pipeline from the rollback of one
// stage.
type ExecutionType string

// The types of executions.
const (
	TypeStandard ExecutionType = "STANDARD"
	TypeRollback ExecutionType = "ROLLBACK"
)

// Condition is what is checked before a stage is entered, after it succeeded or
// after it failed, and what follows. Result is applied where a rule is not met;
// for ON_FAILURE it is applied where all are.
type Condition struct {
	Result Result `json:"result,omitempty"`
	Rules  []Rule `json:"rules,omitempty"`
}

// Condition returns the condition of that kind, or nil.
func (s *Stage) Condition(kind ConditionKind) *Condition {
	switch kind {
	case ConditionBeforeEntry:
		return s.BeforeEntry
	case ConditionOnSuccess:
		return s.OnSuccess
	case ConditionOnFailure:
		if s.OnFailure != nil {
			return s.OnFailure.Condition
		}
	}
	return nil
}

// OnFailure is what happens when an action of a stage failed. RETRY retries the
// stage once, and may stand beside a condition, which is checked when it failed
// again. ROLLBACK rolls the stage back to its last success.
type OnFailure struct {
	Result Result `json:"result,omitempty"`
	// RetryMode is FAILED_ACTIONS where it is empty.
	RetryMode RetryMode  `json:"retry_mode,omitempty"`
	Condition *Condition `json:"condition,omitempty"`
}

// OnRollback says which gates an automatic rollback of a stage passes without waiting.
// The zero value skips nothing and is the same as no on_rollback at all. A rollback that
// a person starts meets every gate.
type OnRollback struct {
	// SkipConditions skips the condition before_entry, and counts the deployment windows
	// of the other conditions as open. Their other rules are checked: they tell whether
	// the rollback worked.
	SkipConditions bool `json:"skip_conditions,omitempty"`
	// SkipApprovals counts the approval of the entry and manual approval actions as given.
	SkipApprovals bool `json:"skip_approvals,omitempty"`
}

// Rule is one check of a condition.
type Rule struct {
	Name          string            `json:"name"`
	Provider      string            `json:"provider"`
	Version       string            `json:"version,omitempty"`
	Configuration map[string]string `json:"configuration,omitempty"`
	Commands      []string          `json:"commands,omitempty"`
	// EnvironmentVariables are given to the commands of a Commands rule; their
	// values may refer to variables.
	EnvironmentVariables []EnvironmentVariable `json:"environment_variables,omitempty"`
	InputArtifacts       []string              `json:"input_artifacts,omitempty"`
	RoleARN              string                `json:"role_arn,omitempty"`
	Region               string                `json:"region,omitempty"`
	TimeoutInMinutes     int                   `json:"timeout_in_minutes,omitempty"`
}

// Category is the kind of an action.
type Category string

// The action categories of CodePipeline.
const (
	CategorySource   Category = "Source"
	CategoryBuild    Category = "Build"
	CategoryTest     Category = "Test"
	CategoryDeploy   Category = "Deploy"
	CategoryApproval Category = "Approval"
	CategoryInvoke   Category = "Invoke"
	CategoryCompute  Category = "Compute"
)

// CategoryRule is the category of the types of rules. No action has it.
const CategoryRule Category = "Rule"

// OnLost says what becomes of an action whose runner was lost. The empty value
// leaves it to the action type: Source/Git is fetched again, Commands fails,
// since nobody but its author knows whether it may run twice.
type OnLost string

// The policies for a lost runner.
const (
	OnLostFail  OnLost = "fail"
	OnLostRetry OnLost = "retry"
)

// Action is one step of a stage.
type Action struct {
	Name                 string                `json:"name"`
	Category             Category              `json:"category"`
	Owner                string                `json:"owner"`
	Provider             string                `json:"provider"`
	Version              string                `json:"version"`
	RunOrder             int                   `json:"run_order,omitempty"`
	Configuration        map[string]string     `json:"configuration,omitempty"`
	Commands             []string              `json:"commands,omitempty"`
	EnvironmentVariables []EnvironmentVariable `json:"environment_variables,omitempty"`
	InputArtifacts       []string              `json:"input_artifacts,omitempty"`
	OutputArtifacts      []OutputArtifact      `json:"output_artifacts,omitempty"`
	OutputVariables      []string              `json:"output_variables,omitempty"`
	Namespace            string                `json:"namespace,omitempty"`
	RoleARN              string                `json:"role_arn,omitempty"`
	Region               string                `json:"region,omitempty"`
	TimeoutInMinutes     int                   `json:"timeout_in_minutes,omitempty"`
	OnLost               OnLost                `json:"on_lost,omitempty"`
}

// Order returns the run order with the default of 1 filled in.
func (a *Action) Order() int {
	if a.RunOrder == 0 {
		return 1
	}
	return a.RunOrder
}

// EnvironmentVariable is given to the processes of an action. Its value may
// refer to variables.
type EnvironmentVariable struct {
	Name  string                  `json:"name"`
	Value string                  `json:"value"`
	Type  EnvironmentVariableType `json:"type,omitempty"`
}

// EnvironmentVariableType says what the value of an environment variable is. The empty
// type is PLAINTEXT.
type EnvironmentVariableType string

// The types of environment variables: CodePipeline's, and SECRET.
const (
	// EnvironmentPlaintext is the value itself.
	EnvironmentPlaintext EnvironmentVariableType = "PLAINTEXT"
	// EnvironmentSecret is the name of a secret of the account.
	EnvironmentSecret EnvironmentVariableType = "SECRET"
	// EnvironmentSecretsManager is the name of a secret in AWS Secrets Manager.
	EnvironmentSecretsManager EnvironmentVariableType = "SECRETS_MANAGER"
)

// OutputArtifact is a named tree of files that an action leaves behind.
type OutputArtifact struct {
	Name string `json:"name"`
	// Files are globs below the work directory; none means everything.
	Files []string `json:"files,omitempty"`
}
