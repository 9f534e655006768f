package pipeline_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// base returns a valid definition that uses everything that runs.
func base() *pipeline.Definition {
	region := "eu"
	return &pipeline.Definition{
		Description:   "Builds and ships the web shop",
		ExecutionMode: pipeline.Queued,
		PipelineType:  "V2",
		Variables: []pipeline.Variable{
			{Name: "region", DefaultValue: &region, Description: "Where to deploy"},
			{Name: "ticket"},
		},
		Stages: []pipeline.Stage{
			{Name: "Source", Actions: []pipeline.Action{
				{
					Name: "Checkout", Category: pipeline.CategorySource, Owner: pipeline.Owner, Provider: "Git", Version: "1",
					Configuration:   map[string]string{"RepositoryUrl": "https://example.org/shop.git", "Branch": "main"},
					OutputArtifacts: []pipeline.OutputArtifact{{Name: "Code"}},
					Namespace:       "Src", TimeoutInMinutes: 5, OnLost: pipeline.OnLostRetry,
				},
			}},
			{Name: "Build", Actions: []pipeline.Action{
				{
					Name: "Compile", Category: pipeline.CategoryBuild, Owner: pipeline.Owner, Provider: "Commands", Version: "1",
					Commands: []string{"make build", `echo "version=$COMMIT"`},
					EnvironmentVariables: []pipeline.EnvironmentVariable{
						{Name: "COMMIT", Value: "#{Src.CommitId}"},
						{Name: "RUN", Value: "#{codepipeline.PipelineExecutionId}", Type: "PLAINTEXT"},
					},
					InputArtifacts:  []string{"Code"},
					OutputArtifacts: []pipeline.OutputArtifact{{Name: "Binary", Files: []string{"dist/**", "*.{txt,md}"}}},
					OutputVariables: []string{"VERSION"},
					Namespace:       "Build", RunOrder: 1, TimeoutInMinutes: 1, OnLost: pipeline.OnLostFail,
				},
				{
					Name: "Check", Category: pipeline.CategoryTest, Owner: pipeline.Owner, Provider: "Commands", Version: "1",
					Commands: []string{"make check"}, InputArtifacts: []string{"Code", "Binary"}, RunOrder: 2,
				},
			}},
			{Name: "Deploy", Actions: []pipeline.Action{
				{
					Name: "Agree", Category: pipeline.CategoryApproval, Owner: pipeline.Owner, Provider: "Manual", Version: "1",
					Configuration:    map[string]string{"CustomData": "Ship #{Build.VERSION} for #{variables.ticket}?"},
					TimeoutInMinutes: 60,
				},
				{
					Name: "Install", Category: pipeline.CategoryDeploy, Owner: pipeline.Owner, Provider: "Commands", Version: "1",
					Commands:             []string{"./install.sh"},
					EnvironmentVariables: []pipeline.EnvironmentVariable{{Name: "REGION", Value: "#{variables.region}"}},
					InputArtifacts:       []string{"Binary"}, RunOrder: 2,
				},
			}},
		},
	}
}

func violations(t require.TestingT, err error) []pipeline.Violation {
	if err == nil {
		return nil
	}
	var invalid *pipeline.ValidationError
	require.ErrorAs(t, err, &invalid)
	require.NotEmpty(t, invalid.Violations)
	return invalid.Violations
}

func requireViolation(t *testing.T, err error, path, fragment string) {
	t.Helper()
	for _, v := range violations(t, err) {
		if v.Path.String() == path && strings.Contains(v.Message, fragment) {
			return
		}
	}
	require.Failf(t, "no such violation", "want %s: …%s…\ngot:\n%v", path, fragment, err)
}

func repeat[T any](n int, one func(i int) T) []T {
	list := make([]T, 0, n)
	for i := range n {
		list = append(list, one(i))
	}
	return list
}

func numbered(prefix string) func(int) string {
	return func(i int) string { return fmt.Sprintf("%s%d", prefix, i) }
}

func text(s string) *string { return &s }

func TestValidDefinition(t *testing.T) {
	t.Parallel()
	require.NoError(t, pipeline.Validate(base(), catalog.Builtin()))

	for _, mode := range []pipeline.ExecutionMode{"", pipeline.Superseded, pipeline.Queued, pipeline.Parallel} {
		def := base()
		def.ExecutionMode = mode
		require.NoError(t, pipeline.Validate(def, catalog.Builtin()))
	}
}

