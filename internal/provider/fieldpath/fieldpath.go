// Package fieldpath translates field paths of the contract into attribute paths
// of Terraform, so that a violation underlines the line that caused it. It knows
// names only, never values.
package fieldpath

import (
	"github.com/hashicorp/terraform-plugin-framework/path"

	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Shape maps the fields of one message to attributes and blocks.
type Shape map[string]Field

// Field says where the value of a field is written in Terraform.
type Field struct {
	// Names leads to the attribute or block. Each name but the last is a block
	// that holds one element, such as rule_type_id. None stands for the
	// parent itself.
	Names []string
	// Single marks a message that Terraform writes as a block of one element.
	Single bool
	// Set marks a set, whose elements have no index.
	Set bool
	// Key is the attribute or block that stands for an element as a whole:
	// Terraform can underline attributes, but not an element of a list of blocks.
	Key string
	// Within holds the fields below this one; nil for an attribute.
	Within Shape
}

// Translate returns the attribute path, below base, of a field path. It goes as
// deep as the shape knows and returns the last place it could name.
func (s Shape) Translate(base path.Path, fields domain.Path) path.Path {
	at := base
	shape := s
	for i, step := range fields {
		field, known := shape[step.Field]
		if !known {
			return at
		}
		for j, name := range field.Names {
			if j > 0 {
				at = at.AtListIndex(0)
			}
			at = at.AtName(name)
		}
		switch {
		case len(field.Names) == 0 || field.Set:
		case step.HasKey:
			at = at.AtMapKey(step.Key)
		case step.Index >= 0:
			at = at.AtListIndex(step.Index)
			if field.Key != "" && i == len(fields)-1 {
				at = at.AtName(field.Key)
			}
		case field.Single && i < len(fields)-1:
			at = at.AtListIndex(0)
		case field.Single && field.Key != "":
			at = at.AtListIndex(0).AtName(field.Key)
		}
		shape = field.Within
	}
	return at
}

// attribute is a field that has an attribute of that name.
func attribute(name string) Field {
	return Field{Names: []string{name}}
}

// set is a field that has a set attribute of that name.
func set(name string) Field {
	return Field{Names: []string{name}, Set: true}
}

// block is a repeated message, whose elements are known by an attribute, if any.
func block(name, key string, within Shape) Field {
	return Field{Names: []string{name}, Key: key, Within: within}
}

// single is a message that is written as a block of one element, which is known
// by an attribute or block.
func single(name, key string, within Shape) Field {
	return Field{Names: []string{name}, Single: true, Key: key, Within: within}
}
