package config

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/spf13/pflag"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// fileFlag names the HCL file; it is a flag and an environment variable, and
// naturally no key of the file.
const fileFlag = "config"

// Loader reads a configuration. The flags are its list of settings: environment
// variables and keys of the file are the flags in another spelling.
type Loader struct {
	config Config
	file   string
	flags  *pflag.FlagSet
	names  []string
}

// NewLoader adds the flags of a server to a set that is parsed before Load.
func NewLoader(flags *pflag.FlagSet) *Loader {
	l := &Loader{config: Default(), flags: flags}
	settings := pflag.NewFlagSet("settings", pflag.ContinueOnError)
	l.config.register(settings)
	settings.VisitAll(func(flag *pflag.Flag) { l.names = append(l.names, flag.Name) })
	flags.AddFlagSet(settings)
	flags.StringVar(&l.file, fileFlag, "", "HCL file with settings, for example: "+Key("grpc-listen")+` = "127.0.0.1:7480"`)
	return l
}

// Env returns the environment variable of a setting.
func Env(setting string) string {
	return "HEADRACE_" + strings.ToUpper(strings.ReplaceAll(setting, "-", "_"))
}

// Key returns the key of a setting in the file.
func Key(setting string) string { return strings.ReplaceAll(setting, "-", "_") }

// Load returns the configuration: a flag wins over the environment, that over
// the file, that over the default. getenv is os.Getenv outside of tests. An
// empty variable counts as not set.
func (l *Loader) Load(getenv func(string) string) (Config, error) {
	path := l.file
	if !l.flags.Changed(fileFlag) {
		path = getenv(Env(fileFlag))
	}
	values, err := l.readFile(path)
	if err != nil {
		return Config{}, err
	}
	for _, name := range l.names {
		flag := l.flags.Lookup(name)
		if flag.Changed {
			continue
		}
		value, from := values[name].text, values[name].at
		if text := getenv(Env(name)); text != "" {
			value, from = text, Env(name)
		}
		if from == "" {
			continue
		}
		if err := flag.Value.Set(value); err != nil {
			return Config{}, fmt.Errorf("%s: invalid value %q for %s: %w", from, value, name, err)
		}
	}
	l.config.File = path
	if err := l.config.Validate(); err != nil {
		return Config{}, fmt.Errorf("invalid configuration:\n%w", err)
	}
	return l.config, nil
}

// fileValue is a value of the file and where it stands.
type fileValue struct {
	text string
	at   string
}

// readFile returns the values of the file by setting; none without a file.
func (l *Loader) readFile(path string) (map[string]fileValue, error) {
	if path == "" {
		return nil, nil
	}
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	file, diags := hclparse.NewParser().ParseHCL(source, path)
	if diags.HasErrors() {
		return nil, diagnosed(diags)
	}
	schema := &hcl.BodySchema{}
	settings := make(map[string]string, len(l.names))
	for _, name := range l.names {
		settings[Key(name)] = name
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: Key(name)})
	}
	content, diags := file.Body.Content(schema)
	values := make(map[string]fileValue)
	for key, attribute := range content.Attributes {
		value, more := attribute.Expr.Value(nil)
		diags = append(diags, more...)
		if more.HasErrors() {
			continue
		}
		text, err := convert.Convert(value, cty.String)
		if err != nil || text.IsNull() {
			diags = append(diags, &hcl.Diagnostic{
				Severity: hcl.DiagError, Subject: attribute.Expr.Range().Ptr(),
				Summary: "Invalid value", Detail: key + " must be a string, a number or a bool.",
			})
			continue
		}
		at := fmt.Sprintf("%s:%d", path, attribute.Range.Start.Line)
		values[settings[key]] = fileValue{text: text.AsString(), at: at}
	}
	if diags.HasErrors() {
		return nil, diagnosed(diags)
	}
	return values, nil
}

// diagnosed returns all diagnostics, one a line, each with file and line.
func diagnosed(diags hcl.Diagnostics) error {
	errs := make([]error, len(diags))
	for i, d := range diags {
		errs[i] = fmt.Errorf("%s:%d: %s: %s", d.Subject.Filename, d.Subject.Start.Line, d.Summary, d.Detail)
	}
	return errors.Join(errs...)
}

// Help describes the flags of a command for headraced -h: settings with their default
// and environment variable, other flags with their usage.
func Help(flags *pflag.FlagSet) string {
	settings := pflag.NewFlagSet("settings", pflag.ContinueOnError)
	NewLoader(settings)
	var b strings.Builder
	flags.VisitAll(func(flag *pflag.Flag) {
		b.WriteString("  --" + flag.Name)
		if kind := flag.Value.Type(); kind != "bool" {
			b.WriteString(" " + kind)
		}
		b.WriteString("\n" + wrap(flag.Usage))
		if settings.Lookup(flag.Name) == nil {
			return
		}
		initial := flag.DefValue
		if initial == "" {
			initial = "none"
		}
		b.WriteString("      default " + initial + ", environment " + Env(flag.Name) + "\n")
	})
	return b.String()
}

// wrap indents a text below its flag, in lines of at most 100 characters.
func wrap(text string) string {
	const indent, width = "      ", 100
	var lines strings.Builder
	line := indent
	for i, word := range strings.Fields(text) {
		if i > 0 && len(line)+len(word) >= width {
			lines.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent
		}
		line += word + " "
	}
	return lines.String() + strings.TrimRight(line, " ") + "\n"
}

func list(words []string) string { return strings.Join(words, ", ") }
