package provider_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/action"
	"github.com/headrace/terraform-provider-headrace/internal/provider/approvalrule"
	"github.com/headrace/terraform-provider-headrace/internal/provider/connection"
	"github.com/headrace/terraform-provider-headrace/internal/provider/fieldpath"
	"github.com/headrace/terraform-provider-headrace/internal/provider/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/secret"
	"github.com/headrace/terraform-provider-headrace/internal/provider/stage"
	"github.com/headrace/terraform-provider-headrace/internal/provider/stagetransition"
	"github.com/headrace/terraform-provider-headrace/internal/provider/trigger"
	"github.com/headrace/terraform-provider-headrace/internal/provider/webhook"
)

// TestEveryFieldHasAnArgument fails when the contract learns a field that
// Terraform cannot declare, and when an error about a field would point nowhere.
func TestEveryFieldHasAnArgument(t *testing.T) {
	t.Parallel()
	const (
		inStage       = "definition.stages[0].actions[0].output_artifacts[0]."
		artifactName  = "is an element of output_artifacts"
		artifactFiles = "is an entry of output_artifact_files"
	)
	tests := map[string]struct {
		message  proto.Message
		resource resource.Resource
		shape    fieldpath.Shape
		// without holds the fields that no argument has, and why.
		without map[string]string
	}{
		"headrace_pipeline": {
			&headracev1.Pipeline{}, pipeline.New(), fieldpath.Pipeline(), map[string]string{
				"create_time":         "times in a schema make noise in plans; the command line shows them",
				"update_time":         "times in a schema make noise in plans; the command line shows them",
				"unpublished_changes": "of headrace_pipeline_version, which acts on it",
				inStage + "name":      artifactName,
				inStage + "files":     artifactFiles,
			},
		},
		"headrace_stage": {
			&headracev1.PipelineStage{}, stage.New(), fieldpath.Stage(), nil,
		},
		"stage in headrace_stage": {
			&headracev1.Stage{}, stage.New(), fieldpath.Stage(),
			map[string]string{"actions[0]": "are headrace_action resources"},
		},
		"headrace_action": {
			&headracev1.PipelineAction{}, action.New(), fieldpath.ActionObject(),
			map[string]string{
				"action.output_artifacts[0].name":  artifactName,
				"action.output_artifacts[0].files": artifactFiles,
			},
		},
		"headrace_approval_rule": {
			&headracev1.ApprovalRule{}, approvalrule.New(), fieldpath.ApprovalRule(),
			map[string]string{
				"create_time": "times in a schema make noise in plans; the command line shows them",
				"update_time": "times in a schema make noise in plans; the command line shows them",
				"guards[0]":   "it changes with pipelines, which is no drift of the rule; plans warn, the command line shows it",
				"guard_count": "as guards",
				"warnings[0]": "plans and applies show them",
			},
		},
		"headrace_connection": {
			&headracev1.Connection{}, connection.New(), fieldpath.Connection(),
			map[string]string{
				"credentials[0]": "are credential_set_times and credential_fingerprints",
				"create_time":    "times in a schema make noise in plans; the command line shows them",
				"update_time":    "times in a schema make noise in plans; the command line shows them",
			},
		},
		"headrace_secret": {
			&headracev1.Secret{}, secret.New(), fieldpath.Secret(),
			map[string]string{
				"value":       "is write-only: an error that points at it would show its line",
				"create_time": "times in a schema make noise in plans; the command line shows them",
				"update_time": "times in a schema make noise in plans; the command line shows them",
				"value_time":  "times in a schema make noise in plans; the command line shows them",
			},
		},
		"headrace_trigger": {
			&headracev1.DeclaredTrigger{}, trigger.New(), fieldpath.Trigger(),
			map[string]string{
				"pause":           "is runtime state, which an apply does not change",
				"inline":          "is false for every trigger that is declared on its own",
				"create_time":     "times in a schema make noise in plans; the command line shows them",
				"update_time":     "times in a schema make noise in plans; the command line shows them",
				"warnings[0]":     "plans and applies show them",
				"latest_decision": "is in the data source headrace_trigger_decisions",
			},
		},
		"headrace_webhook": {
			&headracev1.Webhook{}, webhook.New(), fieldpath.Webhook(),
			map[string]string{
				"secrets[0]":         "are secret_version; the command line shows when each was used",
				"managed_hooks[0]":   "change without the configuration; plans warn of problems, the command line shows them",
				"create_time":        "times in a schema make noise in plans; the command line shows them",
				"update_time":        "times in a schema make noise in plans; the command line shows them",
				"last_delivery_time": "as update_time",
				"last_refusal_time":  "as update_time",
			},
		},
		"headrace_stage_transition": {
			&headracev1.SetStageTransitionRequest{}, stagetransition.New(), fieldpath.StageTransition(), nil,
		},
	}
	for _, build := range newProvider().Resources(t.Context()) {
		name := nameOf(t, build())
		// headrace_pipeline_version publishes a draft, which has no message of its own.
		if name != "headrace_pipeline_version" {
			require.Contains(t, tests, name, "a resource without an entry here")
		}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arguments := schemaOf(t, test.resource)
			unused := maps.Clone(test.without)
			for _, fields := range fieldsOf(nil, test.message.ProtoReflect().Descriptor()) {
				if excepted := exception(test.without, fields); excepted != "" {
					delete(unused, excepted)
					continue
				}
				at := test.shape.Translate(path.Empty(), fields)
				_, diags := arguments.TypeAtPath(t.Context(), at)
				require.Falsef(t, diags.HasError(), "field %s has no argument: %s is none", fields, at)
				require.NotEqualf(t, parent(test.shape, fields), at, "field %s has no argument of its own", fields)
			}
			require.Empty(t, slices.Collect(maps.Keys(unused)), "exceptions for fields that do not exist")
		})
	}
}

