package rpc

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// hostile is text that must arrive as it is, and harm nothing on its way.
const hostile = "<img src=x onerror=alert(1)>\u202e\u2066\x1b[2J\x1b]0;title\x07\r\n'\"`&amp;"

// receive merges the messages of a patch as a client does.
func receive(messages []*headracev1.WatchAccountResponse) map[string]*headracev1.Execution {
	merged := make(map[string]*headracev1.Execution)
	for _, m := range messages {
		for _, e := range m.GetExecutions() {
			before := merged[e.GetName()]
			for i, stage := range before.GetStages() {
				e.Stages[i].Actions = append(stage.GetActions(), e.GetStages()[i].GetActions()...)
			}
			merged[e.GetName()] = e
		}
	}
	return merged
}

func TestLargePatchesContinueInOtherMessages(t *testing.T) {
	t.Parallel()
	patch := &service.AccountPatch{Snapshot: true, Time: time.Unix(1, 0)}
	var want []*headracev1.Execution
	for i, size := range []int{1000, 3 << 20, 10} {
		e := &execution.Execution{
			ID: fmt.Sprintf("e%d", i), Account: "default", Pipeline: "web", Number: int64(i), Summary: hostile,
			Variables: map[string]string{"large": strings.Repeat("x", size)},
		}
		for j := range 10 {
			stage := &execution.Stage{Position: j, Name: fmt.Sprintf("S%d", j)}
			for k := range 100 {
				stage.Actions = append(stage.Actions, &execution.Action{
					ID: fmt.Sprintf("%d-%d", j, k), Name: hostile, Details: execution.ActionDetails{Summary: strings.Repeat("y", 4000)},
				})
			}
			e.Stages = append(e.Stages, stage)
		}
		e.Stages[3].Actions[7].Details.Variables = map[string]string{"LOG": strings.Repeat(hostile, size/len(hostile))}
		patch.Executions = append(patch.Executions, e)
		want = append(want, executionToProto(e))
	}
	for i := range 3000 {
		patch.Pipelines = append(patch.Pipelines, &service.PipelineSummary{
			Name: fmt.Sprintf("p%d", i), Stages: []service.StageSummary{{Name: strings.Repeat("s", 1000)}},
		})
	}
	messages := patchToProto("default", patch)
	require.Greater(t, len(messages), 10)
	var pipelines int
	for i, m := range messages {
		require.Equal(t, i == 0, m.GetSnapshot())
		require.Equal(t, i < len(messages)-1, m.GetMore())
		require.Equal(t, int64(1), m.GetTime().GetSeconds())
		require.Less(t, proto.Size(m), 8<<20, "far below what a client takes")
		pipelines += len(m.GetPipelines())
		again := &headracev1.WatchAccountResponse{}
		wire, err := proto.Marshal(m)
		require.NoError(t, err)
		require.NoError(t, proto.Unmarshal(wire, again))
	}
	require.Equal(t, 3000, pipelines)
	merged := receive(messages)
	require.Len(t, merged, 3)
	for _, e := range want {
		require.True(t, proto.Equal(e, merged[e.GetName()]), "%s", e.GetName())
	}
}

func TestPatchWithoutChangesIsOneMessage(t *testing.T) {
	t.Parallel()
	messages := patchToProto("default", &service.AccountPatch{Time: time.Unix(1, 0)})
	require.Len(t, messages, 1)
	require.True(t, proto.Equal(&headracev1.WatchAccountResponse{Time: timestamp(time.Unix(1, 0))}, messages[0]))
	gone := patchToProto("default", &service.AccountPatch{
		DeletedPipelines:  []string{"web"},
		DeletedExecutions: []pipeline.ExecutionName{{PipelineName: pipeline.PipelineName{Account: "default", Pipeline: pipeline.AnyPipeline}, ID: "e1"}},
	})
	require.Equal(t, []string{"accounts/default/pipelines/web"}, gone[0].GetDeletedPipelines())
	require.Equal(t, []string{"accounts/default/pipelines/-/executions/e1"}, gone[0].GetDeletedExecutions())
}
