package triggermatches

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// object is a value of an argument whose shape is not declared. It keeps the first error.
type object struct {
	path   string
	values map[string]any
	err    *error
}

// readObject returns an argument that has to be an object.
func readObject(ctx context.Context, argument types.Dynamic, name string) (object, error) {
	value, err := argument.UnderlyingValue().ToTerraformValue(ctx)
	if err != nil {
		return object{}, err
	}
	read, err := plain(value)
	if err != nil {
		return object{}, err
	}
	values, ok := read.(map[string]any)
	if !ok {
		return object{}, fmt.Errorf("%s is not an object", name)
	}
	return object{path: name, values: values, err: new(error)}, nil
}

// plain returns a value of Terraform as text, boolean, number, list or map.
func plain(value tftypes.Value) (any, error) {
	if value.IsNull() || !value.IsKnown() {
		return nil, nil //nolint:nilnil // Terraform has null.
	}
	switch kind := value.Type(); {
	case kind.Is(tftypes.String):
		var text string
		err := value.As(&text)
		return text, err
	case kind.Is(tftypes.Bool):
		var truth bool
		err := value.As(&truth)
		return truth, err
	case kind.Is(tftypes.Number):
		var number big.Float
		return &number, value.As(&number)
	case kind.Is(tftypes.Map{}), kind.Is(tftypes.Object{}):
		var fields map[string]tftypes.Value
		if err := value.As(&fields); err != nil {
			return nil, err
		}
		read := make(map[string]any, len(fields))
		for name, field := range fields {
			var err error
			if read[name], err = plain(field); err != nil {
				return nil, err
			}
		}
		return read, nil
	default:
		var elements []tftypes.Value
		if err := value.As(&elements); err != nil {
			return nil, err
		}
		read := make([]any, len(elements))
		for i, element := range elements {
			var err error
			if read[i], err = plain(element); err != nil {
				return nil, err
			}
		}
		return read, nil
	}
}

func (o object) fail(name, want string) {
	if *o.err == nil {
		*o.err = fmt.Errorf("%s.%s is not %s", o.path, name, want)
	}
}

// only refuses what has no meaning, which may be a typo.
func (o object) only(names ...string) {
	for _, name := range slices.Sorted(maps.Keys(o.values)) {
		if !slices.Contains(names, name) && o.values[name] != nil && *o.err == nil {
			*o.err = fmt.Errorf("%s has no %q%s; it may have %s", o.path, name, pipeline.DidYouMean(name, names), strings.Join(names, ", "))
		}
	}
}

func (o object) text(name string) string {
	text, ok := o.values[name].(string)
	if !ok && o.values[name] != nil {
		o.fail(name, "a text")
	}
	return text
}

func (o object) truth(name string, otherwise bool) bool {
	truth, ok := o.values[name].(bool)
	if !ok {
		if o.values[name] != nil {
			o.fail(name, "true or false")
		}
		return otherwise
	}
	return truth
}

func (o object) number(name string) int64 {
	number, ok := o.values[name].(*big.Float)
	if !ok {
		if o.values[name] != nil {
			o.fail(name, "a number")
		}
		return 0
	}
	n, _ := number.Int64()
	return n
}

func (o object) texts(name string) []string {
	list, ok := o.values[name].([]any)
	if !ok && o.values[name] != nil {
		o.fail(name, "a list of texts")
	}
	var texts []string
	for _, element := range list {
		text, ok := element.(string)
		if !ok {
			o.fail(name, "a list of texts")
		}
		texts = append(texts, text)
	}
	return texts
}

// objects returns the blocks of that name.
func (o object) objects(name string) []object {
	list, ok := o.values[name].([]any)
	if !ok && o.values[name] != nil {
		o.fail(name, "a list of objects")
	}
	var all []object
	for i, element := range list {
		values, ok := element.(map[string]any)
		if !ok {
			o.fail(name, "a list of objects")
			continue
		}
		all = append(all, object{fmt.Sprintf("%s.%s[%d]", o.path, name, i), values, o.err})
	}
	return all
}

// object returns a single block, which Terraform has as a list, or an object.
func (o object) object(name string) (object, bool) {
	if values, ok := o.values[name].(map[string]any); ok {
		return object{o.path + "." + name, values, o.err}, true
	}
	switch blocks := o.objects(name); len(blocks) {
	case 0:
		return object{}, false
	case 1:
		return blocks[0], true
	default:
		o.fail(name, "a single object")
		return object{}, false
	}
}

