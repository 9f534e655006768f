package pipeline_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestValidateWebhook(t *testing.T) {
	t.Parallel()
	bearer := []pipeline.WebhookMethod{pipeline.WebhookBearer}
	for name, test := range map[string]struct {
		webhook pipeline.Webhook
		says    string
	}{
		"a forge":                      {pipeline.Webhook{Kind: pipeline.WebhookGitea, Connection: "gitea", Manage: true}, ""},
		"generic":                      {pipeline.Webhook{Kind: pipeline.WebhookGeneric, Methods: bearer}, ""},
		"a kind not known yet":         {pipeline.Webhook{Kind: pipeline.Unknown}, ""},
		"a tag not known yet":          {pipeline.Webhook{Kind: pipeline.WebhookGeneric, Methods: bearer, Tags: map[string]string{pipeline.Unknown: pipeline.Unknown}}, ""},
		"another kind":                 {pipeline.Webhook{Kind: "svn"}, `kind: kind "svn" is not known; use one of github, gitlab, gitea, generic`},
		"a forge without a connection": {pipeline.Webhook{Kind: pipeline.WebhookGitHub}, "connection: the connection is missing"},
		"a forge with a method":        {pipeline.Webhook{Kind: pipeline.WebhookGitHub, Connection: "c", Methods: bearer}, "authentication: the deliveries of github"},
		"generic with a connection":    {pipeline.Webhook{Kind: pipeline.WebhookGeneric, Connection: "c", Methods: bearer}, "connection: a generic webhook has no connection"},
		"generic without a method":     {pipeline.Webhook{Kind: pipeline.WebhookGeneric}, "authentication: a generic webhook needs one of"},
		"generic and managed":          {pipeline.Webhook{Kind: pipeline.WebhookGeneric, Methods: bearer, Manage: true}, "manage: a generic webhook has no repositories"},
		"a long tag": {
			pipeline.Webhook{Kind: pipeline.WebhookGeneric, Methods: bearer, Tags: map[string]string{"k": strings.Repeat("v", 257)}}, `tags: tag "k"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := pipeline.ValidateWebhook(&test.webhook)
			if test.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.says)
		})
	}
}
