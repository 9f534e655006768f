// Package values converts between Terraform's values and plain ones. The backend
// knows no difference between an empty string or list and a missing one;
// Terraform does. Here is the one place that bridges it: a missing value reads
// back as null, and an empty list stays as the user wrote it.
package values

import (
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"google.golang.org/protobuf/types/known/timestamppb"

	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Text returns the string, empty where it is null and domain.Unknown where its
// value is not known yet.
func Text(value types.String) string {
	if value.IsUnknown() {
		return domain.Unknown
	}
	return value.ValueString()
}

// FromText returns the string, null where it is empty.
func FromText(text string) types.String {
	if text == "" {
		return types.StringNull()
	}
	return types.StringValue(text)
}

// FromTextOr returns the string, or the default where it is empty.
func FromTextOr(text, otherwise string) types.String {
	if text == "" {
		text = otherwise
	}
	return types.StringValue(text)
}

// OptionalText returns nil for null, and domain.Unknown where the value is not
// known yet.
func OptionalText(value types.String) *string {
	if value.IsNull() {
		return nil
	}
	text := Text(value)
	return &text
}

// Whole returns the number, 0 where it is null and domain.UnknownInt where it is
// not known yet.
func Whole(value types.Int64) int {
	if value.IsUnknown() {
		return domain.UnknownInt
	}
	return int(value.ValueInt64())
}

// FromWhole returns the number, null where it is 0.
func FromWhole(number int) types.Int64 {
	if number == 0 {
		return types.Int64Null()
	}
	return types.Int64Value(int64(number))
}

// FromTime returns the time as RFC 3339 in UTC, null where it is absent.
func FromTime(stamp *timestamppb.Timestamp) types.String {
	if stamp == nil {
		return types.StringNull()
	}
	return types.StringValue(stamp.AsTime().UTC().Format(time.RFC3339Nano))
}

// collection is a list or a set.
type collection interface {
	attr.Value
	Elements() []attr.Value
}

// Texts returns the strings of a list or set; none where it is null. An element
// that is not known yet is domain.Unknown, and so is the only element of a list
// that is not known as a whole.
func Texts(collection collection) []string {
	if collection.IsUnknown() {
		return []string{domain.Unknown}
	}
	elements := collection.Elements()
	if len(elements) == 0 {
		return nil
	}
	texts := make([]string, 0, len(elements))
	for _, element := range elements {
		if text, ok := element.(types.String); ok {
			texts = append(texts, Text(text))
		}
	}
	return texts
}

// FromTexts returns a list of the strings. No strings are null, unless prior is
// an empty list: null and empty mean the same to the backend, so what the user
// wrote stays.
func FromTexts(texts []string, prior types.List) types.List {
	if len(texts) == 0 && (prior.IsNull() || prior.IsUnknown() || len(prior.Elements()) > 0) {
		return types.ListNull(types.StringType)
	}
	return types.ListValueMust(types.StringType, strings(texts))
}

// FromTextSet returns a set of the strings, by the rule of FromTexts.
func FromTextSet(texts []string, prior types.Set) types.Set {
	if len(texts) == 0 && (prior.IsNull() || prior.IsUnknown() || len(prior.Elements()) > 0) {
		return types.SetNull(types.StringType)
	}
	return types.SetValueMust(types.StringType, strings(texts))
}

// ListOf returns a list of the strings, empty where there are none.
func ListOf(texts []string) types.List {
	return types.ListValueMust(types.StringType, strings(texts))
}

// TextMap returns the entries of a map; none where it is null. An entry that is null is
// absent, as in providers of the older SDK. A value that is not known yet is
// domain.Unknown, and so is the only key of a map that is not known as a whole.
func TextMap(entries types.Map) map[string]string {
	if entries.IsUnknown() {
		return map[string]string{domain.Unknown: domain.Unknown}
	}
	var texts map[string]string
	for key, element := range entries.Elements() {
		text, ok := element.(types.String)
		if !ok || text.IsNull() {
			continue
		}
		if texts == nil {
			texts = make(map[string]string)
		}
		texts[key] = Text(text)
	}
	return texts
}

// FromTextMap returns a map of the strings, by the rule of FromTexts. Entries of prior
// that are null stay, unless there is a value now.
func FromTextMap(texts map[string]string, prior types.Map) types.Map {
	elements := make(map[string]attr.Value, len(texts))
	for key, element := range prior.Elements() {
		if element.IsNull() {
			elements[key] = element
		}
	}
	for key, text := range texts {
		elements[key] = types.StringValue(text)
	}
	if len(elements) == 0 && (prior.IsNull() || prior.IsUnknown() || len(prior.Elements()) > 0) {
		return types.MapNull(types.StringType)
	}
	return types.MapValueMust(types.StringType, elements)
}

// MapOf returns a map of the strings, empty where there are none.
func MapOf(texts map[string]string) types.Map {
	elements := make(map[string]attr.Value, len(texts))
	for key, text := range texts {
		elements[key] = types.StringValue(text)
	}
	return types.MapValueMust(types.StringType, elements)
}

// TextLists returns a map of lists; none where it is null or not known yet, since
// what it may hold is then open for every key.
func TextLists(lists types.Map) map[string][]string {
	texts := map[string][]string{}
	for key, element := range lists.Elements() {
		if list, ok := element.(types.List); ok {
			texts[key] = Texts(list)
		}
	}
	return texts
}

// FromTextLists returns a map of lists. Keys of prior with an empty list or null stay,
// since these say the same to the backend as no key.
func FromTextLists(texts map[string][]string, prior types.Map) types.Map {
	list := types.ListType{ElemType: types.StringType}
	elements := make(map[string]attr.Value, len(texts))
	for key, element := range prior.Elements() {
		if was, ok := element.(types.List); ok && len(was.Elements()) == 0 && !was.IsUnknown() {
			elements[key] = was
		}
	}
	for key, files := range texts {
		if len(files) > 0 {
			elements[key] = ListOf(files)
		}
	}
	if len(elements) == 0 && (prior.IsNull() || prior.IsUnknown() || len(prior.Elements()) > 0) {
		return types.MapNull(list)
	}
	return types.MapValueMust(list, elements)
}

func strings(texts []string) []attr.Value {
	elements := make([]attr.Value, 0, len(texts))
	for _, text := range texts {
		elements = append(elements, types.StringValue(text))
	}
	return elements
}
