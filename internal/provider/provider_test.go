package provider_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/stretchr/testify/require"

	headrace "github.com/headrace/terraform-provider-headrace/internal/provider"
)

func newProvider() provider.Provider {
	return headrace.New("test", func(string) string { return "" })()
}

// TestEmptyArguments refuses an empty text, which would silently mean the default.
func TestEmptyArguments(t *testing.T) {
	t.Parallel()
	for _, argument := range []string{"endpoint", "token", "account", "ca_cert_file", "client_cert_file", "client_key_file"} {
		t.Run(argument, func(t *testing.T) {
			t.Parallel()
			var response provider.SchemaResponse
			newProvider().Schema(t.Context(), provider.SchemaRequest{}, &response)
			text, ok := response.Schema.Attributes[argument].(schema.StringAttribute)
			require.True(t, ok)
			var diags validator.StringResponse
			for _, check := range text.Validators {
				check.ValidateString(t.Context(), validator.StringRequest{Path: path.Root(argument), ConfigValue: types.StringValue("")}, &diags)
			}
			require.True(t, diags.Diagnostics.HasError())
		})
	}
}

// TestDependencies keeps the server out of the provider: everybody who plans
// downloads the provider, and a provider that links the server's parts would
// come to depend on how they work.
func TestDependencies(t *testing.T) {
	t.Parallel()
	const module = "github.com/headrace/terraform-provider-headrace"
	output, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module).Output()
	require.NoError(t, err)
	packages := strings.Fields(string(output))
	require.Contains(t, packages, module+"/backend/client", "the list is not that of the provider")
	forbidden := map[string]string{
		module + "/backend/internal":                    "the provider talks to a server and is none",
		module + "/backend/backendtest":                 "it is for tests",
		"modernc.org/sqlite":                            "the provider has no database",
		"github.com/jackc/pgx":                          "the provider has no database",
		"github.com/pressly/goose":                      "the provider has no database",
		"github.com/riverqueue":                         "the provider has no queue",
		"github.com/aws":                                "the provider talks to Headrace only",
		"github.com/hashicorp/terraform-plugin-testing": "a program links no tests",
	}
	for _, dependency := range packages {
		for prefix, reason := range forbidden {
			require.Falsef(t, dependency == prefix || strings.HasPrefix(dependency, prefix+"/"),
				"the provider depends on %s: %s", dependency, reason)
		}
	}
}
