package planning

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
	"github.com/headrace/terraform-provider-headrace/internal/provider/definition"
	"github.com/headrace/terraform-provider-headrace/internal/provider/fieldpath"
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
)

// Declared is what the configuration of an object declares, as the provider validates it.
//
// A server that is newer than the provider, or that has kinds of its own, runs kinds of actions
// and rules that the provider does not know. Offline such a kind is a warning. A plan asks the
// server. The kinds of Headrace itself, and names that are close to a kind that the provider
// knows, are errors without a server.
type Declared struct {
	Definition *domain.Definition
	// Within leads to the object in the definition.
	Within domain.Path
	Shape  fieldpath.Shape
	// Written is as in problem.Reporter.
	Written func(domain.Path) domain.Path
}

// Validate adds what is wrong. The session is nil when Terraform only validates: then no server
// can be asked, and the kinds that the provider does not know are warnings.
func (d Declared) Validate(ctx context.Context, s *session.Session, config tfsdk.Config, diags *diag.Diagnostics) {
	var invalid *domain.ValidationError
	err := domain.Validate(d.Definition, catalog.Builtin())
	if !errors.As(err, &invalid) {
		problem.AddViolations(diags, err, d.Within, d.Shape, d.Written)
		return
	}
	broken := &domain.ValidationError{}
	for _, violation := range invalid.Violations {
		if !d.foreign(ctx, config, violation) {
			broken.Violations = append(broken.Violations, violation)
			continue
		}
		if s == nil {
			place, _, _ := strings.Cut(violation.Message, ": ")
			d.warn(diags, violation, "Type unknown to the provider: "+place,
				"The provider cannot check it, but a newer server, or one with its own types, may support it. The plan asks the server.")
		}
	}
	problem.AddViolations(diags, broken, d.Within, d.Shape, d.Written)
}

// foreign tells whether a violation is about a kind that a server may run.
func (d Declared) foreign(ctx context.Context, config tfsdk.Config, violation domain.Violation) bool {
	if !violation.UnknownKind {
		return false
	}
	at, found := problem.Argument(violation, d.Within, d.Shape, d.Written)
	if !found {
		return false
	}
	var owner types.String
	// The paths of a configuration that holds unknown blocks lead nowhere at worst.
	if config.GetAttribute(ctx, at.ParentPath().AtName("owner"), &owner).HasError() {
		return false
	}
	// A rule without an owner is Headrace's.
	return owner.IsUnknown() || !owner.IsNull() && owner.ValueString() != domain.Owner
}

// warn adds a warning about a kind that the provider does not know.
func (d Declared) warn(diags *diag.Diagnostics, violation domain.Violation, summary, then string) {
	at, _ := problem.Argument(violation, d.Within, d.Shape, d.Written)
	diags.AddAttributeWarning(at, summary, problem.Sentence(violation.Message)+"\n\n"+then)
}

// Foreign returns the violations about kinds that only the server may know.
func (d Declared) Foreign(ctx context.Context, config tfsdk.Config) []domain.Violation {
	var foreign []domain.Violation
	for _, violation := range domain.UnknownKinds(catalog.Builtin(), d.Definition) {
		if d.foreign(ctx, config, violation) {
			foreign = append(foreign, violation)
		}
	}
	return foreign
}

// Answer is what a server said of an object that was sent to it with validate_only.
type Answer struct {
	// Sent tells that a server answered. An object that holds values that are not known yet
	// is not sent.
	Sent bool
	Err  error
}

