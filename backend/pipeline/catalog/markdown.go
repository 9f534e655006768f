package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Page is the documentation of types that differ only in their category.
type Page struct {
	Types []pipeline.Type
}

// Pages returns the pages of types, sorted by the first type of each page.
func Pages(types []pipeline.Type) []Page {
	var pages []Page
	for _, t := range types {
		same := slices.IndexFunc(pages, func(p Page) bool { return alike(p.Types[0], t) })
		if same < 0 {
			pages = append(pages, Page{Types: []pipeline.Type{t}})
			continue
		}
		pages[same].Types = append(pages[same].Types, t)
	}
	return pages
}

// alike reports whether two types may share a page.
func alike(a, b pipeline.Type) bool {
	if (a.ID.Category == pipeline.CategoryRule) != (b.ID.Category == pipeline.CategoryRule) {
		return false
	}
	a.ID.Category = b.ID.Category
	return a.ID == b.ID && a.Summary == b.Summary
}

// Name returns the name of the page's file, without its extension.
func (p Page) Name() string {
	id := p.Types[0].ID
	words := []string{p.noun()}
	if id.Owner != pipeline.Owner {
		words = append(words, id.Owner)
	}
	words = append(words, id.Provider)
	if id.Version != "1" {
		words = append(words, id.Version)
	}
	name := strings.Map(func(r rune) rune {
		if r == '-' || r == '.' {
			return '_'
		}
		return r
	}, strings.Join(words, "_"))
	return strings.ToLower(name)
}

// noun returns "rule" or "action".
func (p Page) noun() string {
	if p.rules() {
		return "rule"
	}
	return "action"
}

func (p Page) rules() bool { return p.Types[0].ID.Category == pipeline.CategoryRule }

// Title returns the heading of the page.
func (p Page) Title() string {
	return p.Types[0].ID.Provider + " " + p.noun() + "s"
}

// Group returns the heading of all pages of the same kind.
func (p Page) Group() string {
	if p.rules() {
		return "Rule types"
	}
	return "Action types"
}

// Markdown returns the body of the page, with an example in HCL.
func (p Page) Markdown(example string) string {
	t := &p.Types[0]
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n\n## Example\n\n```terraform\n%s\n```\n\n## Reference\n\n", p.Title(), t.Summary, strings.TrimSpace(example))
	table(&b, []string{"Setting", "Value"}, p.facts())
	p.properties(&b)
	if len(t.Variables) > 0 || t.Takes.Has(pipeline.TakesOutputVariables) {
		b.WriteString("\n## Output variables\n\n")
		if t.Takes.Has(pipeline.TakesOutputVariables) {
			b.WriteString("The action publishes the environment variables that `output_variables` names.\n")
		}
		var rows [][]string
		for _, v := range t.Variables {
			rows = append(rows, []string{"`" + v.Name + "`", v.Description})
		}
		table(&b, []string{"Name", "Description"}, rows)
	}
	if len(t.Overrides) > 0 {
		b.WriteString("\n## Revision overrides\n\nThe start of an execution can override the revision.\n\n")
		var rows [][]string
		for _, kind := range slices.Sorted(maps.Keys(t.Overrides)) {
			key := "`" + t.Overrides[kind] + "`"
			if property, ok := t.Property(t.Overrides[kind]); ok && property.OverrideOnly {
				key = property.Description
			}
			rows = append(rows, []string{"`" + kind + "`", key})
		}
		table(&b, []string{"Revision type", "What it sets"}, rows)
	}
	return b.String()
}

// facts returns what the page says about the types besides their properties.
func (p Page) facts() [][]string {
	t := &p.Types[0]
	ids := make([]string, len(p.Types))
	for i := range p.Types {
		ids[i] = "`" + p.Types[i].ID.String() + "`"
	}
	rows := [][]string{{"Type", strings.Join(ids, ", ")}, {"How it runs", workText(t.Work, p.noun())}}
	if t.DefaultTimeout > 0 {
		rows = append(rows, []string{"`timeout_in_minutes`", "Defaults to " + minutes(t.DefaultTimeout) + "."})
	}
	if t.Work == pipeline.WorkAttempt && !p.rules() {
		rows = append(rows, []string{"`on_lost`", "Defaults to `" + string(t.OnLost) + "`."})
	}
	rows = append(rows, []string{"Input artifacts", between(t.MinInputs, t.MaxInputs)})
	if !p.rules() {
		rows = append(rows, []string{"Output artifacts", between(t.MinOutputs, t.MaxOutputs)})
	}
	rows = append(rows, []string{"Other arguments", takesText(t.Takes)})
	if p.rules() {
		may := "No."
		if t.MaySkip {
			may = "Yes."
		}
		rows = append(rows, []string{"Allows the result `SKIP`", may})
	}
	return rows
}

