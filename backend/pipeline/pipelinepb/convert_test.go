package pipelinepb_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
)

// source decides what a message is filled with.
type source struct {
	t      require.TestingT
	length func() int
	set    func() bool
	number func(limit int) int
	text   func() string
}

// fill sets the fields of a message, all of them if the source says so.
func fill(m protoreflect.Message, s source) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if !s.set() {
			continue
		}
		switch {
		case field.IsMap():
			entries := m.Mutable(field).Map()
			for range s.length() {
				entries.Set(scalar(field.MapKey(), s).MapKey(), scalar(field.MapValue(), s))
			}
		case field.IsList():
			list := m.Mutable(field).List()
			for range s.length() {
				if field.Message() == nil {
					list.Append(scalar(field, s))
					continue
				}
				fill(list.AppendMutable().Message(), s)
			}
		case field.Message() != nil:
			fill(m.Mutable(field).Message(), s)
		default:
			m.Set(field, scalar(field, s))
		}
	}
}

func scalar(field protoreflect.FieldDescriptor, s source) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(s.text())
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(s.number(math.MaxInt32)))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(s.number(field.Enum().Values().Len() - 1)))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(s.set())
	default:
		require.Failf(s.t, "the test does not know how to fill this field", "%s of kind %s", field.FullName(), field.Kind())
		return protoreflect.Value{}
	}
}

// TestEveryFieldHasACounterpart fails when the contract gets a field that the
// domain drops.
func TestEveryFieldHasACounterpart(t *testing.T) {
	t.Parallel()
	n := 0
	full := source{
		t:      t,
		length: func() int { return 2 },
		set:    func() bool { return true },
		number: func(limit int) int { n++; return n%limit + 1 },
		text:   func() string { n++; return fmt.Sprintf("text %d", n) },
	}
	want := &headracev1.PipelineDefinition{}
	fill(want.ProtoReflect(), full)
	got := pipelinepb.ToProto(pipelinepb.FromProto(want))
	require.True(t, proto.Equal(want, got), "want %v\ngot  %v", want, got)

	object := &headracev1.PipelineStage{Name: "accounts/a/pipelines/p/stages/s"}
	fill(object.ProtoReflect(), full)
	object.Name, object.Order, object.Etag = "accounts/a/pipelines/p/stages/s", 0, ""
	name, err := pipeline.ParseStageName(object.GetName())
	require.NoError(t, err)
	stage := pipelinepb.PipelineStageFromProto(name.Stage, object)
	require.Equal(t, "s", stage.Name)
	require.True(t, proto.Equal(object, pipelinepb.PipelineStageToProto(name, stage)))
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := &headracev1.PipelineDefinition{}
		fill(want.ProtoReflect(), source{
			t:      t,
			length: func() int { return rapid.IntRange(0, 3).Draw(t, "length") },
			set:    func() bool { return rapid.Bool().Draw(t, "set") },
			number: func(limit int) int { return rapid.IntRange(0, limit).Draw(t, "number") },
			text:   func() string { return rapid.String().Draw(t, "text") },
		})
		domain := pipelinepb.FromProto(want)
		got := pipelinepb.ToProto(domain)
		for _, stage := range want.GetStages() {
			// A block that skips nothing is no block.
			if r := stage.GetOnRollback(); !r.GetSkipConditions() && !r.GetSkipApprovals() {
				stage.OnRollback = nil
			}
		}
		require.True(t, proto.Equal(want, got), "want %v\ngot  %v", want, got)
		require.Equal(t, domain, pipelinepb.FromProto(got))
		require.Equal(t, pipeline.Digest(domain), pipeline.Digest(pipelinepb.FromProto(got)))
	})
}

// TestUnknownCannotComeIn holds that a client cannot get past the validator by
// sending what stands for values that are not known yet.
func TestUnknownCannotComeIn(t *testing.T) {
	t.Parallel()
	message := &headracev1.PipelineDefinition{}
	fill(message.ProtoReflect(), source{
		t:      t,
		length: func() int { return 1 },
		set:    func() bool { return true },
		number: func(limit int) int {
			if limit == math.MaxInt32 {
				return pipeline.UnknownInt
			}
			return 1
		},
		text: func() string { return pipeline.Unknown },
	})
	text, err := json.Marshal(pipelinepb.FromProto(message))
	require.NoError(t, err)
	require.NotContains(t, string(text), "unknown")
	require.NotContains(t, string(text), strconv.Itoa(pipeline.UnknownInt))
}

