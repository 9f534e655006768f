package pipelinepb

import (
	"math"
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// refused is a text that no rule of a definition allows.
const refused = "\x00"

// known returns the text of a message. Nothing on the wire may pass for
// pipeline.Unknown, to which the validator gives the benefit of the doubt: it
// becomes a text that is refused.
func known(text string) string {
	if text == pipeline.Unknown {
		return refused
	}
	return text
}

// knownInt is known for numbers.
func knownInt(n int32) int {
	if n == pipeline.UnknownInt {
		return pipeline.UnknownInt + 1
	}
	return int(n)
}

func knownOptional(text *string) *string {
	if text == nil {
		return nil
	}
	value := known(*text)
	return &value
}

func knownList(list []string) []string {
	return convert(list, known)
}

func knownMap(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	entries := make(map[string]string, len(m))
	for key, value := range m {
		entries[known(key)] = known(value)
	}
	return entries
}

// convert returns the converted elements, and nil of an empty list, since the
// wire knows no difference.
func convert[From, To any](list []From, one func(From) To) []To {
	if len(list) == 0 {
		return nil
	}
	converted := make([]To, len(list))
	for i, element := range list {
		converted[i] = one(element)
	}
	return converted
}

func copyList(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return slices.Clone(list)
}

// shownMap returns a configuration without what seals its secret values.
func shownMap(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return pipeline.ShownConfiguration(m)
}

func copyOf(text *string) *string {
	if text == nil {
		return nil
	}
	value := *text
	return &value
}

// clamp keeps a number that is out of bounds out of bounds.
func clamp(n int) int32 {
	return int32(max(math.MinInt32, min(n, math.MaxInt32)))
}