func TestNoDefinition(t *testing.T) {
	t.Parallel()
	requireViolation(t, pipeline.Validate(nil, catalog.Builtin()), "", "no definition")
}

func TestAllViolationsAtOnce(t *testing.T) {
	t.Parallel()
	def := base()
	def.Variables[0].Name = "a b"
	def.Stages[1].Actions[0].InputArtifacts = []string{"Cod"}
	def.Stages[2].Name = ""
	err := pipeline.Validate(def, catalog.Builtin())
	requireViolation(t, err, "variables[0].name", `has ' ' in it`)
	requireViolation(t, err, "stages[1].actions[0].input_artifacts[0]", `did you mean "Code"?`)
	requireViolation(t, err, "stages[2].name", "missing")
	require.Len(t, strings.Split(err.Error(), "\n"), len(violations(t, err)))
}

// TestLimitsAreInclusive holds what is as long as it may be.
func TestLimitsAreInclusive(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 1000)
	def := base()
	def.Stages[1].Name = strings.Repeat("s", 100)
	def.Variables[0].Name = strings.Repeat("v", 128)
	def.Variables[0].DefaultValue = &long
	def.Variables[0].Description = strings.Repeat("ä", 200)
	def.Stages[2].Actions[0].Configuration["CustomData"] = strings.Repeat("ä", 50000)
	install := &def.Stages[2].Actions[1]
	install.Commands = repeat(50, func(int) string { return long })
	install.EnvironmentVariables = repeat(10, func(i int) pipeline.EnvironmentVariable {
		return pipeline.EnvironmentVariable{Name: numbered("V")(i), Value: strings.Repeat("x", 2000)}
	})
	install.OutputVariables = repeat(15, numbered("OUT"))
	install.OutputArtifacts = repeat(10, func(i int) pipeline.OutputArtifact {
		return pipeline.OutputArtifact{Name: numbered("Out")(i), Files: repeat(10, numbered("f"))}
	})
	install.RunOrder = 999
	install.TimeoutInMinutes = 86400
	require.NoError(t, pipeline.Validate(def, catalog.Builtin()))
}

type rule struct {
	name   string
	change func(d *pipeline.Definition)
	path   string
	want   string
}

func runRules(t *testing.T, rules []rule) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			def := base()
			r.change(def)
			requireViolation(t, pipeline.Validate(def, catalog.Builtin()), r.path, r.want)
		})
	}
}

func source(d *pipeline.Definition) *pipeline.Action  { return &d.Stages[0].Actions[0] }
func compile(d *pipeline.Definition) *pipeline.Action { return &d.Stages[1].Actions[0] }
func check(d *pipeline.Definition) *pipeline.Action   { return &d.Stages[1].Actions[1] }
func agree(d *pipeline.Definition) *pipeline.Action   { return &d.Stages[2].Actions[0] }
func install(d *pipeline.Definition) *pipeline.Action { return &d.Stages[2].Actions[1] }

