package rpc

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// words are what texts of these types are filled with, so that they mean something.
func words() map[reflect.Type]string {
	return map[reflect.Type]string{
		reflect.TypeFor[pipeline.Status]():        string(pipeline.Failed),
		reflect.TypeFor[pipeline.ExecutionMode](): string(pipeline.Queued),
		reflect.TypeFor[pipeline.ExecutionType](): string(pipeline.TypeRollback),
		reflect.TypeFor[pipeline.ConditionKind](): string(pipeline.ConditionOnSuccess),
		reflect.TypeFor[execution.Subject]():      string(execution.SubjectCondition),
		reflect.TypeFor[pipeline.RetryMode]():     string(pipeline.RetryAllActions),
		reflect.TypeFor[engine.StepKind]():        string(engine.StepRetry),
		reflect.TypeFor[engine.WaitKind]():        string(engine.WaitWindow),
		reflect.TypeFor[pipeline.PropertyType]():  string(pipeline.PropertyBoolean),
	}
}

// fill sets every field of a record, down to a depth for those that hold their like.
func fill(t *testing.T, v reflect.Value, depth int) {
	t.Helper()
	if depth == 0 {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
		if word, ok := words()[v.Type()]; ok {
			v.SetString(word)
		}
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
		if v.Type() == reflect.TypeFor[pipeline.Work]() {
			v.SetInt(int64(pipeline.WorkAttempt))
		}
	case reflect.Uint, reflect.Uint8:
		v.SetUint(1)
	case reflect.Func:
		// The contract holds what a type declares, not what it does.
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), depth)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0), depth-1)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, key := range []string{"CustomData", "ExternalEntityLink"} {
			element := reflect.New(v.Type().Elem()).Elem()
			fill(t, element, depth-1)
			v.SetMapIndex(reflect.ValueOf(key), element)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			fill(t, v.Field(i), depth)
		}
	default:
		require.Failf(t, "the test does not know how to fill this", "%s", v.Type())
	}
}

func filled[T any](t *testing.T) T {
	t.Helper()
	var record T
	fill(t, reflect.ValueOf(&record).Elem(), 6)
	return record
}

// unset returns the fields of a message that have no value.
func unset(m protoreflect.Message, path string) []string {
	var found []string
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		name := path + string(field.Name())
		switch {
		case !m.Has(field):
			found = append(found, name)
		case field.IsList() && field.Message() != nil:
			found = append(found, unset(m.Get(field).List().Get(0).Message(), name+".")...)
		case field.Message() != nil && !field.IsMap() && field.Message().FullName().Parent() != "google.protobuf":
			found = append(found, unset(m.Get(field).Message(), name+".")...)
		}
	}
	return found
}

// TestEveryFieldIsTold fails when the contract gets a field that is left empty.
func TestEveryFieldIsTold(t *testing.T) {
	t.Parallel()
	e := filled[*execution.Execution](t)
	// Only an open wait has approvers, which the filled one is not. TestApproversOfAnOpenWait
	// has one that is.
	approvers := func(of string) []string {
		return []string{of + ".eligible_users", of + ".eligible_groups", of + ".any_approver", of + ".excluded_users"}
	}
	require.Equal(t, slices.Concat(
		approvers("stages.actions.approval"),
		// What is said about an approval is said by the configuration of its action.
		[]string{"stages.entry_approval.custom_data", "stages.entry_approval.external_entity_link"},
		approvers("stages.entry_approval"),
		[]string{"stages.earlier_entry_approvals.custom_data", "stages.earlier_entry_approvals.external_entity_link"},
		approvers("stages.earlier_entry_approvals"),
	), unset(executionToProto(e).ProtoReflect(), ""))

	name := nameOf(e)
	require.Empty(t, unset(eventToProto(name, filled[service.EventDetail](t)).ProtoReflect(), ""))

	action := filled[pipeline.Type](t)
	for i := range action.Properties {
		// Nobody configures a property that only overrides set, so it is not told.
		action.Properties[i].OverrideOnly = false
	}
	require.Empty(t, unset(actionTypeToProto(action).ProtoReflect(), ""))
	require.Empty(t, unset(ruleTypeToProto(filled[pipeline.Type](t)).ProtoReflect(), ""))

	reason := filled[engine.Reason](t)
	reason.Causes = []engine.Reason{filled[engine.Reason](t)}
	reason.Causes[0].Causes = nil
	require.Equal(t, slices.Concat(
		approvers("approval"),
		// Only one that is disabled says why.
		[]string{"transition.enabled"}, approvers("causes.approval"), []string{"causes.transition.enabled", "causes.causes"},
	), unset(waitToProto(name.PipelineName)(reason).ProtoReflect(), ""))

	stage := filled[service.StageView](t)
	stage.Gates[0].Kind = engine.GateWindow
	require.Equal(t, []string{"transition.enabled"}, unset(stageStateToProto(name.PipelineName)(stage).ProtoReflect(), ""))
	require.Equal(t, []string{"stages.disabled_transition.enabled"},
		unset(summaryToProto("default", filled[*service.PipelineSummary](t)).ProtoReflect(), ""))
	untouched := stageStateToProto(name.PipelineName)(service.StageView{Name: "Build"})
	require.True(t, untouched.GetTransition().GetEnabled(), "a transition that nobody touched is open")
	require.Empty(t, untouched.GetCurrentExecution())
	require.Empty(t, untouched.GetLatestExecution())
}

func TestApproversOfAnOpenWait(t *testing.T) {
	t.Parallel()
	stage := &execution.Stage{Status: pipeline.InProgress, StartedAt: time.Unix(1, 0)}
	stage.Phase = execution.PhaseApproval
	stage.Entry = &execution.Approval{Requirements: []execution.Requirement{
		{MinimumCount: 2, Users: []string{"ann", "bob"}, Groups: []string{"ops"}, AllowStarter: true}, {MinimumCount: 2},
	}, Decisions: []execution.ApprovalDecision{{Principal: "bob", Approved: true}}}
	p := executionToProto(&execution.Execution{
		ID: "e1", Trigger: execution.Trigger{Principal: "cy"}, Stages: []*execution.Stage{stage},
	}).GetStages()[0].GetEntryApproval()
	require.Equal(t, "e1/0/0", p.GetId())
	require.Equal(t, []string{"ann"}, p.GetEligibleUsers())
	require.Equal(t, []string{"ops"}, p.GetEligibleGroups())
	require.True(t, p.GetAnyApprover())
	require.Equal(t, []string{"bob", "cy"}, p.GetExcludedUsers())
}

func TestEventsTellHowAnActionWentOnlyWhenItEnded(t *testing.T) {
	t.Parallel()
	told := filled[service.EventDetail](t)
	told.Ended = false
	p := eventToProto(pipeline.ExecutionName{}, told)
	require.NotEmpty(t, p.GetInputArtifacts())
	require.Empty(t, p.GetOutputArtifacts())
	require.Nil(t, p.GetExecutionResult())
}

func TestEveryStepIsTold(t *testing.T) {
	t.Parallel()
	step := filled[engine.Step](t)
	require.Empty(t, unset(stepToProto(pipeline.PipelineName{Account: "a", Pipeline: "p"})(step).ProtoReflect(), ""))
	require.Empty(t, unset(stepRefusalToProto(filled[service.StepRefusal](t)).ProtoReflect(), ""))
}
