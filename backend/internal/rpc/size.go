package rpc

import (
	"fmt"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// maxParts bounds what a definition is made of, far above CodePipeline's 1000
// actions: the rules of the contract look at every part, also where there are too
// many of a kind.
const maxParts = 20000

// checkSize refuses definitions that are too large to be looked at.
func checkSize(message any) error {
	n, field := 0, ""
	switch m := message.(type) {
	case interface{ GetPipeline() *headracev1.Pipeline }:
		def := m.GetPipeline().GetDefinition()
		n, field = len(def.GetArtifactStores())+len(def.GetVariables())+len(def.GetTriggers())+len(def.GetStages()), "pipeline"
		for _, t := range def.GetTriggers() {
			n += len(t.GetGitConfiguration().GetPush()) + len(t.GetGitConfiguration().GetPullRequest())
		}
		for _, s := range def.GetStages() {
			n += partsOf(s.GetBeforeEntry(), s.GetOnSuccess(), s.GetOnFailure().GetCondition())
			for _, a := range s.GetActions() {
				n += partsOfAction(a)
			}
		}
	case interface {
		GetStage() *headracev1.PipelineStage
	}:
		s := m.GetStage()
		n, field = partsOf(s.GetBeforeEntry(), s.GetOnSuccess(), s.GetOnFailure().GetCondition()), "stage"
	case interface {
		GetAction() *headracev1.PipelineAction
	}:
		n, field = partsOfAction(m.GetAction().GetAction()), "action"
	}
	if n > maxParts {
		return invalidField(fmt.Sprintf("it holds %d stages, actions and parts of them; at most %d are looked at", n, maxParts), field)
	}
	return nil
}

func partsOf(conditions ...*headracev1.Condition) (n int) {
	for _, c := range conditions {
		for _, r := range c.GetRules() {
			n += 1 + len(r.GetEnvironmentVariables())
		}
	}
	return n
}

func partsOfAction(a *headracev1.Action) int {
	return 1 + len(a.GetEnvironmentVariables()) + len(a.GetOutputArtifacts())
}