// Answered adds what the server says about kinds that the provider does not know. An apply may be
// refused for other reasons that do not hold any more then, so only broken rules fail the plan.
// If the server has not checked the object, the kinds are compared with those that it lists for
// the account.
func (d Declared) Answered(
	ctx context.Context, s *session.Session, diags *diag.Diagnostics,
	account string, foreign []domain.Violation, report problem.Reporter, answer Answer,
) {
	if len(foreign) == 0 {
		return
	}
	reason := client.Reason(answer.Err)
	switch {
	case answer.Sent && (answer.Err == nil || checkedBefore(reason)):
		return
	case reason == domain.ReasonInvalidDefinition:
		report.Add(diags, "plan", answer.Err)
		return
	}
	types, listed := s.Types(ctx, account)
	if listed {
		d.compare(diags, foreign, types, report, answer)
		return
	}
	then := "Some values are not known yet, or no server answered."
	if answer.Sent {
		then = problem.Sentence(client.Describe(answer.Err))
	}
	for _, violation := range foreign {
		d.warn(diags, violation, "The apply of "+report.Object+" may be refused: the server has not checked all types", then)
	}
}

// compare refuses the kinds that the types of the server do not have, in the words of the
// server, and warns that the others are checked by the apply.
func (d Declared) compare(
	diags *diag.Diagnostics, foreign []domain.Violation, types *domain.Catalog, report problem.Reporter, answer Answer,
) {
	missing := make(map[string]domain.Violation)
	for _, violation := range domain.UnknownKinds(types, d.Definition) {
		missing[holder(violation)] = violation
	}
	because := "Some values are known only after an apply."
	if answer.Sent {
		because = problem.Sentence(client.Describe(answer.Err))
	}
	for _, violation := range foreign {
		if refused, found := missing[holder(violation)]; found {
			at, _ := problem.Argument(refused, d.Within, d.Shape, d.Written)
			diags.AddAttributeError(at, "Cannot plan "+report.Object, problem.Sentence(refused.Message))
			continue
		}
		at, _ := problem.Argument(violation, d.Within, d.Shape, d.Written)
		place, _, _ := strings.Cut(violation.Message, ": ")
		diags.AddAttributeWarning(at, "Settings that the server checks only at apply: "+place+" ("+report.Object+")",
			"The server runs the type, which the provider does not know, so this plan did not check the settings. "+because)
	}
}

// holder returns the path of the action or the rule whose kind a violation is about.
func holder(violation domain.Violation) string {
	return violation.Path[:len(violation.Path)-1].String()
}

// checkedBefore tells whether a server that refuses a write for a reason has found the
// definition valid before.
func checkedBefore(reason domain.Reason) bool {
	return slices.Contains([]domain.Reason{
		domain.ReasonNotFound, domain.ReasonAlreadyExists, domain.ReasonGuardRequiresAdmin, domain.ReasonNoTransitions,
		domain.ReasonLimitExceeded,
	}, reason)
}

// AskKinds fails a plan where the server does not know a kind that the provider does not know
// either. Only an object with such a kind that is created or changed costs a call, which dry makes
// and which must change nothing.
func AskKinds[Model any](
	ctx context.Context, s *session.Session, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse,
	declared Declared, unchanged bool, report func(Model) problem.Reporter,
	dry func(ctx context.Context, backend *client.Client, planned Model, create bool) error,
) {
	create := request.State.Raw.IsNull() || len(response.RequiresReplace) > 0
	if response.Diagnostics.HasError() || s.Applying() || !create && unchanged {
		return
	}
	foreign := declared.Foreign(ctx, request.Config)
	if len(foreign) == 0 {
		return
	}
	var account types.String
	response.Diagnostics.Append(response.Plan.GetAttribute(ctx, path.Root("account"), &account)...)
	raw, err := definition.Certain(response.Plan.Raw)
	if err != nil || response.Diagnostics.HasError() {
		return // Support has reported it.
	}
	var planned Model
	response.Diagnostics.Append((&tfsdk.Plan{Schema: response.Plan.Schema, Raw: raw}).Get(ctx, &planned)...)
	if response.Diagnostics.HasError() {
		return
	}
	var answer Answer
	if request.Config.Raw.IsFullyKnown() && !account.IsUnknown() {
		answer.Sent, answer.Err = s.Ask(ctx, func(ctx context.Context, backend *client.Client) error {
			return dry(ctx, backend, planned, create)
		})
	}
	declared.Answered(ctx, s, &response.Diagnostics, account.ValueString(), foreign, report(planned), answer)
}
