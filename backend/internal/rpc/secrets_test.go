package rpc_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func secret(name, value string) *v1.Secret {
	return &v1.Secret{Name: client.SecretName("default", name), Description: "of the registry", Value: []byte(value)}
}

func TestSecretIsKeptAndNeverRead(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	c := b.Admin()
	request := &v1.CreateSecretRequest{Secret: secret("token", "hunter22-first"), RequestId: "once"}
	created, err := c.Secrets.CreateSecret(t.Context(), request)
	require.NoError(t, err)
	again, err := c.Secrets.CreateSecret(t.Context(), request)
	require.NoError(t, err)
	require.True(t, proto.Equal(created, again))
	kept := created.GetSecret()
	require.EqualValues(t, 1, kept.GetVersion())
	require.Equal(t, "of the registry", kept.GetDescription())
	require.True(t, kept.GetCreateTime().IsValid())
	_, err = c.Secrets.CreateSecret(t.Context(), &v1.CreateSecretRequest{Secret: secret("token", "hunter22-other")})
	refused(t, err, codes.AlreadyExists, pipeline.ReasonAlreadyExists, `secret "token" exists`)

	described := &v1.Secret{Name: kept.GetName(), Description: "of the mirror", Etag: kept.GetEtag()}
	updated, err := c.Secrets.UpdateSecret(t.Context(), &v1.UpdateSecretRequest{Secret: described})
	require.NoError(t, err)
	require.EqualValues(t, 1, updated.GetSecret().GetVersion(), "the value stays")
	require.Equal(t, kept.GetValueTime().AsTime(), updated.GetSecret().GetValueTime().AsTime())
	_, err = c.Secrets.UpdateSecret(t.Context(), &v1.UpdateSecretRequest{Secret: described})
	refused(t, err, codes.Aborted, pipeline.ReasonEtagMismatch, "changed since it was read")
	rotated := secret("token", "hunter22-second")
	updated, err = c.Secrets.UpdateSecret(t.Context(), &v1.UpdateSecretRequest{Secret: rotated, ValidateOnly: true})
	require.NoError(t, err)
	require.EqualValues(t, 2, updated.GetSecret().GetVersion())
	updated, err = c.Secrets.UpdateSecret(t.Context(), &v1.UpdateSecretRequest{Secret: rotated})
	require.NoError(t, err)
	require.EqualValues(t, 2, updated.GetSecret().GetVersion(), "a check writes nothing")

	got, err := c.Secrets.GetSecret(t.Context(), &v1.GetSecretRequest{Name: kept.GetName()})
	require.NoError(t, err)
	require.True(t, proto.Equal(updated.GetSecret(), got.GetSecret()))
	list, err := c.Secrets.ListSecrets(t.Context(), &v1.ListSecretsRequest{Parent: "accounts/default"})
	require.NoError(t, err)
	require.Len(t, list.GetSecrets(), 1)
	for _, answer := range []proto.Message{created, updated, got, list} {
		require.NotContains(t, fmt.Sprint(answer), "hunter22")
	}
	// Nor is it in any file of the data directory.
	require.NoError(t, filepath.WalkDir(b.DataDir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		require.False(t, bytes.Contains(content, []byte("hunter22")), path)
		return err
	}))

	_, err = c.Secrets.DeleteSecret(t.Context(), &v1.DeleteSecretRequest{Name: kept.GetName(), Etag: kept.GetEtag()})
	refused(t, err, codes.Aborted, pipeline.ReasonEtagMismatch)
	_, err = c.Secrets.DeleteSecret(t.Context(), &v1.DeleteSecretRequest{Name: kept.GetName()})
	require.NoError(t, err)
	_, err = c.Secrets.GetSecret(t.Context(), &v1.GetSecretRequest{Name: kept.GetName()})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
}

func TestSecretsThatCannotBeKeptAreRefused(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	for what, value := range map[string]string{"empty": "", "too long": strings.Repeat("hunter22", 8193), "NUL": "hunter22\x00"} {
		_, err := c.Secrets.CreateSecret(t.Context(), &v1.CreateSecretRequest{Secret: secret("token", value)})
		refused(t, err, codes.InvalidArgument, "")
		require.NotContains(t, err.Error(), "hunter22", what)
	}
	_, err := c.Secrets.CreateSecret(t.Context(), &v1.CreateSecretRequest{Secret: secret("to ken", "hunter22")})
	refused(t, err, codes.InvalidArgument, "")
	_, err = c.Secrets.CreateSecret(t.Context(), &v1.CreateSecretRequest{Secret: secret("token", strings.Repeat("x", 64<<10))})
	require.NoError(t, err)
}