func TestDefinitionRules(t *testing.T) {
	t.Parallel()
	type D = pipeline.Definition
	runRules(t, []rule{
		{"description too long", func(d *D) { d.Description = strings.Repeat("x", 1025) }, "description", "at most 1024"},
		{"execution mode", func(d *D) { d.ExecutionMode = "QUEUE" }, "execution_mode", `did you mean "QUEUED"?`},
		{"pipeline type", func(d *D) { d.PipelineType = "V3" }, "pipeline_type", "use one of V1, V2"},
		{"role arn", func(d *D) { d.RoleARN = "admin" }, "role_arn", "not the ARN of an IAM role"},
		{"too many variables", func(d *D) {
			d.Variables = append(d.Variables, repeat(49, func(i int) pipeline.Variable { return pipeline.Variable{Name: numbered("v")(i)} })...)
		}, "variables", "51 variables given; at most 50"},
		{"variable name", func(d *D) { d.Variables[1].Name = "a.b" }, "variables[1].name", `'.' in it`},
		{"variable name too long", func(d *D) { d.Variables[1].Name = strings.Repeat("v", 129) }, "variables[1].name", "129 characters"},
		{"variable twice", func(d *D) { d.Variables[1].Name = "region" }, "variables[1].name", "more than once"},
		{"variable default empty", func(d *D) { d.Variables[0].DefaultValue = text("") }, "variables[0].default_value", "empty"},
		{"variable default too long", func(d *D) { d.Variables[0].DefaultValue = text(strings.Repeat("x", 1001)) }, "variables[0].default_value", "at most 1000"},
		{"variable description too long", func(d *D) { d.Variables[0].Description = strings.Repeat("x", 201) }, "variables[0].description", "at most 200"},

		{"rule 1: one stage", func(d *D) { d.Stages = d.Stages[:1] }, "stages", "1 stage given; at least 2"},
		{"rule 1: too many stages", func(d *D) {
			d.Stages = append(d.Stages, repeat(48, func(i int) pipeline.Stage {
				return pipeline.Stage{Name: numbered("S")(i), Actions: []pipeline.Action{*agree(base())}}
			})...)
		}, "stages", "51 stages given; at most 50"},
		{"rule 1: stage twice", func(d *D) { d.Stages[2].Name = "Build" }, "stages[2].name", `stage "Build" occurs more than once`},
		{"stage name", func(d *D) { d.Stages[1].Name = "a/b" }, "stages[1].name", `'/' in it`},
		{"stage name too long", func(d *D) { d.Stages[1].Name = strings.Repeat("x", 101) }, "stages[1].name", "101 characters"},
		{"stage name of dots", func(d *D) { d.Stages[1].Name = ".." }, "stages[1].name", "choose another"},
		{"stage without actions", func(d *D) { d.Stages[1].Actions = nil }, "stages[1].actions", "at least 1"},
		{"stage with too many actions", func(d *D) {
			d.Stages[2].Actions = repeat(51, func(i int) pipeline.Action {
				a := *agree(base())
				a.Name = numbered("A")(i)
				return a
			})
		}, "stages[2].actions", "51 actions given; at most 50"},
		{"too many actions", func(d *D) {
			d.Stages = append(d.Stages, repeat(25, func(i int) pipeline.Stage {
				return pipeline.Stage{Name: numbered("S")(i), Actions: repeat(40, func(j int) pipeline.Action {
					a := *agree(base())
					a.Name = numbered("A")(j)
					return a
				})}
			})...)
		}, "stages", "at most 1000"},
		{"rule 2: other action beside the source", func(d *D) {
			d.Stages[0].Actions = append(d.Stages[0].Actions, *agree(d))
		}, "stages[0].actions[1].category", `move action "Agree" to a later stage`},
		{"rule 2: no source", func(d *D) { d.Stages = d.Stages[1:] }, "stages[0].actions", "needs a source action"},
		{"rule 3: late source", func(d *D) {
			late := *source(d)
			late.OutputArtifacts, late.Namespace = []pipeline.OutputArtifact{{Name: "More"}}, ""
			d.Stages[2].Actions = append(d.Stages[2].Actions, late)
		}, "stages[2].actions[2].category", "belong in the first stage"},
		{"rule 4: only sources", func(d *D) {
			d.Stages = []pipeline.Stage{d.Stages[0], {Name: "More", Actions: []pipeline.Action{*source(base())}}}
		}, "stages", "only source actions"},
		{"rule 5: action twice", func(d *D) { install(d).Name = "Agree" }, "stages[2].actions[1].name", "unique in a stage"},
	})
}

