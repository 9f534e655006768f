package pipeline

// unsupported refuses, by name, parts of a definition that this version does not support:
// ignoring one would release something other than what was declared. A change that supports
// a part deletes its lines here; its shape is checked already. Messages use the words of
// Terraform, such as artifact_store where the contract has artifact_stores.
func (c *checker) unsupported() {
	root := Path(nil)
	c.notSupported(root.Field("role_arn"), c.def.RoleARN != "" && c.def.RoleARN != Unknown, "role_arn is", "remove role_arn")
	c.notSupported(root.Field("pipeline_type"), c.def.PipelineType == PipelineTypeV1, "pipelines of type V1 are", "remove pipeline_type or set it to V2")
	for i := range c.def.ArtifactStores {
		c.notSupported(root.At("artifact_stores", i), !opaqueStore(&c.def.ArtifactStores[i]), "artifact_store is", "remove the artifact store")
	}
	for i := range c.def.Stages {
		stage := &c.def.Stages[i]
		path := root.At("stages", i)
		c.unsupportedRules(path.Field("before_entry"), stage.BeforeEntry)
		c.unsupportedRules(path.Field("on_success"), stage.OnSuccess)
		c.unsupportedRules(path.Field("on_failure").Field("condition"), stage.Condition(ConditionOnFailure))
		for j := range stage.Actions {
			c.unsupportedAction(path.At("actions", j), &stage.Actions[j])
		}
	}
}

func (c *checker) unsupportedAction(path Path, a *Action) {
	if _, known := c.catalog.Lookup(a.TypeID()); !known {
		// Where its kind is known, more may be.
		return
	}
	c.unsupportedEnvironment(path, a.EnvironmentVariables)
}

func (c *checker) unsupportedRules(path Path, condition *Condition) {
	if condition == nil {
		return
	}
	for i := range condition.Rules {
		rule := &condition.Rules[i]
		path := path.At("rules", i)
		if _, known := c.catalog.Lookup(rule.TypeID()); !known {
			// Where its kind is known, more may be.
			continue
		}
		c.unsupportedEnvironment(path, rule.EnvironmentVariables)
	}
}

func (c *checker) unsupportedEnvironment(path Path, variables []EnvironmentVariable) {
	for i := range variables {
		c.notSupported(path.At("environment_variables", i).Field("type"), variables[i].Type == EnvironmentSecretsManager,
			"environment variables of type SECRETS_MANAGER are", "create a headrace_secret and use type SECRET with its name")
	}
}

func (c *checker) notSupported(path Path, declared bool, what, remedy string) {
	if declared {
		c.refuse(path, "%s not supported by this version of Headrace; %s", what, remedy)
	}
}
