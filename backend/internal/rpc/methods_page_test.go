package rpc_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

const methodsPage = "../../docs/methods.md"

var update = flag.Bool("update", false, "write "+methodsPage)

// TestMethodsPage compares the page of methods with what the contract declares.
func TestMethodsPage(t *testing.T) {
	t.Parallel()
	var page strings.Builder
	page.WriteString(`# API methods

This page lists the role that each method of the API requires, the account in which it requires it,
and what a call changes. It is generated from the options in ` + "`backend/proto`" + ` by
` + "`go test ./backend/internal/rpc -run TestMethodsPage -update`" + `.

- **Account** is the field of the request that names the account, or an object in it. For a list of
  accounts, the caller needs the role in each of them. "all" means a role in all accounts.
- **Effect**: if the connection is lost, clients retry reads, and writes that take effect once for
  each ` + "`request_id`" + `. They never retry other writes or streams.
`)
	service := ""
	for _, m := range contract.Methods() {
		if name := string(m.Parent().Name()); name != service {
			service = name
			fmt.Fprintf(&page, "\n## %s\n\n| Method | Role | Account | Effect |\n|---|---|---|---|\n", name)
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", m.Name(), rolesText(m), accountText(m), effectText(m))
	}
	if *update {
		require.NoError(t, os.WriteFile(methodsPage, []byte(page.String()), 0o600))
	}
	written, err := os.ReadFile(methodsPage)
	require.NoError(t, err)
	require.Equal(t, page.String(), string(written), "run go test ./backend/internal/rpc -run TestMethodsPage -update")
}

func rolesText(m contract.Method) string {
	if m.Permission == v1.Permission_PERMISSION_OPEN {
		return "none, not even a token"
	}
	with := rolesWith(m.Permission)
	if len(with) == len(allRoles()) {
		return "any"
	}
	var roles []string
	for _, role := range with {
		roles = append(roles, strings.ToLower(strings.TrimPrefix(role.String(), "ROLE_")))
	}
	return strings.Join(roles, ", ")
}

func accountText(m contract.Method) string {
	switch {
	case m.Permission == v1.Permission_PERMISSION_OPEN || m.Permission == v1.Permission_PERMISSION_AUTHENTICATED:
		return ""
	case m.Account == contract.AllAccounts:
		return "all"
	case m.Account == "":
		return "at least one"
	default:
		return "`" + m.Account + "`"
	}
}

func effectText(m contract.Method) string {
	switch {
	case m.Streams():
		return "read, stream"
	case m.Reads():
		return "read"
	case m.RequestID() != nil:
		return "write, once for each `request_id`"
	default:
		return "write"
	}
}
