package accountguard_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

// TestAllowedAccounts refuses accounts before the server is called: none listens.
func TestAllowedAccounts(t *testing.T) {
	t.Parallel()
	const outside = `Account "prod" is not one of the provider's allowed_accounts: dev, test.`
	tests := map[string]struct {
		file, account string
		says          string
	}{
		"of the environment": {
			file: "allowed", account: "prod",
			says: outside + " It comes from the environment variable HEADRACE_ACCOUNT.",
		},
		"default": {
			file: "allowed",
			says: `Account "default" is not one of the provider's allowed_accounts: dev, test. It comes from the default`,
		},
		"of the provider block": {
			file: "allowed_provider", account: "dev",
			says: `account = "prod" Account "prod" is not one of`,
		},
		"of a resource":     {file: "allowed_resource", account: "dev", says: outside},
		"of a data source":  {file: "allowed_data", account: "dev", says: outside},
		"of an import":      {file: "allowed_import", account: "dev", says: outside},
		"no account at all": {file: "allowed_empty", account: "dev", says: "list must contain at least 1 elements"},
		"null":              {file: "allowed_null", account: "dev", says: "Null"},
		"not a name":        {file: "allowed_name", account: "dev", says: "Invalid allowed account"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{Steps: []resource.TestStep{{
				ProtoV6ProviderFactories: acctest.Factories(map[string]string{
					client.EnvEndpoint: "127.0.0.1:9", client.EnvToken: "none", client.EnvAccount: test.account,
				}),

				ConfigFile: config.StaticFile("testdata/" + test.file + ".tf"), ExpectError: acctest.Says(test.says),
			}}})
		})
	}
}

// TestNoLongerAllowed refuses to refresh and to delete what is in the state, in an account
// that is not allowed any more.
func TestNoLongerAllowed(t *testing.T) {
	t.Parallel()
	backend := start(t)
	resource.Test(t, resource.TestCase{Steps: []resource.TestStep{
		{ProtoV6ProviderFactories: in(backend, "prod"), ConfigFile: everything},
		{
			ProtoV6ProviderFactories: in(backend, "dev"), ConfigFile: config.StaticFile("testdata/allowed.tf"),
			ExpectError: acctest.Says(`Account "prod" is not one of the provider's allowed_accounts: dev, test`),
		},
		{ProtoV6ProviderFactories: in(backend, "prod"), ConfigFile: everything, PlanOnly: true},
	}})
}
