package ledger

import "strings"

// OwnToken stands for the connection of a repository that is read with the token of a source
// action. It names the action, so no two actions read with each other's rights, and it has
// slashes, which no name of a connection has.
func OwnToken(pipeline, action string) string {
	return "pipelines/" + pipeline + "/actions/" + action
}

// ParseOwnToken returns the pipeline and the source action that OwnToken was made of.
func ParseOwnToken(connection string) (pipeline, action string, ok bool) {
	const parts = 4
	named := strings.Split(connection, "/")
	if len(named) != parts || named[0] != "pipelines" || named[2] != "actions" {
		return "", "", false
	}
	return named[1], named[3], true
}

// ThroughConnection returns the name of the connection through which the repository is read,
// empty if a source action has a token of its own.
func (r *Repository) ThroughConnection() string {
	if _, _, own := ParseOwnToken(r.Connection); own {
		return ""
	}
	return r.Connection
}

// Access says in words how the repository is read.
func (r *Repository) Access() string {
	if pipeline, action, own := ParseOwnToken(r.Connection); own {
		return "with the token of source action " + action + " of pipeline " + pipeline
	}
	return "through connection " + r.Connection
}
