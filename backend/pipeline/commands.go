package pipeline

// CommandUses returns the paths of the actions and rules that run commands.
func CommandUses(def *Definition) []Path {
	var uses []Path
	for i := range def.Stages {
		path, stage := Path(nil).At("stages", i), &def.Stages[i]
		for j := range stage.Actions {
			if len(stage.Actions[j].Commands) > 0 {
				uses = append(uses, path.At("actions", j))
			}
		}
		for _, c := range conditionsAt(stage, path) {
			for j := range c.Rules {
				if len(c.Rules[j].Commands) > 0 {
					uses = append(uses, c.path.At("rules", j))
				}
			}
		}
	}
	return uses
}
