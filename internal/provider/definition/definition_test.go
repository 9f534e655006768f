package definition_test

import (
	"reflect"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/stretchr/testify/require"

	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
	"github.com/headrace/terraform-provider-headrace/internal/provider/definition"
)

// TestEveryFieldGoesThereAndBack covers also what the server refuses so far, so
// that it is read back from the day on that the server runs it.
func TestEveryFieldGoesThereAndBack(t *testing.T) {
	t.Parallel()
	full := fullDefinition()
	requireNoZeroField(t, "definition", reflect.ValueOf(*full))
	got := throughTerraform(full)
	require.Equal(t, full, got)
}

func TestMissingFieldsGetTheirDefaults(t *testing.T) {
	t.Parallel()
	bare := &domain.Definition{
		Variables: []domain.Variable{{Name: "who"}},
		Stages: []domain.Stage{{Name: "Build", Actions: []domain.Action{{
			Name: "Compile", EnvironmentVariables: []domain.EnvironmentVariable{{Name: "A", Value: ""}},
		}}}},
	}
	got := throughTerraform(bare)
	want := &domain.Definition{
		ExecutionMode: domain.Superseded, OnUpdate: domain.OnUpdateFinish, PipelineType: "V2",
		Variables: []domain.Variable{{Name: "who"}},
		Stages: []domain.Stage{{Name: "Build", Actions: []domain.Action{{
			Name: "Compile", RunOrder: 1,
			EnvironmentVariables: []domain.EnvironmentVariable{{Name: "A", Value: "", Type: "PLAINTEXT"}},
		}}}},
	}
	require.Equal(t, want, got)
}

// TestEmptyListsStay shows that an empty list in a configuration does not come
// back as null, which Terraform would call a change, and that a stage that is put
// in front does not mix up what belongs to which.
func TestEmptyListsStay(t *testing.T) {
	t.Parallel()
	empty := types.ListValueMust(types.StringType, nil)
	stage := func(name string, inputs types.List) definition.Stage {
		action := definition.Action{Name: types.StringValue("Run")}
		action.InputArtifacts = inputs
		return definition.Stage{Name: types.StringValue(name), Actions: []definition.Action{action}}
	}
	prior := []definition.Stage{stage("A", empty), stage("B", types.ListNull(types.StringType))}
	read := []domain.Stage{
		{Name: "New", Actions: []domain.Action{{Name: "Run"}}},
		{Name: "A", Actions: []domain.Action{{Name: "Run"}}},
		{Name: "B", Actions: []domain.Action{{Name: "Run"}}},
	}
	got := definition.StagesOf(read, prior)
	require.True(t, got[0].Actions[0].InputArtifacts.IsNull())
	require.True(t, got[1].Actions[0].InputArtifacts.Equal(empty))
	require.True(t, got[2].Actions[0].InputArtifacts.IsNull())
}

// throughTerraform returns the definition that Terraform would send back after
// it read this one.
func throughTerraform(def *domain.Definition) *domain.Definition {
	read := pipelinepb.FromProto(pipelinepb.ToProto(def))
	settings := definition.SettingsOf(read, definition.Settings{})
	sent := settings.Domain()
	sent.Stages = definition.StagesDomain(definition.StagesOf(read.Stages, nil))
	return &sent
}

func fullDefinition() *domain.Definition {
	value := "world"
	globs := func(name string) *domain.GlobFilter {
		return &domain.GlobFilter{Includes: []string{name + "/*"}, Excludes: []string{name + "/old"}}
	}
	condition := func(name string) *domain.Condition {
		return &domain.Condition{Result: "FAIL", Rules: []domain.Rule{{
			Name: name, Provider: "Commands", Version: "2", Configuration: map[string]string{"A": name},
			Commands: []string{"true"}, EnvironmentVariables: []domain.EnvironmentVariable{{Name: "A", Value: name, Type: "SECRETS_MANAGER"}},
			InputArtifacts: []string{"source"}, RoleARN: "arn:" + name, Region: "eu-central-1",
			TimeoutInMinutes: 6,
		}}}
	}
	return &domain.Definition{
		Description: "all of it", ExecutionMode: domain.Parallel, OnUpdate: domain.OnUpdateCancel, PipelineType: "V1", RoleARN: "arn:role",
		ArtifactStores: []domain.ArtifactStore{{
			Location: "bucket", Type: "S3", Region: "eu-central-1", EncryptionKeyID: "alias/key", EncryptionKeyType: "KMS",
		}},
		Variables: []domain.Variable{{Name: "who", DefaultValue: &value, Description: "whom to greet"}},
		Triggers: []domain.Trigger{{ProviderType: "CodeStarSourceConnection", GitConfiguration: &domain.GitConfiguration{
			SourceActionName: "Fetch",
			Push:             []domain.GitPushFilter{{Branches: globs("b"), FilePaths: globs("f"), Tags: globs("t")}},
			PullRequest:      []domain.GitPullRequestFilter{{Events: []string{"OPEN"}, Branches: globs("pb"), FilePaths: globs("pf")}},
		}}},
		Stages: []domain.Stage{{
			Name: "Build", BeforeEntry: condition("before"), OnSuccess: condition("success"),
			OnFailure:  &domain.OnFailure{Result: "RETRY", RetryMode: "ALL_ACTIONS", Condition: condition("failure")},
			OnRollback: domain.OnRollback{SkipConditions: true, SkipApprovals: true},
			Actions: []domain.Action{{
				Name: "Compile", Category: domain.CategoryBuild, Owner: "Headrace", Provider: "Commands", Version: "1",
				RunOrder: 7, Configuration: map[string]string{"Key": "value"}, Commands: []string{"make"},
				EnvironmentVariables: []domain.EnvironmentVariable{{Name: "A", Value: "b", Type: "SECRETS_MANAGER"}},
				InputArtifacts:       []string{"source"},
				OutputArtifacts:      []domain.OutputArtifact{{Name: "binary", Files: []string{"bin/*"}}},
				OutputVariables:      []string{"VERSION"}, Namespace: "build", RoleARN: "arn:action", Region: "eu-west-1",
				TimeoutInMinutes: 5, OnLost: domain.OnLostRetry,
			}},
		}},
	}
}

// requireNoZeroField fails for a field of the domain that the full definition
// forgot.
func requireNoZeroField(t *testing.T, at string, value reflect.Value) {
	t.Helper()
	require.Falsef(t, value.IsZero(), "%s is not set", at)
	switch value.Kind() {
	case reflect.Pointer:
		requireNoZeroField(t, at, value.Elem())
	case reflect.Slice:
		requireNoZeroField(t, at+"[0]", value.Index(0))
	case reflect.Struct:
		for i := range value.NumField() {
			requireNoZeroField(t, at+"."+value.Type().Field(i).Name, value.Field(i))
		}
	default:
	}
}
