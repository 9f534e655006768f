package pipeline

import (
	"fmt"
	"slices"
	"strings"
)

// Example returns an action or a rule of a type as a block of Terraform's language, with
// the properties that have an example. Of properties that cannot both be set it sets the
// first.
func (t *Type) Example() string {
	var b strings.Builder
	isRule := t.ID.Category == CategoryRule
	arguments := []assignment{{"name", quoteTerraform(t.exampleName())}}
	if isRule {
		b.WriteString("rule {\n")
	} else {
		b.WriteString("action {\n")
		arguments = append(arguments, assignment{"category", quoteTerraform(string(t.ID.Category))}, assignment{"owner", quoteTerraform(t.ID.Owner)},
			assignment{"provider", quoteTerraform(t.ID.Provider)}, assignment{"version", quoteTerraform(t.ID.Version)})
	}
	if t.MinInputs > 0 || t.MaxInputs > 0 && t.Takes.Has(TakesCommands) {
		arguments = append(arguments, assignment{"input_artifacts", `["source"]`})
	}
	if t.MinOutputs > 0 {
		arguments = append(arguments, assignment{"output_artifacts", `["source"]`})
	}
	if t.Takes.Has(TakesCommands) {
		arguments = append(arguments, assignment{"commands", `["make test"]`})
	}
	writeAssignments(&b, "  ", arguments)
	if isRule {
		fmt.Fprintf(&b, "\n  rule_type_id {\n    provider = %s\n  }\n", quoteTerraform(t.ID.Provider))
	}
	var configuration []assignment
	for _, p := range t.Configurable() {
		excluded := slices.ContainsFunc(t.Exclusive, func(set []string) bool { return slices.Index(set, p.Name) > 0 })
		if p.Example != "" && !excluded {
			configuration = append(configuration, assignment{p.Name, quoteTerraform(p.Example)})
		}
	}
	if len(configuration) > 0 {
		b.WriteString("\n  configuration = {\n")
		writeAssignments(&b, "    ", configuration)
		b.WriteString("  }\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// exampleName names an action or a rule after its type. Commands are named for what they
// are for.
func (t *Type) exampleName() string {
	if t.Takes.Has(TakesCommands) && t.ID.Category != CategoryRule {
		return string(t.ID.Category)
	}
	return t.ID.Provider
}

// assignment is an argument and its value, as Terraform writes it.
type assignment struct{ name, value string }

// writeAssignments aligns the values, as terraform fmt does.
func writeAssignments(b *strings.Builder, indent string, assignments []assignment) {
	width := 0
	for _, a := range assignments {
		width = max(width, len(a.name))
	}
	for _, a := range assignments {
		fmt.Fprintf(b, "%s%-*s = %s\n", indent, width, a.name, a.value)
	}
}

// quoteTerraform returns a text as Terraform reads it.
func quoteTerraform(text string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(fmt.Sprintf("%q", text))
}