// readTrigger reads a trigger as a resource or an object has it.
func readTrigger(ctx context.Context, argument types.Dynamic) (*trigger.Git, error) {
	o, err := readObject(ctx, argument, "trigger")
	if err != nil {
		return nil, err
	}
	for _, block := range []string{"git_configuration", "git"} {
		if inner, ok := o.object(block); ok {
			o = inner
			break
		}
	}
	o.only("connection", "repository", "source_action", "source_action_name", "push", "pull_request",
		"new_branch", "moved_tag", "skip_markers", "on_unknown_diff", "coalesce")
	skip := o.truth("skip_markers", true)
	git := &trigger.Git{
		// Which it is has no meaning here.
		SourceAction: "source",
		NewBranch:    trigger.NewBranch(o.text("new_branch")), MovedTag: trigger.MovedTag(o.text("moved_tag")),
		OnUnknownDiff: trigger.UnknownDiff(o.text("on_unknown_diff")), Coalesce: trigger.Coalesce(o.text("coalesce")), SkipMarkers: &skip,
	}
	for _, push := range o.objects("push") {
		push.only("branches", "file_paths", "tags")
		git.Push = append(git.Push, pipeline.GitPushFilter{
			Branches: push.globs("branches"), FilePaths: push.globs("file_paths"), Tags: push.globs("tags"),
		})
	}
	for _, request := range o.objects("pull_request") {
		request.only("events", "branches", "file_paths")
		git.PullRequest = append(git.PullRequest, pipeline.GitPullRequestFilter{
			Events: request.texts("events"), Branches: request.globs("branches"), FilePaths: request.globs("file_paths"),
		})
	}
	if *o.err != nil {
		return nil, *o.err
	}
	return git, (&trigger.Declaration{Git: git}).Validate()
}

func (o object) globs(name string) *pipeline.GlobFilter {
	filter, ok := o.object(name)
	if !ok {
		return nil
	}
	filter.only("includes", "excludes")
	return &pipeline.GlobFilter{Includes: filter.texts("includes"), Excludes: filter.texts("excludes")}
}

// readEvent reads an event and its changed files.
func readEvent(ctx context.Context, argument types.Dynamic) (*trigger.Event, trigger.Files, error) {
	var files trigger.Files
	o, err := readObject(ctx, argument, "event")
	if err != nil {
		return nil, files, err
	}
	o.only("branch", "tag", "pull_request", "created", "deleted", "files", "message")
	if o.values["files"] != nil {
		files = trigger.Changed(nil)
		for _, path := range o.texts("files") {
			files.Paths = append(files.Paths, []byte(path))
		}
	}
	message := trigger.ParseMessage(o.text("message"))
	branch, tag := o.text("branch"), o.text("tag")
	pull, isPull := o.object("pull_request")
	event := &trigger.Event{}
	switch {
	case *o.err != nil:
	case branch != "" && tag == "" && !isPull:
		event.Move = &trigger.Move{Ref: "refs/heads/" + branch, Created: o.truth("created", false)}
	case tag != "" && branch == "" && !isPull:
		event.Move = &trigger.Move{Ref: "refs/tags/" + tag, Created: o.truth("created", true)}
	case isPull && branch == "" && tag == "":
		pull.only("number", "event", "source_branch", "destination_branch", "fork")
		event.PullRequest = &trigger.PullRequest{
			Number: pull.number("number"), Event: trigger.PullRequestOpen, HeadMessage: &message, Fork: pull.truth("fork", false),
			Source: pull.text("source_branch"), Destination: pull.text("destination_branch"),
		}
		if happened := pull.text("event"); happened != "" {
			event.PullRequest.Event = trigger.PullRequestEvent(happened)
		}
		known := []trigger.PullRequestEvent{trigger.PullRequestOpen, trigger.PullRequestUpdated, trigger.PullRequestClosed}
		if !slices.Contains(known, event.PullRequest.Event) {
			pull.fail("event", "one of OPEN, UPDATED, CLOSED")
		}
	default:
		return nil, files, errors.New("event needs exactly one of branch, tag and pull_request")
	}
	if event.Move != nil {
		event.Move.Deleted, event.Move.Head = o.truth("deleted", false), &message
	}
	return event, files, *o.err
}
