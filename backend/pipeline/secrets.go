package pipeline

import "slices"

// SecretUse is an environment variable whose value is a secret.
type SecretUse struct {
	// Path is that of the value.
	Path Path
	// Secret is the name of the secret.
	Secret string
}

// SecretUses returns the uses of secrets in a definition, in its order. Those whose name is
// not known yet are left out.
func SecretUses(def *Definition) []SecretUse {
	var uses []SecretUse
	add := func(path Path, variables []EnvironmentVariable) {
		for i := range variables {
			if v := &variables[i]; v.Type == EnvironmentSecret && v.Value != Unknown {
				uses = append(uses, SecretUse{Path: path.At("environment_variables", i).Field("value"), Secret: v.Value})
			}
		}
	}
	for i := range def.Stages {
		path, stage := Path(nil).At("stages", i), &def.Stages[i]
		for j := range stage.Actions {
			add(path.At("actions", j), stage.Actions[j].EnvironmentVariables)
		}
		for _, c := range conditionsAt(stage, path) {
			for j := range c.Rules {
				add(c.path.At("rules", j), c.Rules[j].EnvironmentVariables)
			}
		}
	}
	return uses
}

// SecretNames returns the names of the secrets of environment variables, each once.
func SecretNames(variables []EnvironmentVariable) []string {
	var names []string
	for i := range variables {
		if v := &variables[i]; v.Type == EnvironmentSecret && !slices.Contains(names, v.Value) {
			names = append(names, v.Value)
		}
	}
	return names
}
