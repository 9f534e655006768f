package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// AnyPipeline stands for a pipeline in a resource name where the call says that
// it may be left open. No pipeline can be created under this name.
const AnyPipeline = "-"

// AccountName is accounts/{account}.
type AccountName struct {
	Account string
}

// PipelineName is accounts/{account}/pipelines/{pipeline}.
//
//nolint:revive // Name alone would not say whose, beside eight others.
type PipelineName struct {
	Account  string
	Pipeline string
}

// VersionName is accounts/{account}/pipelines/{pipeline}/versions/{version}.
type VersionName struct {
	PipelineName
	// Version is 1 or more.
	Version int64
}

// StageName is accounts/{account}/pipelines/{pipeline}/stages/{stage}.
type StageName struct {
	PipelineName
	Stage string
}

// ActionName is
// accounts/{account}/pipelines/{pipeline}/stages/{stage}/actions/{action}.
type ActionName struct {
	StageName
	Action string
}

// ExecutionName is accounts/{account}/pipelines/{pipeline}/executions/{id}.
type ExecutionName struct {
	PipelineName
	ID string
}

// ApprovalRuleName is accounts/{account}/approvalRules/{rule}.
type ApprovalRuleName struct {
	Account string
	Rule    string
}

// SecretName is accounts/{account}/secrets/{secret}.
type SecretName struct {
	Account string
	Secret  string
}

// ConnectionName is accounts/{account}/connections/{connection}.
type ConnectionName struct {
	Account    string
	Connection string
}

// TokenName is tokens/{id}.
type TokenName struct {
	ID string
}

// String returns the resource name.
func (n AccountName) String() string { return "accounts/" + n.Account }

// String returns the resource name.
func (n PipelineName) String() string {
	return "accounts/" + n.Account + "/pipelines/" + n.Pipeline
}

// String returns the resource name.
func (n VersionName) String() string {
	return n.PipelineName.String() + "/versions/" + strconv.FormatInt(n.Version, 10)
}

// String returns the resource name.
func (n StageName) String() string { return n.PipelineName.String() + "/stages/" + n.Stage }

// String returns the resource name.
func (n ActionName) String() string { return n.StageName.String() + "/actions/" + n.Action }

// String returns the resource name.
func (n ExecutionName) String() string { return n.PipelineName.String() + "/executions/" + n.ID }

// String returns the resource name.
func (n ApprovalRuleName) String() string {
	return "accounts/" + n.Account + "/approvalRules/" + n.Rule
}

// String returns the resource name.
func (n SecretName) String() string { return "accounts/" + n.Account + "/secrets/" + n.Secret }

// String returns the resource name.
func (n ConnectionName) String() string {
	return "accounts/" + n.Account + "/connections/" + n.Connection
}

// String returns the resource name.
func (n TokenName) String() string { return "tokens/" + n.ID }

// The forms of resource names.
const (
	accountForm      = "accounts/{account}"
	pipelineForm     = accountForm + "/pipelines/{pipeline}"
	versionForm      = pipelineForm + "/versions/{version}"
	stageForm        = pipelineForm + "/stages/{stage}"
	actionForm       = stageForm + "/actions/{action}"
	executionForm    = pipelineForm + "/executions/{execution}"
	approvalRuleForm = accountForm + "/approvalRules/{approval rule}"
	secretForm       = accountForm + "/secrets/{secret}"
	connectionForm   = accountForm + "/connections/{connection}"
	tokenForm        = "tokens/{token}"
)

// ParseAccountName reads accounts/{account}.
func ParseAccountName(name string) (AccountName, error) {
	s, err := parseName(name, "account", accountForm)
	if err != nil {
		return AccountName{}, err
	}
	return AccountName{Account: s[0]}, nil
}

// ParsePipelineName reads accounts/{account}/pipelines/{pipeline}.
func ParsePipelineName(name string) (PipelineName, error) {
	s, err := parseName(name, "pipeline", pipelineForm)
	if err != nil {
		return PipelineName{}, err
	}
	return PipelineName{Account: s[0], Pipeline: s[1]}, nil
}

// ParseVersionName reads accounts/{account}/pipelines/{pipeline}/versions/{version}.
func ParseVersionName(name string) (VersionName, error) {
	s, err := parseName(name, "pipeline version", versionForm)
	if err != nil {
		return VersionName{}, err
	}
	version, err := strconv.ParseInt(s[2], 10, 64)
	// A number has one spelling, so that a name has one too.
	if err != nil || version < 1 || strconv.FormatInt(version, 10) != s[2] {
		return VersionName{}, fmt.Errorf("pipeline version name %q: version %q is not a number from 1 up", name, s[2])
	}
	return VersionName{PipelineName: PipelineName{Account: s[0], Pipeline: s[1]}, Version: version}, nil
}

// ParseStageName reads accounts/{account}/pipelines/{pipeline}/stages/{stage}.
func ParseStageName(name string) (StageName, error) {
	s, err := parseName(name, "stage", stageForm)
	if err != nil {
		return StageName{}, err
	}
	return StageName{PipelineName: PipelineName{Account: s[0], Pipeline: s[1]}, Stage: s[2]}, nil
}

