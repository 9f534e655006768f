// Package problem turns what went wrong into diagnostics of Terraform that
// underline the argument at fault and say what to do. It decides nothing else.
package problem

import (
	"context"
	"errors"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/fieldpath"
)

// Reporter adds errors of calls about one object to diagnostics.
type Reporter struct {
	// Object is what the calls are about, as in `pipeline "web"`.
	Object string
	// Message is the field of the requests that holds the object, for instance
	// pipeline: fields of violations begin with it. Empty where the requests hold
	// the object's fields themselves.
	Message string
	// Shape finds the argument of a field of that message.
	Shape fieldpath.Shape
	// Written says where a field is that Terraform writes in another place than
	// the message, before Shape finds the argument. Nil leaves fields where they
	// are.
	Written func(domain.Path) domain.Path
	// Beside finds the argument of a field that the request has beside Message. May be nil.
	Beside func(field string) (path.Path, bool)
}

// Add adds an error of a call. doing is what was tried, as in "update".
func (r Reporter) Add(diags *diag.Diagnostics, doing string, err error) {
	summary := "Cannot " + doing + " " + r.Object
	switch client.Reason(err) {
	case domain.ReasonEtagMismatch:
		if doing == "delete" {
			// Terraform deletes what is no longer declared as the state has it, and saves no
			// refresh of it before.
			diags.AddError(summary, "It was changed by somebody else since this plan was made. It was not deleted. "+
				"Run terraform apply -refresh-only, which shows what they changed, and then plan and apply again.")
			return
		}
		diags.AddError(summary, "It was changed by somebody else since this plan was made. This object was not written. "+
			"Plan and apply again: the new plan shows what they changed.")
	default:
		r.addViolations(diags, summary, err)
	}
}

// Confirmed takes the outcome of the read that confirms a create. The object is in the
// state already and stays there unless a later create was answered with it.
func (r Reporter) Confirmed(ctx context.Context, response *resource.CreateResponse, err error) {
	switch {
	case err == nil, Gone(err), client.Reason(err) == domain.ReasonServerTooOld:
		// An object that is gone is drift, which the next refresh shows. An older server
		// answers no create with the object of another one.
	case client.Reason(err) == domain.ReasonAlreadyExists:
		response.State.RemoveResource(ctx)
		response.Diagnostics.AddError("Cannot create "+r.Object, "It was created, but another configuration with the same token created "+
			"the same object before this apply confirmed it, and owns it now. Declare it in only one of the two.")
	default:
		response.Diagnostics.AddWarning("The creation of "+r.Object+" is not confirmed", "It was created and is in the state, but the "+
			"read that confirms it failed: "+client.Describe(err)+".\n\nUntil it is changed or used, and for at most an hour, another "+
			"configuration with the same token that creates the same object gets this one instead of an error.")
	}
}

// addViolations adds the violations that an error carries, or the error itself
// where it carries none.
func (r Reporter) addViolations(diags *diag.Diagnostics, summary string, err error) {
	violations := client.Violations(err)
	if len(violations) == 0 {
		diags.AddError(summary, client.Describe(err))
		return
	}
	for _, violation := range violations {
		if at, found := r.argument(violation.Field); found {
			diags.AddAttributeError(at, summary, Sentence(violation.Description))
			continue
		}
		detail := Sentence(violation.Description)
		if violation.Field != "" {
			detail = violation.Field + ": " + detail
		}
		diags.AddError(summary, detail)
	}
}

// argument returns the path of the argument that a field of a request is
// written in.
func (r Reporter) argument(field string) (path.Path, bool) {
	if r.Beside != nil {
		if at, found := r.Beside(field); found {
			return at, true
		}
	}
	if r.Message != "" {
		var within bool
		if field, within = strings.CutPrefix(field, r.Message+"."); !within {
			return path.Empty(), false
		}
	}
	fields, err := domain.ParsePath(field)
	if err != nil {
		return path.Empty(), false
	}
	if r.Written != nil {
		fields = r.Written(fields)
	}
	at := r.Shape.Translate(path.Empty(), fields)
	return at, !at.Equal(path.Empty())
}

// Warn adds warnings of the server that tell says are new.
func (r Reporter) Warn(diags *diag.Diagnostics, warnings []*headracev1.Warning, tell func(message string) bool) {
	for _, w := range warnings {
		reason, key := domain.Reason(w.GetReason()), w.GetMessage()
		if domain.WarningSummary(reason) != "" {
			// What is said of a definition does not name the pipeline.
			key = r.Object + ": " + key
		}
		if !tell(key) {
			continue
		}
		summary, detail := r.summary(w)
		if at, found := r.argument(w.GetField()); found {
			diags.AddAttributeWarning(at, summary, detail)
			continue
		}
		diags.AddWarning(summary, detail)
	}
}

