package approval

// Missing returns the manual approval actions of pipelines that no rule matches. If the
// steps are used up, these are only the first, and it returns false.
func Missing(rules []Rule, pipelines []Outline, steps *Steps) (missing []Guard, complete bool) {
	steps.share(1)
	var manual []*inspection
	for i := range rules {
		if len(rules[i].Stages) > 0 && len(rules[i].Actions) == 0 {
			continue // It guards entries.
		}
		x := newInspection(&rules[i], steps)
		if x.exhausted {
			return nil, false
		}
		manual = append(manual, x)
	}
	for i := range pipelines {
		outline := &pipelines[i]
		of := make([]*inspection, 0, len(manual))
		for _, x := range manual {
			if len(x.matching(x.pipelines, outline.Pipeline)) > 0 {
				of = append(of, x)
			}
		}
		for _, stage := range outline.Stages {
			for _, action := range stage.Manual {
				guarded := false
				for _, x := range of {
					if x.hits(x.stages, stage.Name) && x.hits(x.actions, action) {
						guarded = true
						break
					}
				}
				if !steps.take(1) {
					return missing, false
				}
				if !guarded {
					missing = append(missing, Guard{Pipeline: outline.Pipeline, Part: Part{Stage: stage.Name, Action: action}})
				}
			}
		}
	}
	return missing, true
}

// hits reports whether a field of the rule matches a name, as does one without entries.
func (x *inspection) hits(f *entries, name string) bool {
	return len(f.all) == 0 || len(x.matching(f, name)) > 0
}