// TestAccountsAreGuarded fails when a resource or a data source could act on an account that the
// provider is not allowed to use.
func TestAccountsAreGuarded(t *testing.T) {
	t.Parallel()
	for _, build := range newProvider().Resources(t.Context()) {
		built := build()
		require.Contains(t, fmt.Sprintf("%T", built), "accountguard.", "New of %s is not wrapped by accountguard.Resource", nameOf(t, built))
	}
	for _, build := range newProvider().DataSources(t.Context()) {
		require.Contains(t, fmt.Sprintf("%T", build()), "accountguard.", "a data source is not wrapped by accountguard.DataSource")
	}
}

// nameOf is what a resource is called in Terraform.
func nameOf(t *testing.T, of resource.Resource) string {
	t.Helper()
	var response resource.MetadataResponse
	of.Metadata(t.Context(), resource.MetadataRequest{ProviderTypeName: "headrace"}, &response)
	return response.TypeName
}

// TestSchemas finds what the framework only refuses when Terraform asks.
func TestSchemas(t *testing.T) {
	t.Parallel()
	for _, build := range newProvider().Resources(t.Context()) {
		built := schemaOf(t, build())
		diags := built.ValidateImplementation(t.Context())
		require.Empty(t, diags)
	}
}

// exception returns the key of the exception that covers a field, if any does.
func exception(without map[string]string, fields domain.Path) string {
	for n := range fields {
		key := fields[:n+1].String()
		if _, excepted := without[key]; excepted {
			return key
		}
	}
	return ""
}

func schemaOf(t *testing.T, r resource.Resource) schema.Schema {
	t.Helper()
	var response resource.SchemaResponse
	r.Schema(t.Context(), resource.SchemaRequest{}, &response)
	require.Empty(t, response.Diagnostics)
	return response.Schema
}

// parent returns where the message that holds a field is written, or the empty
// path where that has no place of its own.
func parent(shape fieldpath.Shape, fields domain.Path) path.Path {
	if len(fields) == 1 {
		return path.Empty()
	}
	return shape.Translate(path.Empty(), append(slices.Clone(fields[:len(fields)-1]), domain.Step{Field: "none", Index: -1}))
}

// fieldsOf returns the paths of all fields that hold values, the first element
// of each list, below a message.
func fieldsOf(at domain.Path, message protoreflect.MessageDescriptor) []domain.Path {
	var all []domain.Path
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		name := string(field.Name())
		here := at.Field(name)
		if field.IsList() && field.Message() != nil {
			here = at.At(name, 0)
		}
		if field.Message() == nil || field.IsMap() || field.Message().FullName().Parent() == "google.protobuf" {
			all = append(all, here)
			continue
		}
		all = append(all, fieldsOf(here, field.Message())...)
	}
	return all
}