// summary splits a warning of the server into summary and detail. The summary has all names,
// since Terraform shows only the first of several warnings with the same summary.
func (r Reporter) summary(w *headracev1.Warning) (summary, detail string) {
	if general := domain.WarningSummary(domain.Reason(w.GetReason())); general != "" {
		// The message begins with the place in the definition.
		place, _, _ := strings.Cut(w.GetMessage(), ": ")
		return in(general+": "+place, r.Object), Sentence(w.GetMessage())
	}
	first, rest, _ := strings.Cut(w.GetMessage(), "; ")
	return strings.TrimSuffix(Sentence(first), "."), Sentence(rest)
}

// in names the object of a summary.
func in(summary, object string) string {
	return summary + " (" + object + ")"
}

// Gone tells whether a part of a composed pipeline is not there any more: it was
// deleted, or the pipeline was replaced by an inline one, which has no parts.
func Gone(err error) bool {
	return client.IsNotFound(err) || client.Reason(err) == domain.ReasonCompositionMismatch
}

// NotRefreshed warns that an object was not read, since the provider's
// configuration is not known yet. The plan goes on with what the state says.
func NotRefreshed(diags *diag.Diagnostics, object string, err error) {
	diags.AddWarning("State of "+object+" is not refreshed", err.Error())
}

// CheckName adds what is wrong with the value of an argument that holds a name.
// A value that is missing or not known yet is right.
func CheckName(
	ctx context.Context, diags *diag.Diagnostics, config tfsdk.Config, argument string, check func(string) error,
) {
	var name types.String
	at := path.Root(argument)
	diags.Append(config.GetAttribute(ctx, at, &name)...)
	if name.IsNull() || name.IsUnknown() {
		return
	}
	if err := check(name.ValueString()); err != nil {
		diags.AddAttributeError(at, "The name breaks a rule", Sentence(err.Error()))
	}
}

// AddViolations adds what the domain's rules say about a definition. Only
// violations below within are added, and within is cut off before the shape
// translates the rest; an error that is no violation is added as it is. written is
// as in Reporter.
func AddViolations(
	diags *diag.Diagnostics, err error, within domain.Path, shape fieldpath.Shape, written func(domain.Path) domain.Path,
) {
	if err == nil {
		return
	}
	var invalid *domain.ValidationError
	if !errors.As(err, &invalid) {
		diags.AddError("The definition cannot be checked", err.Error())
		return
	}
	for _, violation := range invalid.Violations {
		if at, found := Argument(violation, within, shape, written); found {
			diags.AddAttributeError(at, "The definition breaks a rule", Sentence(violation.Message))
		}
	}
}

// Argument returns the argument that breaks a rule, unless it is outside of within. The
// parameters are those of AddViolations.
func Argument(
	violation domain.Violation, within domain.Path, shape fieldpath.Shape, written func(domain.Path) domain.Path,
) (path.Path, bool) {
	if len(violation.Path) < len(within) || !begins(violation.Path, within) {
		return path.Empty(), false
	}
	fields := violation.Path[len(within):]
	if written != nil {
		fields = written(fields)
	}
	return shape.Translate(path.Empty(), fields), true
}

// AddWarnings adds what may surprise in the definition of an object, unless tell says that it
// is not new. written is as in Reporter.
func AddWarnings(
	diags *diag.Diagnostics, object string, warnings []domain.Warning,
	shape fieldpath.Shape, written func(domain.Path) domain.Path, tell func(message string) bool,
) {
	for _, w := range warnings {
		// By the key of Reporter.Warn, so that the server does not repeat it.
		if !tell(object + ": " + w.Message) {
			continue
		}
		diags.AddAttributeWarning(shape.Translate(path.Empty(), written(w.Path)), in(w.Summary, object), Sentence(w.Message))
	}
}

func begins(fields, prefix domain.Path) bool {
	for i, step := range prefix {
		if fields[i] != step {
			return false
		}
	}
	return true
}

// Sentence returns the message with a capital letter, unless it begins with the
// name of an argument or of a variable, and a full stop.
func Sentence(message string) string {
	first, _, _ := strings.Cut(message, " ")
	if first != "" && !strings.ContainsAny(first, "_.") {
		message = strings.ToUpper(message[:1]) + message[1:]
	}
	if message != "" && !strings.ContainsAny(message[len(message)-1:], ".?!") {
		message += "."
	}
	return message
}