// A create whose answer was lost is answered with what it made, which gets the new value: that
// of an ephemeral resource is another one in each apply.
func TestLostSecretIsAdoptedWithTheNewValue(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	created, err := c.Secrets.CreateSecret(t.Context(), &v1.CreateSecretRequest{Secret: secret("token", "hunter22"), RequestId: "first/1"})
	require.NoError(t, err)
	other := secret("token", "hunter22")
	other.Description = "of the mirror"
	_, err = c.Secrets.CreateSecret(t.Context(), &v1.CreateSecretRequest{Secret: other, RequestId: "second/1"})
	refused(t, err, codes.AlreadyExists, pipeline.ReasonAlreadyExists)
	request := &v1.CreateSecretRequest{Secret: secret("token", "hunter23"), RequestId: "third/1"}
	adopted, err := c.Secrets.CreateSecret(t.Context(), request)
	require.NoError(t, err)
	require.NotEqual(t, created.GetSecret().GetEtag(), adopted.GetSecret().GetEtag())
	require.EqualValues(t, 2, adopted.GetSecret().GetVersion())
	again, err := c.Secrets.CreateSecret(t.Context(), request)
	require.NoError(t, err)
	require.True(t, proto.Equal(adopted, again))

	_, err = c.Secrets.GetSecret(t.Context(), &v1.GetSecretRequest{Name: created.GetSecret().GetName(), ConfirmRequestId: "first/1"})
	refused(t, err, codes.AlreadyExists, pipeline.ReasonAlreadyExists, "took over")
	_, err = c.Secrets.GetSecret(t.Context(), &v1.GetSecretRequest{Name: created.GetSecret().GetName(), ConfirmRequestId: "third/1"})
	require.NoError(t, err)
	_, err = c.Secrets.CreateSecret(t.Context(), &v1.CreateSecretRequest{Secret: secret("token", "hunter24"), RequestId: "fourth/1"})
	refused(t, err, codes.AlreadyExists, pipeline.ReasonAlreadyExists)
}

func usesSecret(pipelineName, secretName string) *v1.Pipeline {
	p := inline("default", pipelineName)
	p.Definition.Stages[1].Actions[0].EnvironmentVariables = []*v1.EnvironmentVariable{
		{Name: "TOKEN", Value: secretName, Type: "SECRET"},
	}
	return p
}

func TestSecretOfAPipeline(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	created, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: usesSecret("web", "token")})
	require.NoError(t, err)
	warnings := created.GetWarnings()
	require.Len(t, warnings, 1)
	require.Equal(t, string(pipeline.ReasonSecretMissing), warnings[0].GetReason())
	require.Equal(t, "pipeline.definition.stages[1].actions[0].environment_variables[0].value", warnings[0].GetField())
	require.Contains(t, warnings[0].GetMessage(), `secret "token" does not exist in account "default"`)

	_, err = c.Secrets.CreateSecret(t.Context(), &v1.CreateSecretRequest{Secret: secret("token", "hunter22")})
	require.NoError(t, err)
	updated, err := c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: usesSecret("web", "token")})
	require.NoError(t, err)
	require.Empty(t, updated.GetWarnings())

	remove := &v1.DeleteSecretRequest{Name: client.SecretName("default", "token")}
	_, err = c.Secrets.DeleteSecret(t.Context(), remove)
	refused(t, err, codes.FailedPrecondition, pipeline.ReasonInUse, `secret "token" is used by the newest version of pipeline "web"`)
	// An older version may still name it.
	_, err = c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: inline("default", "web")})
	require.NoError(t, err)
	_, err = c.Secrets.DeleteSecret(t.Context(), remove)
	require.NoError(t, err)
}

func TestNamesOfSecretsAreCheckedOffline(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	for value, says := range map[string]string{
		"to ken":             "the value of type SECRET is the name of a secret",
		"#{variables.token}": "cannot refer to variables",
	} {
		_, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: usesSecret("web", value)})
		refused(t, err, codes.InvalidArgument, pipeline.ReasonInvalidDefinition, says)
	}
}
