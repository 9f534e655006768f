package contract_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

// definition has a newer field in each kind of place: in the message itself, in an
// element of a list, and in a list below single messages.
func definition() *headracev1.PipelineDefinition {
	return &headracev1.PipelineDefinition{
		OnUpdate: headracev1.OnUpdate_ON_UPDATE_CANCEL,
		Stages: []*headracev1.Stage{
			{Name: "Source"},
			{
				Name:        "Deploy",
				OnRollback:  &headracev1.OnRollback{SkipConditions: true},
				BeforeEntry: &headracev1.Condition{Rules: []*headracev1.Rule{hours()}},
			},
		},
	}
}

func hours() *headracev1.Rule {
	return &headracev1.Rule{Name: "Hours", EnvironmentVariables: []*headracev1.EnvironmentVariable{{Name: "A", Value: "1"}}}
}

func words(fields []contract.Field) (all []string) {
	for _, f := range fields {
		all = append(all, f.Path.String()+": "+f.String())
	}
	return all
}

func TestNewerNamesWhatAPeerLacks(t *testing.T) {
	t.Parallel()
	rollback := `pipeline.definition.stages[1].on_rollback: on_rollback of stage "Deploy"`
	tests := map[string]struct {
		message  proto.Message
		revision uint32
		want     []string
	}{
		"nothing is newer": {&headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{Definition: definition()}}, 3, nil},
		"one revision":     {&headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{Definition: definition()}}, 2, []string{rollback}},
		"two revisions": {&headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{Definition: definition()}}, 1, []string{
			`pipeline.definition.stages[1].before_entry.rules[0].environment_variables: environment_variables of rule "Hours" of before_entry of stage "Deploy"`,
			rollback,
			`pipeline.definition.on_update: on_update`,
		}},
		"a default": {&headracev1.PipelineDefinition{OnUpdate: headracev1.OnUpdate_ON_UPDATE_FINISH}, 1, nil},
		"a value that is not known yet": {
			&headracev1.PipelineDefinition{OnUpdate: -1, Description: pipeline.Unknown}, 1, nil,
		},
		"what may be ignored": {&headracev1.GetPipelineRequest{ConfirmRequestId: "x"}, 1, nil},
		"a newer value": {
			&headracev1.ActionExecution{Status: headracev1.ExecutionStatus_EXECUTION_STATUS_ERRORED}, 1,
			[]string{"status: status = ERRORED"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, words(contract.Newer(test.message, test.revision)))
		})
	}
}

func TestDowngradeLeavesOutWhatMeansNothing(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ message, want proto.Message }{
		"what may be ignored": {
			&headracev1.GetPipelineRequest{Name: "n", ConfirmRequestId: "x"}, &headracev1.GetPipelineRequest{Name: "n"},
		},
		"a default below": {
			&headracev1.UpdatePipelineRequest{Pipeline: &headracev1.Pipeline{Definition: &headracev1.PipelineDefinition{
				Description: "d", OnUpdate: headracev1.OnUpdate_ON_UPDATE_FINISH,
			}}},
			&headracev1.UpdatePipelineRequest{Pipeline: &headracev1.Pipeline{Definition: &headracev1.PipelineDefinition{Description: "d"}}},
		},
		"nothing": {definition(), definition()},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := proto.Clone(test.message)
			got := contract.Downgrade(test.message, 1)
			require.True(t, proto.Equal(test.want, got), "%v", got)
			require.True(t, proto.Equal(before, test.message), "the caller's message stays as it is")
		})
	}
}

