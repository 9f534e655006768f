package accountguard

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
)

// DataSource returns a guarded data source. It has the argument account.
func DataSource(read datasource.DataSourceWithConfigure) datasource.DataSource {
	return &guardedData{DataSourceWithConfigure: read}
}

type guardedData struct {
	datasource.DataSourceWithConfigure
	session *session.Session
}

// Configure takes what the provider hands out.
func (g *guardedData) Configure(
	ctx context.Context, request datasource.ConfigureRequest, response *datasource.ConfigureResponse,
) {
	g.session = session.FromDataSource(request, response)
	g.DataSourceWithConfigure.Configure(ctx, request, response)
}

// Read refuses to read outside of the allowed accounts.
func (g *guardedData) Read(ctx context.Context, request datasource.ReadRequest, response *datasource.ReadResponse) {
	account := g.session.Account(argument(ctx, request.Config, &response.Diagnostics))
	if err := g.session.CheckAllowed(account); err != nil {
		response.Diagnostics.AddAttributeError(path.Root("account"), notAllowed, problem.Sentence(err.Error()))
	}
	if !response.Diagnostics.HasError() {
		g.DataSourceWithConfigure.Read(ctx, request, response)
	}
}