func TestActionRules(t *testing.T) {
	t.Parallel()
	type D = pipeline.Definition
	runRules(t, []rule{
		{"action name", func(d *D) { compile(d).Name = "a b" }, "stages[1].actions[0].name", `' ' in it`},
		{"action name missing", func(d *D) { compile(d).Name = "" }, "stages[1].actions[0].name", "missing"},
		{"category", func(d *D) { compile(d).Category = "build" }, "stages[1].actions[0].category", `did you mean "Build"?`},
		{"owner missing", func(d *D) { compile(d).Owner = "" }, "stages[1].actions[0].owner", `"Headrace"`},
		{"provider missing", func(d *D) { compile(d).Provider = "" }, "stages[1].actions[0].provider", "missing"},
		{"provider name", func(d *D) { compile(d).Provider = "a.b" }, "stages[1].actions[0].provider", `'.' in it`},
		{"provider too long", func(d *D) { compile(d).Provider = strings.Repeat("x", 36) }, "stages[1].actions[0].provider", "36 characters"},
		{"version missing", func(d *D) { compile(d).Version = "" }, "stages[1].actions[0].version", "missing"},
		{"version too long", func(d *D) { compile(d).Version = "1234567890" }, "stages[1].actions[0].version", "10 characters"},

		{
			"rule 9: foreign owner", func(d *D) { compile(d).Owner, compile(d).Provider = "AWS", "CodeBuild" },
			"stages[1].actions[0].owner", "Build/AWS/CodeBuild/1 is not supported by this version of Headrace",
		},
		{
			"rule 9: the known types are named", func(d *D) { compile(d).Owner = "ThirdParty" },
			"stages[1].actions[0].owner", "use one of Build/Headrace/Commands/1, Approval/Headrace/Manual/1, Compute/Headrace/Commands/1",
		},
		{"rule 9: provider misspelt", func(d *D) { compile(d).Provider = "Command" }, "stages[1].actions[0].provider", `did you mean "Commands"?`},
		{"rule 9: own category first", func(d *D) { compile(d).Provider = "CodeBuild" }, "stages[1].actions[0].provider", "use one of Build/Headrace/Commands/1, "},
		{"rule 9: version unknown", func(d *D) { compile(d).Version = "2" }, "stages[1].actions[0].version", "is not supported"},
		{"rule 9: invoke", func(d *D) { compile(d).Category = pipeline.CategoryInvoke }, "stages[1].actions[0].category", "is not supported"},
		{
			"rule 9: required key", func(d *D) { delete(source(d).Configuration, "RepositoryUrl") },
			`stages[0].actions[0].configuration["RepositoryUrl"]`, "needs the configuration key",
		},
		{
			"unknown key", func(d *D) { source(d).Configuration["Brunch"] = "x" },
			`stages[0].actions[0].configuration["Brunch"]`, `did you mean "Branch"?`,
		},
		{
			"no configuration", func(d *D) { compile(d).Configuration = map[string]string{"ProjectName": "x"} },
			`stages[1].actions[0].configuration["ProjectName"]`, "takes no configuration",
		},
		{
			"exclusive keys", func(d *D) { source(d).Configuration["Tag"] = "v1" },
			`stages[0].actions[0].configuration["Tag"]`, "Branch and Tag cannot both be set",
		},
		{
			"configuration value empty", func(d *D) { source(d).Configuration["Branch"] = "" },
			`stages[0].actions[0].configuration["Branch"]`, "empty",
		},
		{
			"configuration value too long", func(d *D) { source(d).Configuration["Branch"] = strings.Repeat("x", 50001) },
			`stages[0].actions[0].configuration["Branch"]`, "at most 50000",
		},
		{
			"configuration value with NUL", func(d *D) { source(d).Configuration["Branch"] = "a\x00" },
			`stages[0].actions[0].configuration["Branch"]`, "NUL",
		},
		{
			"configuration key too long", func(d *D) { source(d).Configuration[strings.Repeat("k", 51)] = "x" },
			`stages[0].actions[0].configuration["` + strings.Repeat("k", 51) + `"]`, "at most 50",
		},

		{"run order too low", func(d *D) { compile(d).RunOrder = -1 }, "stages[1].actions[0].run_order", "use 1 to 999"},
		{"run order too high", func(d *D) { compile(d).RunOrder = 1000 }, "stages[1].actions[0].run_order", "use 1 to 999"},
		{"no commands", func(d *D) { compile(d).Commands = nil }, "stages[1].actions[0].commands", "needs commands"},
		{"too many commands", func(d *D) { compile(d).Commands = repeat(51, numbered("c")) }, "stages[1].actions[0].commands", "at most 50"},
		{"command empty", func(d *D) { compile(d).Commands[1] = "" }, "stages[1].actions[0].commands[1]", "empty"},
		{"command too long", func(d *D) { compile(d).Commands[1] = strings.Repeat("x", 1001) }, "stages[1].actions[0].commands[1]", "at most 1000"},
		{"command with a Windows line ending", func(d *D) { compile(d).Commands[1] = "make\r" }, "stages[1].actions[0].commands[1]", `carriage return (\r), as in files with Windows line endings`},
		{
			"command of several lines", func(d *D) { compile(d).Commands[1] = "if a; then\n  b\nfi\n" },
			"stages[1].actions[0].commands[1]", `the command has 3 lines, but a command is one line; write an if or a loop on one line, as in "if a; then b; fi"`,
		},
		{"command from a heredoc", func(d *D) { compile(d).Commands[1] = "make\n" }, "stages[1].actions[0].commands[1]", "the command ends in a newline, as the text of a heredoc does; remove it with chomp(text)"},
		{"lines of a file with Windows line endings", func(d *D) { compile(d).Commands[1] = "echo hi\r\necho ho\r\n" }, "stages[1].actions[0].commands[1]", `carriage return (\r), as in files with Windows line endings`},
		{"lines with Windows line endings are several", func(d *D) { compile(d).Commands[1] = "echo hi\r\necho ho\r\n" }, "stages[1].actions[0].commands[1]", "the command has 2 lines"},
		{
			"reference in a command", func(d *D) { compile(d).Commands[1] = "echo #{Src.CommitMessage}" },
			"stages[1].actions[0].commands[1]", `environment_variable with the value "#{Src.CommitMessage}"`,
		},
		{"commands elsewhere", func(d *D) { agree(d).Commands = []string{"true"} }, "stages[2].actions[0].commands", "takes no commands"},

		{"too many environment variables", func(d *D) {
			compile(d).EnvironmentVariables = repeat(11, func(i int) pipeline.EnvironmentVariable {
				return pipeline.EnvironmentVariable{Name: numbered("V")(i), Value: "x"}
			})
		}, "stages[1].actions[0].environment_variables", "at most 10"},
		{"environment name", func(d *D) { compile(d).EnvironmentVariables[0].Name = "1A" }, "stages[1].actions[0].environment_variables[0].name", "not a valid shell variable name"},
		{"environment name missing", func(d *D) { compile(d).EnvironmentVariables[0].Name = "" }, "stages[1].actions[0].environment_variables[0].name", "missing"},
		{"environment name too long", func(d *D) { compile(d).EnvironmentVariables[0].Name = strings.Repeat("X", 129) }, "stages[1].actions[0].environment_variables[0].name", "at most 128"},
		{"environment name reserved", func(d *D) { compile(d).EnvironmentVariables[0].Name = "HEADRACE_TOKEN" }, "stages[1].actions[0].environment_variables[0].name", "reserved for Headrace"},
		{"environment name of the script", func(d *D) { compile(d).EnvironmentVariables[0].Name = "_headrace_n" }, "stages[1].actions[0].environment_variables[0].name", "reserved for Headrace"},
		{"environment name twice", func(d *D) { compile(d).EnvironmentVariables[1].Name = "COMMIT" }, "stages[1].actions[0].environment_variables[1].name", "more than once"},
		{"environment value empty", func(d *D) { compile(d).EnvironmentVariables[0].Value = "" }, "stages[1].actions[0].environment_variables[0].value", `action "Compile", environment variable "COMMIT": the value is empty`},
		{"environment value too long", func(d *D) { compile(d).EnvironmentVariables[0].Value = strings.Repeat("x", 2001) }, "stages[1].actions[0].environment_variables[0].value", "at most 2000"},
		{"environment type", func(d *D) { compile(d).EnvironmentVariables[0].Type = "PLAIN" }, "stages[1].actions[0].environment_variables[0].type", "PLAINTEXT"},
		{"environment elsewhere", func(d *D) {
			agree(d).EnvironmentVariables = []pipeline.EnvironmentVariable{{Name: "A", Value: "b"}}
		}, "stages[2].actions[0].environment_variables", "takes no environment variables"},

		{"output variable name", func(d *D) { compile(d).OutputVariables = []string{"A-B"} }, "stages[1].actions[0].output_variables[0]", "not a valid shell variable name"},
		{"output variable twice", func(d *D) { compile(d).OutputVariables = []string{"A", "A"} }, "stages[1].actions[0].output_variables[1]", "more than once"},
		{"too many output variables", func(d *D) { compile(d).OutputVariables = repeat(16, numbered("V")) }, "stages[1].actions[0].output_variables", "at most 15"},
		{"output variables elsewhere", func(d *D) { source(d).OutputVariables = []string{"A"} }, "stages[0].actions[0].output_variables", "takes no list of output variables"},

		{"namespace", func(d *D) { compile(d).Namespace = "a.b" }, "stages[1].actions[0].namespace", `'.' in it`},
		{"namespace too long", func(d *D) { compile(d).Namespace = strings.Repeat("n", 101) }, "stages[1].actions[0].namespace", "101 characters"},
		{"action role arn", func(d *D) { compile(d).RoleARN = "admin" }, "stages[1].actions[0].role_arn", "not the ARN"},
		{"action region", func(d *D) { compile(d).Region = "Mars 1" }, "stages[1].actions[0].region", "not the name of an AWS region"},
		{"timeout too long", func(d *D) { compile(d).TimeoutInMinutes = 86401 }, "stages[1].actions[0].timeout_in_minutes", "use 1 to 86400"},
		{"timeout negative", func(d *D) { compile(d).TimeoutInMinutes = -5 }, "stages[1].actions[0].timeout_in_minutes", "use 1 to 86400"},
		{"approval timeout too short", func(d *D) { agree(d).TimeoutInMinutes = 4 }, "stages[2].actions[0].timeout_in_minutes", "use 5 to 86400"},
		{"on_lost", func(d *D) { compile(d).OnLost = "again" }, "stages[1].actions[0].on_lost", "use one of fail, retry"},
		{"on_lost of an approval", func(d *D) { agree(d).OnLost = pipeline.OnLostFail }, "stages[2].actions[0].on_lost", "remove on_lost"},
	})
}

