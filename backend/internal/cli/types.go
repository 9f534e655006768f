package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// kind is a type of actions or of rules.
type kind interface {
	proto.Message
	GetId() *headracev1.ActionTypeId
	GetSummary() string
	GetExclusiveProperties() []*headracev1.ExclusiveProperties
	GetInputArtifactDetails() *headracev1.ArtifactDetails
	GetArguments() []headracev1.Argument
	GetDefaultTimeout() *durationpb.Duration
	GetExample() string
}

func (a *app) actionTypeCommand() *cobra.Command {
	list := func(ctx context.Context, c *client.Client) (*headracev1.ListActionTypesResponse, error) {
		all := &headracev1.ListActionTypesResponse{}
		for request := (&headracev1.ListActionTypesRequest{Parent: client.AccountName(c.Account)}); ; {
			page, err := c.Catalog.ListActionTypes(ctx, request)
			if err != nil {
				return nil, err
			}
			all.ActionTypes = append(all.ActionTypes, page.GetActionTypes()...)
			if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
				return all, nil
			}
		}
	}
	return typeCommand(a, "action-type", "action", "Git", list, (*headracev1.ListActionTypesResponse).GetActionTypes, a.showActionType)
}

func (a *app) ruleTypeCommand() *cobra.Command {
	list := func(ctx context.Context, c *client.Client) (*headracev1.ListRuleTypesResponse, error) {
		all := &headracev1.ListRuleTypesResponse{}
		for request := (&headracev1.ListRuleTypesRequest{Parent: client.AccountName(c.Account)}); ; {
			page, err := c.Catalog.ListRuleTypes(ctx, request)
			if err != nil {
				return nil, err
			}
			all.RuleTypes = append(all.RuleTypes, page.GetRuleTypes()...)
			if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
				return all, nil
			}
		}
	}
	return typeCommand(a, "rule-type", "rule", "DeploymentWindow", list, (*headracev1.ListRuleTypesResponse).GetRuleTypes, a.showRuleType)
}

// typeCommand returns the commands of the types of actions, or of rules.
func typeCommand[All proto.Message, Kind kind](
	a *app, use, what, example string,
	list func(context.Context, *client.Client) (All, error), kindsOf func(All) []Kind, show func(Kind),
) *cobra.Command {
	return group(use, fmt.Sprintf("List and show %s types", what), &cobra.Command{
		Use:     "list",
		Short:   fmt.Sprintf("List the %s types that pipelines of the account can use", what),
		Example: "  headrace " + use + " list",
		Args:    cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			all, err := list(ctx, c)
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(all)
			}
			var rows [][]string
			for _, k := range kindsOf(all) {
				rows = append(rows, []string{typeText(k.GetId()), markdownText(k.GetSummary())})
			}
			a.out.table([]string{"TYPE", "SUMMARY"}, rows)
			return nil
		}),
	}, &cobra.Command{
		Use:   "show TYPE",
		Short: fmt.Sprintf("Show the settings of %s type, with an example", article(what)),
		Long: fmt.Sprintf(`Show the settings of %s type, with an example.

TYPE is the provider, CATEGORY/PROVIDER or CATEGORY/OWNER/PROVIDER/VERSION, in upper or
lower case.`, article(what)),
		Example: "  headrace " + use + " show " + example,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			all, err := list(ctx, c)
			if err != nil {
				return err
			}
			k, err := findType(kindsOf(all), what, args[0])
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(k)
			}
			show(k)
			return nil
		}),
	})
}

// typeText returns an id as CATEGORY/OWNER/PROVIDER/VERSION.
func typeText(id *headracev1.ActionTypeId) string {
	return strings.Join([]string{id.GetCategory(), id.GetOwner(), id.GetProvider(), id.GetVersion()}, "/")
}

// findType returns the one type that matches a word.
func findType[Kind kind](kinds []Kind, what, word string) (found Kind, err error) {
	var all, names, matches []string
	for _, k := range kinds {
		id := k.GetId()
		all, names = append(all, typeText(id)), append(names, id.GetProvider())
		for _, name := range []string{id.GetProvider(), id.GetCategory() + "/" + id.GetProvider(), typeText(id)} {
			if strings.EqualFold(name, word) {
				matches, found = append(matches, typeText(id)), k
				break
			}
		}
	}
	switch len(matches) {
	case 1:
		return found, nil
	case 0:
		if near := pipeline.Nearest(word, names); near != "" {
			return found, fmt.Errorf("no %s type is named %q; did you mean %s?", what, word, near)
		}
		return found, fmt.Errorf("no %s type is named %q: the types are %s", what, word, strings.Join(all, ", "))
	default:
		return found, usagef("%q matches several %s types: use one of %s", word, what, strings.Join(matches, ", "))
	}
}