// ParseActionName reads
// accounts/{account}/pipelines/{pipeline}/stages/{stage}/actions/{action}.
func ParseActionName(name string) (ActionName, error) {
	s, err := parseName(name, "action", actionForm)
	if err != nil {
		return ActionName{}, err
	}
	stage := StageName{PipelineName: PipelineName{Account: s[0], Pipeline: s[1]}, Stage: s[2]}
	return ActionName{StageName: stage, Action: s[3]}, nil
}

// ParseExecutionName reads accounts/{account}/pipelines/{pipeline}/executions/{id}.
// The pipeline may be AnyPipeline.
func ParseExecutionName(name string) (ExecutionName, error) {
	s, err := parseName(name, "execution", executionForm)
	if err != nil {
		return ExecutionName{}, err
	}
	return ExecutionName{PipelineName: PipelineName{Account: s[0], Pipeline: s[1]}, ID: s[2]}, nil
}

// ParseApprovalRuleName reads accounts/{account}/approvalRules/{rule}.
func ParseApprovalRuleName(name string) (ApprovalRuleName, error) {
	s, err := parseName(name, "approval rule", approvalRuleForm)
	if err != nil {
		return ApprovalRuleName{}, err
	}
	return ApprovalRuleName{Account: s[0], Rule: s[1]}, nil
}

// ParseSecretName reads accounts/{account}/secrets/{secret}.
func ParseSecretName(name string) (SecretName, error) {
	s, err := parseName(name, "secret", secretForm)
	if err != nil {
		return SecretName{}, err
	}
	return SecretName{Account: s[0], Secret: s[1]}, nil
}

// ParseConnectionName reads accounts/{account}/connections/{connection}.
func ParseConnectionName(name string) (ConnectionName, error) {
	s, err := parseName(name, "connection", connectionForm)
	if err != nil {
		return ConnectionName{}, err
	}
	return ConnectionName{Account: s[0], Connection: s[1]}, nil
}

// ParseTokenName reads tokens/{id}.
func ParseTokenName(name string) (TokenName, error) {
	s, err := parseName(name, "token", tokenForm)
	if err != nil {
		return TokenName{}, err
	}
	return TokenName{ID: s[0]}, nil
}

// parseName returns the variable segments of a resource name of that form.
func parseName(name, what, form string) ([]string, error) {
	want := strings.Split(form, "/")
	have := strings.Split(name, "/")
	var segments []string
	for i, w := range want {
		segment, variable := strings.CutPrefix(w, "{")
		if len(have) != len(want) || !variable && have[i] != w {
			return nil, fmt.Errorf("%q is not the name of a %s; write %s", name, what, form)
		}
		if !variable {
			continue
		}
		if err := checkSegment(strings.TrimSuffix(segment, "}"), have[i]); err != nil {
			return nil, fmt.Errorf("%s name %q: %w", what, name, err)
		}
		segments = append(segments, have[i])
	}
	return segments, nil
}

func checkSegment(kind, value string) error {
	extra := nameExtra
	switch kind {
	case "account", "execution", "token", "version":
		extra = accountExtra
	}
	return checkName(kind, value, extra)
}

// CheckAccount says what is wrong with the name of an account, without the
// accounts/ in front; 1 to 100 of A-Z a-z 0-9 . _ - are right.
func CheckAccount(account string) error {
	return checkSegment("account", account)
}

// CheckPipeline says what is wrong with the name of a pipeline to create,
// without what comes in front; 1 to 100 of A-Z a-z 0-9 . @ _ - are right.
func CheckPipeline(pipeline string) error {
	if pipeline == AnyPipeline {
		return fmt.Errorf("pipeline name %q stands for any pipeline; choose another", AnyPipeline)
	}
	return checkSegment("pipeline", pipeline)
}

// CheckApprovalRule says what is wrong with the name of an approval rule,
// without what comes in front; 1 to 100 of A-Z a-z 0-9 . @ _ - are right.
func CheckApprovalRule(rule string) error {
	return checkSegment("approval rule", rule)
}

// CheckSecret says what is wrong with the name of a secret, without what comes in front; 1
// to 100 of A-Z a-z 0-9 . @ _ - are right.
func CheckSecret(secret string) error {
	return checkSegment("secret", secret)
}

// MaxSecretBytes bounds the value of a secret.
const MaxSecretBytes = 64 << 10

// CheckSecretValue says what is wrong with the value of a secret, without repeating it.
func CheckSecretValue(value []byte) error {
	switch {
	case len(value) == 0:
		return errors.New("the value is empty; a secret has 1 to 65536 bytes")
	case len(value) > MaxSecretBytes:
		return fmt.Errorf("the value has %d bytes; a secret has 1 to %d", len(value), MaxSecretBytes)
	case bytes.IndexByte(value, 0) >= 0:
		return errors.New("the value has a NUL byte, which an environment variable cannot hold; encode the value, for example as base64")
	}
	return nil
}

// CheckConnection says what is wrong with the name of a connection, without what comes in
// front; 1 to 100 of A-Z a-z 0-9 . @ _ - are right.
func CheckConnection(connection string) error {
	return checkSegment("connection", connection)
}