// TestCredentialsInRepositoryUrl holds that they are refused, in words that do not
// repeat them.
func TestCredentialsInRepositoryUrl(t *testing.T) {
	t.Parallel()
	validate := func(address string) error {
		def := base()
		source(def).Configuration["RepositoryUrl"] = address
		return pipeline.Validate(def, catalog.Builtin())
	}
	for _, address := range []string{
		"https://ada:horse@example.org/web.git", "https://horse@example.org/web.git", "HTTP://:horse@example.org",
		"https://ada:horse@example.org", "https://ada:ho@rse@example.org/web.git", "https://ada:h/orse@example.org/web.git",
		"https://ada:horse%zz@example.org/", "ssh://git:horse@example.org/web.git", "git+ssh://git:horse@example.org/web.git",
		"git:horse@example.org:web.git", "file://ada:horse@/srv/web.git",
	} {
		err := validate(address)
		requireViolation(t, err, `stages[0].actions[0].configuration["RepositoryUrl"]`, "visible to anyone who can read the pipeline")
		require.NotContains(t, err.Error(), "horse")
	}
	for _, address := range []string{
		"https://example.org/web.git", "https://example.org:8443/@scope/web.git?a=b@c", "ssh://git@example.org:22/web.git",
		"git@example.org:web.git", "git@[::1]:web.git", "example.org:web.git", "/srv/a:b@c/web.git", "file:///srv/a:b@c/web.git",
	} {
		require.NoError(t, validate(address), address)
	}
}

