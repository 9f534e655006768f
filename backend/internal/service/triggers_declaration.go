package service

import (
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// declaration returns what the rules of triggers check.
func declaration(t *ledger.Trigger) *trigger.Declaration {
	d := &t.Declared
	return &trigger.Declaration{Description: d.Description, Git: d.Git, Generic: d.Event, Variables: d.Variables}
}

// watchedBy returns what a git trigger watches: what it declares, and else what its source action
// fetches. The definition is nil for a pipeline that has no version yet.
func watchedBy(def *pipeline.Definition, t *ledger.Trigger, catalog *pipeline.Catalog) (connection, repository string) {
	git := t.Declared.Git
	connection, repository = git.Connection, git.Repository
	if def != nil {
		if action := ledger.SourceAction(def, git.SourceAction); action != nil {
			fetchedBy, fetched := trigger.Watched(action, catalog)
			if connection == "" {
				connection = ledger.ConnectionName(t.Account, fetchedBy)
			}
			if repository == "" {
				repository = fetched
			}
		}
	}
	return connection, repository
}