func TestNothingIsShared(t *testing.T) {
	t.Parallel()
	message := &headracev1.Action{
		Configuration: map[string]string{"k": "v"}, Commands: []string{"c"},
		OutputArtifacts: []*headracev1.OutputArtifact{{Name: "o", Files: []string{"f"}}},
	}
	action := pipelinepb.ActionFromProto(message)
	action.Configuration["k"], action.Commands[0], action.OutputArtifacts[0].Files[0] = "", "", ""
	require.Equal(t, "v", message.GetConfiguration()["k"])
	require.Equal(t, "c", message.GetCommands()[0])
	require.Equal(t, "f", message.GetOutputArtifacts()[0].GetFiles()[0])
}

func TestNothingOfNothing(t *testing.T) {
	t.Parallel()
	require.Nil(t, pipelinepb.FromProto(nil))
	require.Nil(t, pipelinepb.ToProto(nil))
	require.Nil(t, pipelinepb.ConditionFromProto(nil))
	require.Nil(t, pipelinepb.ConditionToProto(nil))
	require.Nil(t, pipelinepb.OnFailureFromProto(nil))
	require.Nil(t, pipelinepb.OnFailureToProto(nil))
}

// TestNumbersStayOutOfBounds holds that a number too large for the wire does not
// become one that is right.
func TestNumbersStayOutOfBounds(t *testing.T) {
	t.Parallel()
	message := pipelinepb.ActionToProto(pipeline.Action{RunOrder: 1<<32 + 1, TimeoutInMinutes: -1<<40 + 5})
	require.Equal(t, int32(math.MaxInt32), message.GetRunOrder())
	require.Equal(t, int32(math.MinInt32), message.GetTimeoutInMinutes())
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	values := headracev1.ExecutionStatus(0).Descriptor().Values()
	require.Len(t, pipeline.Statuses(), values.Len()-1)
	for i := range values.Len() {
		status := headracev1.ExecutionStatus(values.Get(i).Number())
		require.Equal(t, status, pipelinepb.StatusToProto(pipelinepb.StatusFromProto(status)), "%s", status)
	}
	require.Equal(t, pipeline.Status("99"), pipelinepb.StatusFromProto(99))
	require.Zero(t, pipelinepb.StatusToProto("Sleeping"))
}

// TestModes holds that a mode that one side does not know never becomes the
// default on the other.
func TestModes(t *testing.T) {
	t.Parallel()
	values := headracev1.ExecutionMode(0).Descriptor().Values()
	for i := range values.Len() {
		mode := headracev1.ExecutionMode(values.Get(i).Number())
		require.Equal(t, mode, pipelinepb.ModeToProto(pipelinepb.ModeFromProto(mode)), "%s", mode)
	}
	require.Equal(t, pipeline.ExecutionMode("7"), pipelinepb.ModeFromProto(7))
	unknown := pipelinepb.ModeFromProto(pipelinepb.ModeToProto("FAST"))
	require.ErrorContains(t, pipeline.Validate(&pipeline.Definition{ExecutionMode: unknown}, catalog.Builtin()), "execution_mode")
}

// words checks the two conversions of an enum: every value of the contract comes back, and
// an unknown word becomes the number that is given.
func words[P ~int32, D ~string](t *testing.T, values int, fromProto func(P) D, toProto func(D) P, unknown P) {
	t.Helper()
	require.Zero(t, fromProto(0))
	seen := map[D]bool{}
	for i := range values {
		word := fromProto(P(i))
		require.Equal(t, P(i), toProto(word), "%s", word)
		seen[word] = true
	}
	require.Len(t, seen, values)
	require.Equal(t, D("99"), fromProto(99))
	require.Equal(t, unknown, toProto("none of them"))
}

func TestWords(t *testing.T) {
	t.Parallel()
	// UNSPECIFIED is the default of a setting, so an unknown word must not become it.
	words(t, len(headracev1.OnUpdate_name), pipelinepb.OnUpdateFromProto, pipelinepb.OnUpdateToProto, -1)
	words(t, len(headracev1.ConditionKind_name), pipelinepb.ConditionKindFromProto, pipelinepb.ConditionKindToProto, 0)
	words(t, len(headracev1.RetryMode_name), pipelinepb.RetryModeFromProto, pipelinepb.RetryModeToProto, -1)
	words(t, len(headracev1.ExecutionType_name), pipelinepb.TypeFromProto, pipelinepb.TypeToProto, 0)
}