func TestArtifactRules(t *testing.T) {
	t.Parallel()
	type D = pipeline.Definition
	outputs := func(files ...string) func(d *D) {
		return func(d *D) { compile(d).OutputArtifacts[0].Files = files }
	}
	const files = "stages[1].actions[0].output_artifacts[0].files"
	runRules(t, []rule{
		{"input name", func(d *D) { compile(d).InputArtifacts[0] = "a.b" }, "stages[1].actions[0].input_artifacts[0]", `'.' in it`},
		{"input name too long", func(d *D) { compile(d).InputArtifacts[0] = strings.Repeat("a", 101) }, "stages[1].actions[0].input_artifacts[0]", "101 characters"},
		{"input twice", func(d *D) { check(d).InputArtifacts[1] = "Code" }, "stages[1].actions[1].input_artifacts[1]", "listed more than once"},
		{
			"inputs of one variable", func(d *D) { check(d).InputArtifacts = append(check(d).InputArtifacts, "code") }, "stages[1].actions[1].input_artifacts[2]",
			`input artifacts "Code" and "code" share the environment variable HEADRACE_INPUT_CODE`,
		},
		{"output name", func(d *D) { compile(d).OutputArtifacts[0].Name = "a b" }, "stages[1].actions[0].output_artifacts[0].name", `' ' in it`},
		{"output name missing", func(d *D) { compile(d).OutputArtifacts[0].Name = "" }, "stages[1].actions[0].output_artifacts[0].name", "missing"},
		{"too many file patterns", outputs(repeat(11, numbered("f"))...), files, "at most 10"},
		{"file pattern empty", outputs("a", ""), files + "[1]", "empty"},
		{"file pattern too long", outputs(strings.Repeat("x", 129)), files + "[0]", "at most 128"},
		{"file pattern absolute", outputs("/etc/passwd"), files + "[0]", "relative to the work directory"},
		{"file pattern leaves", outputs("dist/../../x"), files + "[0]", `remove ".."`},
		{"file pattern leaves by an alternative", outputs("{dist,../x}/**"), files + "[0]", `remove ".."`},
		{"file pattern with a dot", outputs("./dist/**"), files + "[0]", "only a dot"},
		{"file pattern invalid", outputs("[a"), files + "[0]", "check its brackets"},
		{"file pattern of too many", outputs(strings.Repeat("{,a}", 31)), files + "[0]", "more than 64 patterns"},
		{"files elsewhere", func(d *D) { source(d).OutputArtifacts[0].Files = []string{"*"} }, "stages[0].actions[0].output_artifacts[0].files", "takes no file patterns"},

		{
			"rule 6: output twice", func(d *D) { compile(d).OutputArtifacts[0].Name = "Code" },
			"stages[1].actions[0].output_artifacts[0].name", `also an output of action "Checkout" in stage "Source"`,
		},
		{"rule 6: output twice in one action", func(d *D) {
			compile(d).OutputArtifacts = []pipeline.OutputArtifact{{Name: "Binary"}, {Name: "Binary"}}
		}, "stages[1].actions[0].output_artifacts[1].name", "unique in a pipeline"},
		{
			"rule 7: by nobody", func(d *D) { install(d).InputArtifacts = []string{"Sausage"} },
			"stages[2].actions[1].input_artifacts[0]", `no earlier action produces artifact "Sausage"; earlier artifacts: `,
		},
		{
			"rule 7: near miss", func(d *D) { install(d).InputArtifacts = []string{"binary"} },
			"stages[2].actions[1].input_artifacts[0]", `did you mean "Binary"?`,
		},
		{
			"rule 7: same run order", func(d *D) { check(d).RunOrder = 1 },
			"stages[1].actions[1].input_artifacts[1]", "has the same run_order 1",
		},
		{
			"rule 7: higher run order", func(d *D) { compile(d).RunOrder = 3 },
			"stages[1].actions[1].input_artifacts[1]", `comes only later, from action "Compile" in stage "Build" with run_order 3`,
		},
		{
			"rule 7: later stage", func(d *D) { d.Stages[1], d.Stages[2] = d.Stages[2], d.Stages[1] },
			"stages[1].actions[1].input_artifacts[0]", `comes only later, from action "Compile" in stage "Build"; move`,
		},
		{
			"rule 7: itself", func(d *D) { compile(d).InputArtifacts = []string{"Binary"} },
			"stages[1].actions[0].input_artifacts[0]", "from this action itself",
		},
		{"rule 8: too few outputs", func(d *D) { source(d).OutputArtifacts = nil }, "stages[0].actions[0].output_artifacts", "at least 1"},
		{"rule 8: too many outputs", func(d *D) {
			source(d).OutputArtifacts = append(source(d).OutputArtifacts, pipeline.OutputArtifact{Name: "More"})
		}, "stages[0].actions[0].output_artifacts", "at most 1"},
		{"rule 8: too many inputs", func(d *D) { agree(d).InputArtifacts = []string{"Code"} }, "stages[2].actions[0].input_artifacts", "at most 0"},
	})
}