func TestClearedNamesWhatAnOlderClientLoses(t *testing.T) {
	t.Parallel()
	// An older client sends what it knows.
	older := func(change func(*headracev1.PipelineDefinition)) *headracev1.PipelineDefinition {
		def := definition()
		def.OnUpdate, def.Stages[1].OnRollback = 0, nil
		change(def)
		return def
	}
	const rollback = `stages[1].on_rollback: on_rollback of stage "Deploy"`
	const update = "on_update: on_update"
	tests := map[string]struct {
		after    *headracev1.PipelineDefinition
		revision uint32
		want     []string
	}{
		"all is kept":              {definition(), 1, nil},
		"all is dropped":           {older(func(*headracev1.PipelineDefinition) {}), 1, []string{rollback, update}},
		"a client that knows one":  {older(func(*headracev1.PipelineDefinition) {}), 2, []string{rollback}},
		"a client that knows both": {older(func(*headracev1.PipelineDefinition) {}), 3, nil},
		"the default in its place": {older(func(d *headracev1.PipelineDefinition) { d.OnUpdate = headracev1.OnUpdate_ON_UPDATE_FINISH }), 1, []string{rollback, update}},
		"the stage is removed":     {older(func(d *headracev1.PipelineDefinition) { d.Stages = d.Stages[:1] }), 2, nil},
		"the stage is renamed":     {older(func(d *headracev1.PipelineDefinition) { d.Stages[1].Name = "Ship" }), 2, []string{rollback}},
		"another is added before": {older(func(d *headracev1.PipelineDefinition) {
			d.Stages = append([]*headracev1.Stage{{Name: "New"}}, d.Stages...)
		}), 2, []string{`stages[2].on_rollback: on_rollback of stage "Deploy"`}},
		"the order changes":        {older(func(d *headracev1.PipelineDefinition) { d.Stages[0], d.Stages[1] = d.Stages[1], d.Stages[0] }), 2, []string{`stages[0].on_rollback: on_rollback of stage "Deploy"`}},
		"the condition is removed": {older(func(d *headracev1.PipelineDefinition) { d.Stages[1].BeforeEntry = nil }), 2, []string{rollback}},
		"a variable of a rule is gone": {
			older(func(d *headracev1.PipelineDefinition) {
				d.OnUpdate, d.Stages[1].BeforeEntry.Rules[0].EnvironmentVariables = definition().GetOnUpdate(), nil
			}), 1,
			[]string{`stages[1].before_entry.rules[0].environment_variables: environment_variables of rule "Hours" of before_entry of stage "Deploy"`, rollback},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, words(contract.Cleared(definition(), test.after, test.revision)))
		})
	}
	settled := definition()
	settled.OnUpdate = headracev1.OnUpdate_ON_UPDATE_FINISH
	require.Empty(t, contract.Cleared(settled, older(func(*headracev1.PipelineDefinition) {}), 2)[1:], "a default is not lost")
}

// TestElementsWithoutNames compares by place.
func TestElementsWithoutNames(t *testing.T) {
	t.Parallel()
	reasons := func(kinds ...string) *headracev1.ExplainExecutionResponse {
		r := &headracev1.ExplainExecutionResponse{}
		for _, approval := range kinds {
			wait := &headracev1.WaitReason{Stage: "S"}
			if approval != "" {
				wait.Rule = approval
			}
			r.Reasons = append(r.Reasons, wait)
		}
		return r
	}
	require.Equal(t, []string{"reasons[1].rule: rule of reasons[1]"}, words(contract.Cleared(reasons("", "x"), reasons("", ""), 1)))
	require.Empty(t, contract.Cleared(reasons("", "x"), reasons(""), 1), "the client removed it")
	require.Empty(t, contract.Cleared(reasons("", "x"), reasons("", "x"), 1))
}

func TestUnknownFindsFieldsAtAnyDepth(t *testing.T) {
	t.Parallel()
	extra := func(m proto.Message, numbers ...protowire.Number) {
		var raw []byte
		for _, n := range numbers {
			raw = protowire.AppendString(protowire.AppendTag(raw, n, protowire.BytesType), "later")
		}
		m.ProtoReflect().SetUnknown(raw)
	}
	request := &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{Definition: definition()}}
	require.Empty(t, contract.Unknown(request, 5))
	extra(request.GetPipeline().GetDefinition().GetStages()[1].GetBeforeEntry().GetRules()[0], 900, 901, 900)
	strings := func(limit int) (all []string) {
		for _, s := range contract.Unknown(request, limit) {
			all = append(all, s.String())
		}
		return all
	}
	rule := " of Rule (pipeline.definition.stages[1].before_entry.rules[0])"
	require.Equal(t, []string{"field 900" + rule, "field 901" + rule}, strings(5))
	extra(request, 77)
	require.Equal(t, []string{"field 77 of CreatePipelineRequest", "field 900" + rule}, strings(2))

	deep := &headracev1.CreateTokenRequest{Token: &headracev1.Token{ExpireTime: timestamppb.Now()}}
	extra(deep.GetToken().GetExpireTime(), 9)
	require.Equal(t, "field 9 of Timestamp (token.expire_time)", contract.Unknown(deep, 1)[0].String())
}

func TestServersWithoutRevisions(t *testing.T) {
	t.Parallel()
	require.EqualValues(t, 1, contract.RevisionOf(&headracev1.GetServerInfoResponse{Capabilities: []string{"approval_rules", "validate_only"}}))
	require.EqualValues(t, 2, contract.RevisionOf(&headracev1.GetServerInfoResponse{Capabilities: []string{"on_update", "retention"}}))
	require.EqualValues(t, 7, contract.RevisionOf(&headracev1.GetServerInfoResponse{ContractRevision: 7}))
}

func TestNewCall(t *testing.T) {
	t.Parallel()
	of := func(m proto.Message) protoreflect.MessageDescriptor { return m.ProtoReflect().Descriptor() }
	require.True(t, contract.NewCall(of(&headracev1.SetStageTransitionRequest{}), 1))
	require.False(t, contract.NewCall(of(&headracev1.SetStageTransitionRequest{}), 2))
	require.False(t, contract.NewCall(of(&headracev1.GetPipelineRequest{}), 1), "only a field of it is newer")
	require.False(t, contract.NewCall(of(&headracev1.WhoAmIRequest{}), 1), "it has no fields")
}
