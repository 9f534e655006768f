package definition

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// identifying returns the attributes, one of which names a block that can occur
// many times. The domain takes a block that has nothing but an unknown name for
// any number of blocks.
func identifying() []string {
	return []string{"name", "location", "provider_type", "result"}
}

// Decode returns the configuration as a model, in which blocks may be unknown.
func Decode[M any](ctx context.Context, diags *diag.Diagnostics, config tfsdk.Config) (M, bool) {
	var decoded M
	raw, err := maskUnknownBlocks(config.Raw)
	if err != nil {
		diags.AddError("The configuration cannot be checked", err.Error())
		return decoded, false
	}
	found := (&tfsdk.Config{Schema: config.Schema, Raw: raw}).Get(ctx, &decoded)
	diags.Append(found...)
	return decoded, !found.HasError()
}

// maskUnknownBlocks returns the configuration with every list of blocks that is not
// known yet, as dynamic blocks over unknown values make them, replaced by one
// block that stands for any number. What is left fits into the models.
func maskUnknownBlocks(config tftypes.Value) (tftypes.Value, error) {
	return replaceUnknown(config, func(object tftypes.Object) []tftypes.Value { return []tftypes.Value{opaque(object)} })
}

// Certain returns the configuration without the lists of blocks that are not known yet,
// which may turn out to be empty.
func Certain(config tftypes.Value) (tftypes.Value, error) {
	return replaceUnknown(config, func(tftypes.Object) []tftypes.Value { return nil })
}

func replaceUnknown(config tftypes.Value, elements func(tftypes.Object) []tftypes.Value) (tftypes.Value, error) {
	replaced, err := tftypes.Transform(config, func(_ *tftypes.AttributePath, value tftypes.Value) (tftypes.Value, error) {
		list, object, isBlocks := blocks(value.Type())
		if !isBlocks || value.IsKnown() {
			return value, nil
		}
		return tftypes.NewValue(list, elements(object)), nil
	})
	if err != nil {
		return tftypes.Value{}, fmt.Errorf("prepare a configuration with unknown blocks: %w", err)
	}
	return replaced, nil
}

// blocks tells whether a type is a list of blocks, and of which.
func blocks(typ tftypes.Type) (tftypes.List, tftypes.Object, bool) {
	list, isList := typ.(tftypes.List)
	if !isList {
		return tftypes.List{}, tftypes.Object{}, false
	}
	object, isObject := list.ElementType.(tftypes.Object)
	return list, object, isObject
}

// opaque returns a block that stands for any number of blocks.
func opaque(object tftypes.Object) tftypes.Value {
	fields := make(map[string]tftypes.Value, len(object.AttributeTypes))
	for name, typ := range object.AttributeTypes {
		fields[name] = tftypes.NewValue(typ, nil)
	}
	for _, name := range identifying() {
		if typ, has := object.AttributeTypes[name]; has {
			fields[name] = tftypes.NewValue(typ, tftypes.UnknownValue)
			return tftypes.NewValue(object, fields)
		}
	}
	for name, typ := range object.AttributeTypes {
		if list, inner, isBlocks := blocks(typ); isBlocks {
			fields[name] = tftypes.NewValue(list, []tftypes.Value{opaque(inner)})
			continue
		}
		fields[name] = tftypes.NewValue(typ, tftypes.UnknownValue)
	}
	return tftypes.NewValue(object, fields)
}
