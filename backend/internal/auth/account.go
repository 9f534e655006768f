package auth

import "time"

// Account is a tenant.
type Account struct {
	Name      string
	CreatedAt time.Time
	// RequireApprovalRule makes a manual approval action fail if no approval rule matches
	// it.
	RequireApprovalRule bool
}