func TestVariableRules(t *testing.T) {
	t.Parallel()
	type D = pipeline.Definition
	const custom = `stages[2].actions[0].configuration["CustomData"]`
	ask := func(value string) func(d *D) {
		return func(d *D) { agree(d).Configuration["CustomData"] = value }
	}
	runRules(t, []rule{
		{"rule 10: namespace twice", func(d *D) { compile(d).Namespace = "Src" }, "stages[1].actions[0].namespace", `also that of action "Checkout"`},
		{"rule 10: namespace like an artifact", func(d *D) { compile(d).Namespace = "Code" }, "stages[1].actions[0].namespace", "also the name of an output artifact"},
		{"rule 10: variables reserved", func(d *D) { compile(d).Namespace = "variables" }, "stages[1].actions[0].namespace", "reserved"},
		{"rule 10: codepipeline reserved", func(d *D) { compile(d).Namespace = "codepipeline" }, "stages[1].actions[0].namespace", "reserved"},
		{"rule 11: by nobody", ask("#{Srx.CommitId}"), custom, `no earlier action has the namespace "Srx" (did you mean "Src"?); earlier namespaces: Build, Src`},
		{
			"rule 11: later stage", func(d *D) { source(d).Configuration["Branch"] = "#{Build.VERSION}" },
			`stages[0].actions[0].configuration["Branch"]`, `comes only later, from action "Compile"`,
		},
		{"rule 11: same run order", func(d *D) {
			check(d).RunOrder = 1
			check(d).EnvironmentVariables = []pipeline.EnvironmentVariable{{Name: "A", Value: "#{Build.VERSION}"}}
		}, "stages[1].actions[1].environment_variables[0].value", "has the same run_order 1"},
		{"rule 11: unknown key of a type", ask("#{Src.CommitID}"), custom, `publishes no variable "CommitID" (did you mean "CommitId"?); it publishes CommitId, CommitMessage, `},
		{"rule 11: unknown key of commands", ask("#{Build.VERSIO}"), custom, `(did you mean "VERSION"?); list it in the output_variables`},
		{"undeclared variable", ask("#{variables.regio}"), custom, `declares no variable "regio" (did you mean "region"?)`},
		{"unknown execution key", ask("#{codepipeline.PipelineName}"), custom, "the only one is #{codepipeline.PipelineExecutionId}"},
		{
			"variables in a source", func(d *D) { source(d).Configuration["Branch"] = "#{variables.region}" },
			`stages[0].actions[0].configuration["Branch"]`, "may not be used in a source action",
		},
		{"reference without namespace", ask("see #{CommitId} please"), custom, `"#{CommitId}" starts like a reference`},
		{"reference not closed", ask("#{Src.CommitId"), custom, "write #{namespace.key}"},
	})
}

