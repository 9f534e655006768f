package pipeline

import (
	"math"
	"slices"
)

// Unknown stands for a value that is not known yet, as Terraform has them while
// it plans. No legal value contains its NUL byte. Validate gives every rule that
// would need the value the benefit of the doubt, so that what it refuses is
// wrong whatever the value turns out to be. Unknown may stand for
//
//   - any string field, also one that will turn out to be absent;
//   - an element of a list of strings; one such element also stands for a list
//     that is unknown as a whole;
//   - a value of a map; as a key it stands for a map that is unknown as a whole;
//   - any number of blocks, where the block has nothing but Unknown in its first
//     required field: Stage{Name: Unknown}, Action{Name: Unknown},
//     Variable{Name: Unknown}, EnvironmentVariable{Name: Unknown},
//     OutputArtifact{Name: Unknown}, ArtifactStore{Location: Unknown},
//     Trigger{ProviderType: Unknown}, Rule{Name: Unknown},
//     Condition{Result: Unknown}, OnFailure{Result: Unknown}. The filters of a
//     trigger have no such field; leave out lists of them that are unknown.
//
// Only who builds a definition in its own process can use it: what comes over
// the wire never passes for unknown, see package pipelinepb.
const Unknown = "\x00unknown"

// UnknownInt is Unknown for the integer fields. Zero means not given; for
// RunOrder that is 1, so an unknown run order passed as zero may be refused
// although it would turn out well.
const UnknownInt = math.MinInt32

// knownStrings returns how many elements a list has at least, and whether that
// is all of them.
func knownStrings(list []string) (count int, complete bool) {
	unknown := 0
	for _, s := range list {
		if s == Unknown {
			unknown++
		}
	}
	return len(list) - unknown, unknown == 0
}

// countKnown is knownStrings for lists of blocks.
func countKnown[T any](list []T, opaque func(*T) bool) (count int, complete bool) {
	for i := range list {
		if !opaque(&list[i]) {
			count++
		}
	}
	return count, count == len(list)
}

func mapIsPartial(m map[string]string) bool {
	_, partial := m[Unknown]
	return partial
}

func anyUnknown(values ...string) bool {
	return slices.Contains(values, Unknown)
}

// The opaque functions tell whether a block stands for any number of blocks.

func opaqueStage(s *Stage) bool {
	return s.Name == Unknown && len(s.Actions) == 0
}

func opaqueAction(a *Action) bool {
	return a.Name == Unknown && a.Category == "" && a.Owner == "" && a.Provider == ""
}

func opaqueVariable(v *Variable) bool { return v.Name == Unknown }

func opaqueEnvironment(v *EnvironmentVariable) bool { return v.Name == Unknown }

func opaqueArtifact(o *OutputArtifact) bool { return o.Name == Unknown }

func opaqueStore(s *ArtifactStore) bool { return s.Location == Unknown && s.Type == "" }

func opaqueTrigger(t *Trigger) bool {
	return t.ProviderType == Unknown && t.GitConfiguration == nil
}

// opaqueGlobs tells whether a filter stands for a block that may turn out to be absent.
func opaqueGlobs(g *GlobFilter) bool {
	return g != nil && slices.Contains(g.Includes, Unknown) && slices.Contains(g.Excludes, Unknown)
}

func opaqueRule(r *Rule) bool { return r.Name == Unknown && r.Provider == "" }

func opaqueCondition(c *Condition) bool { return c.Result == Unknown && len(c.Rules) == 0 }
