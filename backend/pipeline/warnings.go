package pipeline

import "fmt"

// WarningApprovalBesideWork is the reason of a warning about an approval whose run order
// other actions have, too.
const WarningApprovalBesideWork Reason = "APPROVAL_BESIDE_WORK"

// WarningRollbackWaits is the reason of a warning about a stage whose automatic rollback
// waits for a deployment window or for people. Writing an on_rollback block answers it,
// whatever the block says.
const WarningRollbackWaits Reason = "ROLLBACK_WAITS"

// WarningNothingToSkip is the reason of a warning about on_rollback that skips conditions
// of a stage that has none to skip.
const WarningNothingToSkip Reason = "NOTHING_TO_SKIP"

// Warning says that a definition is valid but does something else than its author may
// expect.
type Warning struct {
	Path Path
	// Reason is a constant for programs.
	Reason Reason
	// Summary says in a few words what is unexpected, with names: Terraform shows only one
	// of several warnings with the same summary.
	Summary string
	// Message says where it is, what happens and what to do, as in a Violation.
	Message string
}

// WarningSummary returns what is unexpected, without names, for the reason of a warning
// about a definition, and nothing for other reasons.
func WarningSummary(reason Reason) string {
	switch reason {
	case WarningApprovalBesideWork:
		return "An approval does not hold back the actions beside it"
	case WarningIncompleteCommand:
		return "A command is not complete by itself"
	case WarningSecretInConfiguration:
		return "A secret is in the configuration"
	case WarningRollbackWaits:
		return "Automatic rollbacks wait"
	case WarningNothingToSkip:
		return "skip_conditions has no effect"
	case WarningWindowOver:
		return "A deployment window never opens again"
	case WarningWindowsApart:
		return "Deployment windows are not open together"
	case WarningTriggerNeverMatches:
		return "A trigger never matches"
	case WarningTriggerMatchesNoRef:
		return "A trigger matches no branch or tag"
	case WarningNotWatched:
		return "Pushes to a repository start nothing"
	case WarningDetectionOff:
		return "Change detection has no effect"
	default:
		return ""
	}
}

// Warnings returns what may surprise in a valid definition, which may be partly unknown
// as for Validate.
func Warnings(def *Definition, catalog *Catalog) []Warning {
	var warnings []Warning
	for i := range def.Stages {
		path, stage := Path(nil).At("stages", i), &def.Stages[i]
		warnings = append(warnings, approvalsBesideWork(def, path, stage)...)
		warnings = append(warnings, rollbackWaits(def, catalog, path, stage)...)
		warnings = append(warnings, nothingToSkip(def, catalog, path, stage)...)
		warnings = append(warnings, incompleteCommands(def, path, stage)...)
		warnings = append(warnings, secretsInConfiguration(def, catalog, path, stage)...)
	}
	warnings = append(warnings, detectionOff(def, catalog)...)
	warnings = append(warnings, notWatched(def, catalog)...)
	return append(warnings, TriggerWarnings(def, func(string) *KnownRefs { return nil })...)
}

// rollbackWaits returns a warning if an automatic rollback of the stage would wait while
// the failed release stays deployed.
func rollbackWaits(def *Definition, catalog *Catalog, path Path, stage *Stage) []Warning {
	at := stage.rollbackResult(path)
	if at == nil {
		return nil
	}
	var gates []string
	if stage.BeforeEntry != nil && !stage.OnRollback.SkipConditions {
		for _, name := range windows(catalog, stage.BeforeEntry) {
			gates = append(gates, "the deployment window "+quoted(name)+" of before_entry")
		}
	}
	for i := range stage.Actions {
		if a := &stage.Actions[i]; a.Category == CategoryApproval && !stage.OnRollback.SkipApprovals {
			gates = append(gates, "the approval "+quoted(a.Name))
		}
	}
	if len(gates) == 0 {
		return nil
	}
	return []Warning{{
		Path:    at,
		Reason:  WarningRollbackWaits,
		Summary: fmt.Sprintf("Automatic rollbacks of stage %s wait", quoted(stage.Name)),
		Message: fmt.Sprintf("%s: an automatic rollback waits for %s; the failed release stays deployed until then; to roll back at once, "+
			"add an on_rollback block with skip_conditions or skip_approvals; to keep it waiting without this warning, add an empty on_rollback block",
			Locate(def, path), enumerate(gates)),
	}}
}

