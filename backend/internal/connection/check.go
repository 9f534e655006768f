package connection

// Check is one thing that was checked of a connection.
type Check struct {
	Kind   CheckKind
	Status CheckStatus
	// Subject is what was checked, such as a permission or the id of a hook.
	Subject string
	// Message is what was found, and NextStep what to do, as sentences.
	Message  string
	NextStep string
}

// CheckKind is the kind of a check.
type CheckKind string

// The kinds of checks.
const (
	CheckEndpoint       CheckKind = "ENDPOINT"
	CheckAuthentication CheckKind = "AUTHENTICATION"
	CheckPermission     CheckKind = "PERMISSION"
	CheckRepository     CheckKind = "REPOSITORY"
	CheckHook           CheckKind = "HOOK"
	CheckGit            CheckKind = "GIT"
)

// CheckStatus is the result of a check.
type CheckStatus string

// The results of checks.
const (
	CheckOK      CheckStatus = "OK"
	CheckWarning CheckStatus = "WARNING"
	CheckFailed  CheckStatus = "FAILED"
	CheckSkipped CheckStatus = "SKIPPED"
)
