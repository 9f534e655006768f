// Package acctest runs the acceptance tests of the provider: real Terraform, the
// provider in process, and where a test asks for one a whole backend of its own.
// Only tests import it.
package acctest

import (
	"context"
	"log"
	"os"
	"testing"

	fwprovider "github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	"github.com/headrace/terraform-provider-headrace/internal/provider"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
)

// Main runs the tests of a package. Acceptance tests run wherever the others do:
// they need nothing but Terraform on PATH.
func Main(m *testing.M) {
	for name, value := range map[string]string{
		"TF_ACC": "1",
		// A developer's own settings, such as overrides of providers, stay outside.
		"TF_CLI_CONFIG_FILE": os.DevNull,
		"CHECKPOINT_DISABLE": "1",
	} {
		if err := os.Setenv(name, value); err != nil {
			log.Fatal(err)
		}
	}
	os.Exit(m.Run())
}

// Backend is a backend of a test's own.
type Backend struct {
	*backendtest.Backend
	// API is an admin's client, with which tests do what others than Terraform
	// would do.
	API *client.Client
}

// Start starts a backend that ends with the test.
func Start(t *testing.T, options ...backendtest.Option) *Backend {
	t.Helper()
	backend := backendtest.Start(t, options...)
	return &Backend{Backend: backend, API: backend.Admin()}
}

// Provider returns the provider for the backend, in the account "default".
func (b *Backend) Provider() map[string]func() (tfprotov6.ProviderServer, error) {
	return Factories(map[string]string{
		client.EnvEndpoint: b.Endpoint,
		client.EnvToken:    b.AdminToken,
	})
}

// ProviderOf returns the provider with a client of the test's own instead of the one
// that its configuration asks for, in the account "default".
func ProviderOf(api *client.Client) map[string]func() (tfprotov6.ProviderServer, error) {
	return map[string]func() (tfprotov6.ProviderServer, error){
		"headrace": providerserver.NewProtocol6WithError(&handed{
			Provider: provider.New("test", func(string) string { return "" })(),
			session:  session.New(session.Config{Client: api, Account: types.StringValue("default")}),
		}),
	}
}

type handed struct {
	fwprovider.Provider
	session *session.Session
}

// Configure hands out the session.
func (h *handed) Configure(_ context.Context, _ fwprovider.ConfigureRequest, response *fwprovider.ConfigureResponse) {
	response.ResourceData, response.DataSourceData = h.session, h.session
}

// Factories returns the provider with the given environment instead of the
// process's.
func Factories(environment map[string]string) map[string]func() (tfprotov6.ProviderServer, error) {
	getenv := func(name string) string { return environment[name] }
	return map[string]func() (tfprotov6.ProviderServer, error){
		"headrace": providerserver.NewProtocol6WithError(provider.New("test", getenv)()),
	}
}

// Offline returns the provider where no server listens: what it can do there
// needs none.
func Offline() map[string]func() (tfprotov6.ProviderServer, error) {
	return Factories(map[string]string{
		// The discard port: nothing listens there.
		client.EnvEndpoint: "127.0.0.1:9",
		client.EnvToken:    "none",
	})
}