// rollbackResult returns the path of the first result that rolls the stage back, or nil.
func (s *Stage) rollbackResult(path Path) Path {
	switch {
	case s.OnFailure != nil && s.OnFailure.Result == ResultRollback:
		return path.Field("on_failure").Field("result")
	case s.OnFailure != nil && s.OnFailure.Condition != nil && s.OnFailure.Condition.Result == ResultRollback:
		return path.Field("on_failure").Field("condition").Field("result")
	case s.OnSuccess != nil && s.OnSuccess.Result == ResultRollback:
		return path.Field("on_success").Field("result")
	}
	return nil
}

// windows returns the names of the rules of a condition that wait until they open.
func windows(catalog *Catalog, c *Condition) (names []string) {
	for i := range c.Rules {
		if kind, known := catalog.Lookup(c.Rules[i].TypeID()); known && kind.Work == WorkTimed {
			names = append(names, c.Rules[i].Name)
		}
	}
	return names
}

// nothingToSkip returns a warning if skip_conditions has no effect.
func nothingToSkip(def *Definition, catalog *Catalog, path Path, stage *Stage) []Warning {
	if !stage.OnRollback.SkipConditions || stage.BeforeEntry != nil {
		return nil
	}
	for _, kind := range []ConditionKind{ConditionOnSuccess, ConditionOnFailure} {
		c := stage.Condition(kind)
		if c == nil {
			continue
		}
		for i := range c.Rules {
			if kind, known := catalog.Lookup(c.Rules[i].TypeID()); !known || kind.Work == WorkTimed {
				return nil
			}
		}
		if opaqueCondition(c) {
			return nil
		}
	}
	return []Warning{{
		Path:    path.Field("on_rollback").Field("skip_conditions"),
		Reason:  WarningNothingToSkip,
		Summary: fmt.Sprintf("skip_conditions of stage %s has no effect", quoted(stage.Name)),
		Message: fmt.Sprintf("%s: skip_conditions has no effect, since the stage has neither a before_entry condition nor a deployment window",
			Locate(def, path)),
	}}
}

// approvalsBesideWork returns a warning for each approval that seems to guard actions of
// the same run order, which start at the same time.
func approvalsBesideWork(def *Definition, path Path, stage *Stage) []Warning {
	var warnings []Warning
	for i := range stage.Actions {
		approval := &stage.Actions[i]
		if approval.Category != CategoryApproval || approval.RunOrder == UnknownInt {
			continue
		}
		beside := unguarded(stage, approval.Order())
		if len(beside) == 0 {
			continue
		}
		names := enumerate(beside)
		warnings = append(warnings, Warning{
			Path:    path.At("actions", i).Field("run_order"),
			Reason:  WarningApprovalBesideWork,
			Summary: fmt.Sprintf("Approval %s of stage %s does not hold back %s", quoted(approval.Name), quoted(stage.Name), names),
			Message: fmt.Sprintf("%s: %s starts without waiting for the approval, because both have run_order %d; to guard it, give it a higher run_order than the approval",
				Locate(def, path.At("actions", i)), names, approval.Order()),
		})
	}
	return warnings
}

// unguarded returns the names of the actions of a run order that an approval of the same
// run order seems to guard. A build or test may well run beside an approval that guards
// actions of a higher run order.
func unguarded(stage *Stage, order int) []string {
	later := false
	for i := range stage.Actions {
		a := &stage.Actions[i]
		later = later || a.Category != CategoryApproval && (a.Order() > order || a.RunOrder == UnknownInt || opaqueAction(a))
	}
	var names []string
	for i := range stage.Actions {
		a := &stage.Actions[i]
		if opaqueAction(a) || a.RunOrder == UnknownInt || a.Order() != order {
			continue
		}
		switch a.Category {
		case CategoryDeploy, CategoryCompute, CategoryInvoke:
		case CategoryBuild, CategoryTest:
			if later {
				continue
			}
		default:
			continue
		}
		names = append(names, "action "+quoted(a.Name))
	}
	return names
}
