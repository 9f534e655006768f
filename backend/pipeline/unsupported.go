package pipeline

// unsupported refuses, by name, what is part of a definition but is not run by
// this version: leaving it out silently would release something else than what
// was declared. Whoever makes a part run deletes its lines here, nothing more;
// its shape is checked already. Messages call things as people do: the contract has
// artifact_stores where Terraform has artifact_store blocks.
func (c *checker) unsupported() {
	root := Path(nil)
	c.notRun(root.Field("role_arn"), c.def.RoleARN != "" && c.def.RoleARN != Unknown, "IAM roles are not used", "remove role_arn")
	c.notRun(root.Field("pipeline_type"), c.def.PipelineType == "V1", "pipelines of type V1 are not run", "remove pipeline_type or set it to V2")
	for i := range c.def.ArtifactStores {
		c.notRun(root.At("artifact_stores", i), !opaqueStore(&c.def.ArtifactStores[i]), "artifact stores of a pipeline's own are not used", "remove the artifact store")
	}
	for i := range c.def.Triggers {
		c.notRun(root.At("triggers", i), !opaqueTrigger(&c.def.Triggers[i]), "triggers are not run", "remove the trigger and start executions by API or command line")
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
	c.notRun(path.Field("role_arn"), a.RoleARN != "" && a.RoleARN != Unknown, "IAM roles are not used", "remove role_arn")
	c.notRun(path.Field("region"), a.Region != "" && a.Region != Unknown, "actions in AWS regions are not run", "remove region")
	c.unsupportedEnvironment(path, a.EnvironmentVariables)
}

func (c *checker) unsupportedRules(path Path, condition *Condition) {
	if condition == nil {
		return
	}
	for i := range condition.Rules {
		rule := &condition.Rules[i]
		path := path.At("rules", i)
		c.notRun(path.Field("provider"), ruleNeedsAWS(rule.Provider), "rules of "+rule.Provider+" need AWS and are not run",
			"use a rule of Commands that asks the service, or another provider")
		c.notRun(path.Field("role_arn"), rule.RoleARN != "" && rule.RoleARN != Unknown, "IAM roles are not used", "remove role_arn")
		c.notRun(path.Field("region"), rule.Region != "" && rule.Region != Unknown, "rules in AWS regions are not run", "remove region")
		c.unsupportedEnvironment(path, rule.EnvironmentVariables)
	}
}

func (c *checker) unsupportedEnvironment(path Path, variables []EnvironmentVariable) {
	for i := range variables {
		c.notRun(path.At("environment_variables", i).Field("type"), variables[i].Type == typeSecretsManager,
			"secrets of AWS Secrets Manager are not fetched", "use type PLAINTEXT for values that are not secret")
	}
}

func (c *checker) notRun(path Path, declared bool, what, remedy string) {
	if declared {
		c.refuse(path, "%s by this version of Headrace; %s", what, remedy)
	}
}
