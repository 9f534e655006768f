package address_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/internal/provider/address"
)

func TestParse(t *testing.T) {
	t.Parallel()
	stages := []string{"pipelines", "stages"}
	tests := map[string]struct {
		id          string
		account     types.String
		collections []string
		wantAccount string
		wantNames   []string
		wantError   string
	}{
		"name alone is in the provider's account": {
			id: "web", account: types.StringValue("dev"), collections: []string{"pipelines"},
			wantAccount: "dev", wantNames: []string{"web"},
		},
		"account and name": {
			id: "prod/web", account: types.StringValue("dev"), collections: []string{"pipelines"},
			wantAccount: "prod", wantNames: []string{"web"},
		},
		"resource name": {
			id: "accounts/prod/pipelines/web/stages/Build", account: types.StringUnknown(), collections: stages,
			wantAccount: "prod", wantNames: []string{"web", "Build"},
		},
		"two names": {
			id: "web/Build", account: types.StringValue("dev"), collections: stages,
			wantAccount: "dev", wantNames: []string{"web", "Build"},
		},
		"account unknown": {
			id: "web", account: types.StringUnknown(), collections: []string{"pipelines"},
			wantError: "write ACCOUNT/web",
		},
		"wrong collection": {
			id: "accounts/prod/pipelines/web/actions/Build", account: types.StringValue("dev"), collections: stages,
			wantError: "write PIPELINE/STAGE, ACCOUNT/PIPELINE/STAGE or accounts/ACCOUNT/pipelines/PIPELINE/stages/STAGE",
		},
		"empty segment": {
			id: "web/", account: types.StringValue("dev"), collections: stages, wantError: "is not a valid id",
		},
		"too few names": {
			id: "web", account: types.StringValue("dev"), collections: stages, wantError: "is not a valid id",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account, names, err := address.Parse(test.id, test.account, test.collections...)
			if test.wantError != "" {
				require.ErrorContains(t, err, test.wantError)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.wantAccount, account)
			require.Equal(t, test.wantNames, names)
		})
	}
}
