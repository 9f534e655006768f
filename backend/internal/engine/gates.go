package engine

import (
	"slices"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// GateKind is the type of a gate.
type GateKind string

// The kinds of gates.
const (
	GateApproval GateKind = "approval"
	GateWindow   GateKind = "window"
	GateRule     GateKind = "rule"
)

// Gate is something that an execution has to pass before, in or after a stage.
type Gate struct {
	Kind GateKind
	// Action is the manual approval action, empty for the approval of the entry.
	Action string
	// Rule and Condition are set for GateWindow and GateRule.
	Rule      string
	Condition pipeline.ConditionKind
	// Requirements are those of an approval. If an execution waits, they are what it was
	// asked for, and Approved how many people agreed to each.
	Requirements []execution.Requirement
	Approved     []int
	// Execution waits at the gate, for that reason. Both are nil if none does.
	Execution *execution.Execution
	Reason    *Reason
}

// Gates returns the gates of a stage of the newest version, in the order in which an
// execution meets them, and those of an older version at which one waits. Requirements
// returns the approval rules that guard an action, or the entry if it is empty.
func Gates(scope *Scope, stage *pipeline.Stage, requirements func(action string) []execution.Requirement, work Work, now time.Time) []Gate {
	gates := declaredGates(scope.Catalog, stage, requirements)
	holder, _ := scope.Occupants(stage.Name)
	if holder == nil {
		return gates
	}
	reasons := Explain(scope, holder.ID, work, now)
	for i := range reasons {
		waits := gateOf(&reasons[i])
		if waits == nil {
			continue
		}
		waits.Execution = holder
		at := slices.IndexFunc(gates, func(g Gate) bool {
			return g.Action == waits.Action && g.Rule == waits.Rule && g.Condition == waits.Condition
		})
		if at < 0 {
			gates = append(gates, *waits)
			continue
		}
		gates[at] = *waits
	}
	return gates
}

// declaredGates are those that a version declares, and those of approval rules.
func declaredGates(catalog *pipeline.Catalog, stage *pipeline.Stage, requirements func(action string) []execution.Requirement) []Gate {
	var gates []Gate
	approval := func(action string, asked []execution.Requirement) {
		gates = append(gates, Gate{Kind: GateApproval, Action: action, Requirements: asked, Approved: make([]int, len(asked))})
	}
	condition := func(kind pipeline.ConditionKind) {
		c := stage.Condition(kind)
		if c == nil {
			return
		}
		for i := range c.Rules {
			gate := Gate{Kind: GateRule, Rule: c.Rules[i].Name, Condition: kind}
			if declared, _ := catalog.Lookup(c.Rules[i].TypeID()); declared.Work == pipeline.WorkTimed {
				gate.Kind = GateWindow
			}
			gates = append(gates, gate)
		}
	}
	if asked := requirements(""); len(asked) > 0 {
		approval("", asked)
	}
	condition(pipeline.ConditionBeforeEntry)
	actions := slices.SortedStableFunc(slices.Values(stage.Actions), func(a, b pipeline.Action) int { return a.Order() - b.Order() })
	for i := range actions {
		a := &actions[i]
		if declared, _ := catalog.Lookup(a.TypeID()); declared.Work != pipeline.WorkApproval {
			continue
		}
		asked := requirements(a.Name)
		if len(asked) == 0 {
			asked = defaultRequirements()
		}
		approval(a.Name, asked)
	}
	condition(pipeline.ConditionOnSuccess)
	return gates
}

// gateOf returns the gate at which an execution waits, nil if it waits for something else.
func gateOf(reason *Reason) *Gate {
	gate := &Gate{Kind: GateRule, Rule: reason.Rule, Condition: reason.Condition, Reason: reason}
	switch {
	case reason.Kind == WaitApproval:
		gate.Kind, gate.Action = GateApproval, reason.Action
		asked := reason.Wait.Approval()
		gate.Requirements = asked.Requirements
		for _, r := range asked.Requirements {
			gate.Approved = append(gate.Approved, Count(asked, r))
		}
	case reason.Condition != pipeline.ConditionBeforeEntry && reason.Condition != pipeline.ConditionOnSuccess:
		return nil
	case reason.Kind == WaitWindow:
		gate.Kind = GateWindow
	}
	return gate
}