func (a *app) showActionType(t *headracev1.ActionType) {
	a.out.fields(
		"Type", typeText(t.GetId()), "Summary", markdownText(t.GetSummary()), "Default timeout", timeoutText(t.GetDefaultTimeout()),
		"Input artifacts", countText(t.GetInputArtifactDetails()), "Output artifacts", countText(t.GetOutputArtifactDetails()),
		"Arguments", argumentsText(t.GetArguments()), "Revision types", strings.Join(t.GetRevisionTypes(), ", "),
	)
	a.showProperties(t.GetActionConfigurationProperties(), t.GetExclusiveProperties())
	if variables := t.GetOutputVariables(); len(variables) > 0 {
		a.out.linef("\nOutput variables:")
		for _, v := range variables {
			a.out.linef("  %s", oneLine(v.GetName()))
			a.out.linef("    %s", markdownText(v.GetDescription()))
		}
	}
	a.showExample(t.GetExample())
}

func (a *app) showRuleType(t *headracev1.RuleType) {
	skip := "no"
	if t.GetMaySkip() {
		skip = "yes"
	}
	a.out.fields(
		"Type", typeText(t.GetId()), "Summary", markdownText(t.GetSummary()), "Default timeout", timeoutText(t.GetDefaultTimeout()),
		"Input artifacts", countText(t.GetInputArtifactDetails()), "Arguments", argumentsText(t.GetArguments()), "Allows SKIP", skip,
	)
	a.showProperties(t.GetRuleConfigurationProperties(), t.GetExclusiveProperties())
	a.showExample(t.GetExample())
}

func (a *app) showProperties(properties []*headracev1.ConfigurationProperty, exclusive []*headracev1.ExclusiveProperties) {
	if len(properties) == 0 {
		return
	}
	a.out.linef("\nConfiguration:")
	for _, p := range properties {
		facts := []string{enumText(p.GetType(), "CONFIGURATION_PROPERTY_TYPE_")}
		if p.GetRequired() {
			facts = append(facts, "required")
		}
		if p.GetDefaultValue() != "" {
			facts = append(facts, "default "+p.GetDefaultValue())
		}
		if allowed := p.GetAllowedValues(); len(allowed) > 0 {
			facts = append(facts, "one of "+strings.Join(allowed, " "))
		}
		a.out.linef("  %s (%s)", oneLine(p.GetName()), oneLine(strings.Join(facts, ", ")))
		a.out.linef("    %s", markdownText(p.GetDescription()))
	}
	for _, set := range exclusive {
		a.out.linef("  Set at most one of %s.", oneLine(strings.Join(set.GetNames(), ", ")))
	}
}

func (a *app) showExample(example string) {
	a.out.linef("\nExample:")
	for line := range strings.Lines(example) {
		a.out.linef("%s", strings.TrimRight("  "+harmless(line), " \n"))
	}
}

// markdownText returns a sentence of Markdown without backquotes.
func markdownText(text string) string { return oneLine(strings.ReplaceAll(text, "`", "")) }

// timeoutText returns a duration as 1h or 45m.
func timeoutText(d *durationpb.Duration) string {
	if d == nil {
		return ""
	}
	minutes := int64(d.AsDuration() / time.Minute)
	switch {
	case minutes > 0 && minutes%(24*60) == 0:
		return fmt.Sprintf("%d days", minutes/(24*60))
	case minutes > 0 && minutes%60 == 0:
		return fmt.Sprintf("%d h", minutes/60)
	default:
		return d.AsDuration().String()
	}
}

// countText returns how many artifacts a type takes or produces.
func countText(d *headracev1.ArtifactDetails) string {
	switch {
	case d.GetMaximumCount() == 0:
		return "none"
	case d.GetMinimumCount() == d.GetMaximumCount():
		return fmt.Sprint(d.GetMaximumCount())
	default:
		return fmt.Sprintf("%d to %d", d.GetMinimumCount(), d.GetMaximumCount())
	}
}

// argumentsText returns arguments as Terraform names them.
func argumentsText(arguments []headracev1.Argument) string {
	texts := make([]string, len(arguments))
	for i, argument := range arguments {
		switch argument {
		case headracev1.Argument_ARGUMENT_ENVIRONMENT_VARIABLES:
			texts[i] = "environment_variable"
		case headracev1.Argument_ARGUMENT_OUTPUT_FILES:
			texts[i] = "output_artifact_files"
		default:
			texts[i] = enumText(argument, "ARGUMENT_")
		}
	}
	return strings.Join(texts, ", ")
}

// article returns a noun with its indefinite article.
func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}