func TestReferenceToActionThatPublishesNothing(t *testing.T) {
	t.Parallel()
	def := base()
	compile(def).OutputVariables = nil
	requireViolation(t, pipeline.Validate(def, catalog.Builtin()),
		`stages[2].actions[0].configuration["CustomData"]`, "list it in the output_variables of that action")
}

// TestTypesOfOthers holds that the rules come from the catalog alone.
func TestTypesOfOthers(t *testing.T) {
	t.Parallel()
	kinds := catalog.Builtin().With(pipeline.Type{
		ID:        pipeline.TypeID{Category: pipeline.CategoryInvoke, Owner: "Test", Provider: "Noop", Version: "1"},
		Work:      pipeline.WorkTurn,
		MinInputs: 1,
		MaxInputs: 1,
		Variables: []pipeline.OutputVariable{{Name: "Answer"}},
	})
	def := base()
	def.Stages[2].Actions = append(def.Stages[2].Actions, pipeline.Action{
		Name: "Noop", Category: pipeline.CategoryInvoke, Owner: "Test", Provider: "Noop", Version: "1", Namespace: "N",
	})
	err := pipeline.Validate(def, kinds)
	requireViolation(t, err, "stages[2].actions[2].input_artifacts", "at least 1")
	require.Len(t, violations(t, err), 1)

	def.Stages[2].Actions[2].InputArtifacts = []string{"Code"}
	def.Stages[2].Actions = append(def.Stages[2].Actions, *agree(base()))
	last := &def.Stages[2].Actions[3]
	last.Name, last.RunOrder, last.Configuration = "Last", 9, map[string]string{"CustomData": "#{N.Answer}"}
	require.NoError(t, pipeline.Validate(def, kinds))
}
