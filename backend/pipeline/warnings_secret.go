package pipeline

import (
	"fmt"
)

// WarningSecretInConfiguration is the reason of a warning about a secret value in the
// configuration of an action.
const WarningSecretInConfiguration Reason = "SECRET_IN_CONFIGURATION" //nolint:gosec // Not a secret.

// secretsInConfiguration returns a warning for each secret value in the configurations of a
// stage's actions.
func secretsInConfiguration(def *Definition, catalog *Catalog, path Path, stage *Stage) []Warning {
	var warnings []Warning
	for i := range stage.Actions {
		a := &stage.Actions[i]
		kind, _ := catalog.Lookup(a.TypeID())
		for _, p := range kind.Properties {
			if _, given := a.Configuration[p.Name]; !given || !p.Secret || p.Instead == "" {
				continue
			}
			path := path.At("actions", i).Entry("configuration", p.Name)
			warnings = append(warnings, Warning{
				Path:    path,
				Reason:  WarningSecretInConfiguration,
				Summary: fmt.Sprintf("%s of action %s is a secret in the configuration", p.Name, quoted(a.Name)),
				Message: fmt.Sprintf("%s: the server seals the value and never returns it, but Terraform keeps it in its state; "+
					"to keep it out, %s", Locate(def, path), p.Instead),
			})
		}
	}
	return warnings
}
