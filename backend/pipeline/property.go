package pipeline

import (
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// check says what is wrong with a value. It is the one place that lets a value pass whose
// references to variables are not resolved yet. Expressions are checked with what they
// read, by checker.expression.
func (p *Property) check(value string) error {
	if len(References(value)) > 0 && !p.CheckAlways || p.Type == PropertyExpression {
		return nil
	}
	if err := p.checkType(value); err != nil {
		return err
	}
	if len(p.Allowed) > 0 {
		if err := oneOf("value", value, p.Allowed...); err != nil {
			return err
		}
	}
	if p.Check == nil {
		return nil
	}
	return p.Check(value)
}

// Accepts tells whether a secret value is one that validation lets pass.
func (p *Property) Accepts(value string) bool {
	return value != "" && len(References(value)) == 0 && (IsSealed(value) || p.check(value) == nil)
}

var numberPattern = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)

// checkType checks that the text stands for a value of the property's type. The value is
// not repeated, since it may be secret.
func (p *Property) checkType(value string) error {
	switch p.Type {
	case PropertyNumber:
		if !numberPattern.MatchString(value) {
			return errors.New("the value is not a number; write decimal digits, for example 15")
		}
	case PropertyBoolean:
		if value != "true" && value != "false" {
			return errors.New("the value is not a boolean; write true or false")
		}
	case PropertyJSON:
		if !json.Valid([]byte(value)) {
			return errors.New("the value is not valid JSON; write it with jsonencode(…)")
		}
	case PropertyDuration:
		if d, err := time.ParseDuration(value); err != nil || d < 0 {
			return errors.New("the value is not a duration; write a number with its unit, for example 90s, 15m or 1h30m")
		}
	case PropertyString, PropertyExpression:
	}
	return nil
}

// settled returns the values of a configuration with defaults, if every one of the
// properties that is given is known and holds no references.
func (t *Type) settled(configuration map[string]string, properties []string) (map[string]string, bool) {
	if mapIsPartial(configuration) {
		return nil, false
	}
	for _, name := range properties {
		if value := configuration[name]; value == Unknown || len(References(value)) > 0 {
			return nil, false
		}
	}
	return t.WithDefaults(configuration), true
}

// expressions returns the names of the properties that are expressions.
func (t *Type) expressions() (names []string) {
	for i := range t.Properties {
		if t.Properties[i].Type == PropertyExpression {
			names = append(names, t.Properties[i].Name)
		}
	}
	return names
}

// properties checks a configuration against what its type declares. name is what messages
// call the type.
func (c *checker) properties(path Path, t *Type, name string, configuration map[string]string) {
	names, refused := t.PropertyNames(), make(map[string]bool)
	partial := mapIsPartial(configuration)
	for i := range t.Properties {
		p := &t.Properties[i]
		value, given := configuration[p.Name]
		path := path.Entry("configuration", p.Name)
		switch {
		case p.OverrideOnly:
			// A key that is given is refused below.
		case !given:
			refused[p.Name] = p.Required
			if p.Required && !partial {
				c.refuse(path, "%s needs the configuration key %q; give it a value", name, p.Name)
			}
		case value == "":
			// Refused as empty already.
			refused[p.Name] = true
		case p.Secret && len(References(value)) > 0:
			refused[p.Name] = true
			c.refuse(path, "a secret value cannot refer to variables, because it is sealed when the pipeline is published; give the value itself")
		case p.Secret && IsSealed(value):
		case value != Unknown:
			err := p.check(value)
			refused[p.Name] = err != nil
			c.check(path, err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(configuration)) {
		switch {
		case key == Unknown || slices.Contains(names, key):
		case len(names) == 0:
			c.refuse(path.Entry("configuration", key), "%s takes no configuration; remove %q", name, key)
		default:
			c.refuse(path.Entry("configuration", key), "%s has no configuration key %q%s; it has %s",
				name, key, didYouMean(key, names), strings.Join(names, ", "))
		}
	}
	for _, set := range t.Exclusive {
		c.exclusive(path, configuration, set)
	}
	for _, check := range t.Checks {
		values, settled := t.settled(configuration, check.Properties)
		if settled && !slices.ContainsFunc(check.Properties, func(name string) bool { return refused[name] }) {
			c.check(path.Entry("configuration", check.Properties[0]), check.Check(values))
		}
	}
}

// exclusive refuses all but the first of a set of properties of which one may be set.
func (c *checker) exclusive(path Path, configuration map[string]string, set []string) {
	given := ""
	for _, key := range set {
		// A value that is not known yet may turn out to be none.
		if value, ok := configuration[key]; !ok || value == Unknown {
			continue
		}
		if given != "" {
			c.refuse(path.Entry("configuration", key), "%s and %s cannot both be set; keep one of %s", given, key, strings.Join(set, ", "))
			continue
		}
		given = key
	}
}
