package definition

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Located returns the blocks with validators that say in which stage, action, rule or
// variable the argument is. Where a dynamic block makes the argument, Terraform shows a
// path that counts blocks, and the line of another block.
func Located(blocks map[string]schema.Block) map[string]schema.Block {
	return mapped(blocks, func(block schema.Block) schema.Block {
		list, ok := block.(schema.ListNestedBlock)
		if !ok {
			return block
		}
		list.Validators = wrapped(list.Validators, func(v validator.List) validator.List { return locatedList{v} })
		list.NestedObject.Blocks = Located(list.NestedObject.Blocks)
		list.NestedObject.Attributes = mapped(list.NestedObject.Attributes, locatedAttribute)
		return list
	})
}

func locatedAttribute(attribute schema.Attribute) schema.Attribute {
	switch a := attribute.(type) {
	case schema.StringAttribute:
		a.Validators = wrapped(a.Validators, func(v validator.String) validator.String { return locatedString{v} })
		return a
	case schema.Int64Attribute:
		a.Validators = wrapped(a.Validators, func(v validator.Int64) validator.Int64 { return locatedInt64{v} })
		return a
	}
	return attribute
}

func mapped[V any](entries map[string]V, change func(V) V) map[string]V {
	entries = maps.Clone(entries)
	for name, value := range entries {
		entries[name] = change(value)
	}
	return entries
}

func wrapped[V any](validators []V, wrap func(V) V) []V {
	validators = slices.Clone(validators)
	for i, v := range validators {
		validators[i] = wrap(v)
	}
	return validators
}

type (
	locatedString struct{ validator.String }
	locatedInt64  struct{ validator.Int64 }
	locatedList   struct{ validator.List }
)

// ValidateString implements validator.String.
func (v locatedString) ValidateString(ctx context.Context, request validator.StringRequest, response *validator.StringResponse) {
	v.String.ValidateString(ctx, request, response)
	response.Diagnostics = locate(ctx, request.Config, request.Path, response.Diagnostics)
}

// ValidateInt64 implements validator.Int64.
func (v locatedInt64) ValidateInt64(ctx context.Context, request validator.Int64Request, response *validator.Int64Response) {
	v.Int64.ValidateInt64(ctx, request, response)
	response.Diagnostics = locate(ctx, request.Config, request.Path, response.Diagnostics)
}

// ValidateList implements validator.List.
func (v locatedList) ValidateList(ctx context.Context, request validator.ListRequest, response *validator.ListResponse) {
	v.List.ValidateList(ctx, request, response)
	response.Diagnostics = locate(ctx, request.Config, request.Path, response.Diagnostics)
}

// locate puts the names of the blocks that hold an argument in front of what is said
// about it.
func locate(ctx context.Context, config tfsdk.Config, at path.Path, diags diag.Diagnostics) diag.Diagnostics {
	where := blockNames(ctx, config, at)
	if where == "" {
		return diags
	}
	var named diag.Diagnostics
	for _, d := range diags {
		named.Append(diag.WithPath(at, diag.NewErrorDiagnostic(d.Summary(), where+": "+d.Detail())))
	}
	return named
}

// blockNames returns the names of the named blocks that a path leads through, from the
// outside in, as pipeline.Locate does for the paths of the domain.
func blockNames(ctx context.Context, config tfsdk.Config, at path.Path) string {
	var words []string
	within, kind := path.Empty(), ""
	for _, step := range at.Steps() {
		switch step := step.(type) {
		case path.PathStepAttributeName:
			kind = string(step)
			within = within.AtName(kind)
		case path.PathStepElementKeyInt:
			within = within.AtListIndex(int(step))
			var name types.String
			if config.GetAttribute(ctx, within.AtName("name"), &name).HasError() {
				// These blocks have no names.
				continue
			}
			kind = strings.ReplaceAll(kind, "_", " ")
			if text := name.ValueString(); text != "" {
				words = append(words, fmt.Sprintf("%s %q", kind, text))
			} else {
				words = append(words, fmt.Sprintf("%s %d", kind, int(step)+1))
			}
		}
	}
	if len(words) > 0 {
		words[0] = strings.ToUpper(words[0][:1]) + words[0][1:]
	}
	return strings.Join(words, ", ")
}