// properties writes the keys of the configuration.
func (p Page) properties(b *strings.Builder) {
	t := &p.Types[0]
	b.WriteString("\n## Configuration\n\n")
	if len(t.Configurable()) == 0 {
		fmt.Fprintf(b, "The %s has no configuration.\n", p.noun())
		return
	}
	var rows [][]string
	for _, property := range t.Configurable() {
		required := "no"
		if property.Required {
			required = "yes"
		}
		description := property.Description
		if len(property.Allowed) > 0 {
			description += " One of " + codes(property.Allowed) + "."
		}
		if property.Default != "" {
			description += " Defaults to `" + property.Default + "`."
		}
		if property.Example != "" {
			description += " For example `" + property.Example + "`."
		}
		rows = append(rows, []string{"`" + property.Name + "`", typeText(property.Type), required, description})
	}
	table(b, []string{"Name", "Type", "Required", "Description"}, rows)
	for _, set := range t.Exclusive {
		fmt.Fprintf(b, "\nAt most one of %s may be set.\n", codes(set))
	}
}

func typeText(t pipeline.PropertyType) string {
	if t == "" {
		return string(pipeline.PropertyString)
	}
	return string(t)
}

// workText describes a kind of work for users.
func workText(work pipeline.Work, noun string) string {
	switch work {
	case pipeline.WorkTurn:
		return "The server starts the work in a service and polls it until it finishes."
	case pipeline.WorkAttempt:
		return "A runner runs it as a process."
	case pipeline.WorkApproval:
		return "The server waits for an approval. Nothing runs."
	case pipeline.WorkImmediate:
		return "The server decides it immediately."
	case pipeline.WorkTimed:
		return "The server waits until the " + noun + " is met. Nothing runs."
	}
	return ""
}

// takesText lists the arguments besides the configuration.
func takesText(takes pipeline.Takes) string {
	var arguments []string
	for _, each := range []struct {
		takes pipeline.Takes
		name  string
	}{
		{pipeline.TakesCommands, "commands"},
		{pipeline.TakesEnvironment, "environment_variable"},
		{pipeline.TakesOutputVariables, "output_variables"},
		{pipeline.TakesOutputFiles, "output_artifact_files"},
		{pipeline.TakesRole, "role_arn"},
		{pipeline.TakesRegion, "region"},
	} {
		if takes.Has(each.takes) {
			arguments = append(arguments, each.name)
		}
	}
	if len(arguments) == 0 {
		return "None."
	}
	return codes(arguments)
}

func between(least, most int) string {
	switch {
	case most == 0:
		return "None."
	case least == most:
		return strconv.Itoa(most)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

// minutes returns a timeout in minutes, as the argument takes it, and also in days if it is long.
func minutes(d time.Duration) string {
	const day = 24 * time.Hour
	text := strconv.Itoa(int(d / time.Minute))
	if d >= day && d%day == 0 {
		text += fmt.Sprintf(" (%d days)", d/day)
	}
	return text
}

func codes(words []string) string { return "`" + strings.Join(words, "`, `") + "`" }

// table writes rows, unless there are none.
func table(b *strings.Builder, head []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	line := func(cells []string) {
		for _, cell := range cells {
			b.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
		}
		b.WriteString("|\n")
	}
	line(head)
	b.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, row := range rows {
		line(row)
	}
}

// ConfigurationText lists the configuration keys of some types, with links from the page of a
// resource to the pages of the types.
func ConfigurationText(pages []Page) string {
	var sentences []string
	for _, page := range pages {
		t := &page.Types[0]
		properties := t.Configurable()
		names := make([]string, len(properties))
		for i, property := range properties {
			names[i] = "`" + property.Name + "`"
			if property.Required {
				names[i] += " (required)"
			}
		}
		takes := "no settings"
		if len(names) > 0 {
			takes = strings.Join(names, ", ")
		}
		sentences = append(sentences, fmt.Sprintf("[`%s`](../guides/%s.md) takes %s.", t.ID.Provider, page.Name(), takes))
	}
	return strings.Join(sentences, " ")
}

// ProvidersText lists the providers of some types, with their categories if they are actions.
func ProvidersText(pages []Page) string {
	var words []string
	for _, page := range pages {
		word := "`" + page.Types[0].ID.Provider + "`"
		if !page.rules() {
			var categories []string
			for _, t := range page.Types {
				categories = append(categories, string(t.ID.Category))
			}
			word += " (" + codes(categories) + ")"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// TimeoutsText lists the default timeouts of some types, in minutes.
func TimeoutsText(pages []Page) string {
	var words []string
	for _, page := range pages {
		if t := page.Types[0]; t.DefaultTimeout > 0 {
			words = append(words, minutes(t.DefaultTimeout)+" for `"+t.ID.Provider+"`")
		}
	}
	return strings.Join(words, ", ")
}

// OnLostText lists what happens to actions of some types if their runner is lost.
func OnLostText(pages []Page) string {
	var words []string
	for _, page := range pages {
		if t := page.Types[0]; t.Work == pipeline.WorkAttempt {
			words = append(words, "`"+string(t.OnLost)+"` for `"+t.ID.Provider+"`")
		}
	}
	return strings.Join(words, ", ")
}
