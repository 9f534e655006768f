package pipeline

import "fmt"

// WarningApprovalBesideWork is the reason of a warning about an approval whose run order
// other actions have, too.
const WarningApprovalBesideWork Reason = "APPROVAL_BESIDE_WORK"

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

// Warnings returns what may surprise in a valid definition, which may be partly unknown
// as for Validate.
func Warnings(def *Definition) []Warning {
	var warnings []Warning
	for i := range def.Stages {
		warnings = append(warnings, approvalsBesideWork(def, Path(nil).At("stages", i), &def.Stages[i])...)
	}
	return warnings
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
			Message: fmt.Sprintf("%s: %s starts without waiting for the approval, since both have the run_order %d; to guard it, give it a higher run_order than the approval",
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
