package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pipelinepb"
)

// printer writes lines and keeps the first error, so that commands check once.
type printer struct {
	w       io.Writer
	failure error
	// midline tells that the last line has no end yet.
	midline bool
}

func (p *printer) write(text string) {
	if p.failure == nil && text != "" {
		p.midline = !strings.HasSuffix(text, "\n")
		_, p.failure = io.WriteString(p.w, text)
	}
}

// freshLine ends the line, if it has begun.
func (p *printer) freshLine() {
	if p.midline {
		p.write("\n")
	}
}

func (p *printer) linef(format string, args ...any) {
	p.write(fmt.Sprintf(format, args...) + "\n")
}

func (p *printer) lines(lines []string) {
	for _, line := range lines {
		p.linef("%s", line)
	}
}

// table prints rows in aligned columns.
func (p *printer) table(header []string, rows [][]string) {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = oneLine(cell)
		}
		// Writes to a buffer do not fail.
		_, _ = fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	_ = w.Flush()
	for line := range strings.Lines(text.String()) {
		p.linef("%s", strings.TrimRight(line, " \n"))
	}
}

// fields prints names and values in two columns, leaving out empty values.
func (p *printer) fields(pairs ...string) {
	width := 0
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			width = max(width, len(pair[0]))
		}
	}
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			p.linef("%-*s  %s", width, pair[0], oneLine(pair[1]))
		}
	}
}

// executionResponse is an answer that tells about an execution.
type executionResponse interface {
	proto.Message
	GetExecution() *headracev1.Execution
}

// document prints a message as one JSON document.
func (p *printer) document(message proto.Message) error {
	compact, err := jsonOf(message)
	if err != nil {
		return err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, compact, "", "  "); err != nil {
		return fmt.Errorf("indent JSON: %w", err)
	}
	p.linef("%s", indented.String())
	return nil
}

// object prints a message as one JSON object in a line of its own.
func (p *printer) object(message proto.Message) error {
	compact, err := jsonOf(message)
	if err != nil {
		return err
	}
	p.linef("%s", compact)
	return nil
}

// jsonOf returns the message as compact JSON with empty fields filled in, so
// that a script finds every field. protojson alone varies its white space.
func jsonOf(message proto.Message) ([]byte, error) {
	data, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encode JSON: %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return nil, fmt.Errorf("encode JSON: %w", err)
	}
	return escapeHidden(compact.Bytes()), nil
}

// json tells whether the user wants JSON.
func (a *app) json() bool {
	return a.output == "json"
}

func timeText(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Local().Format("2006-01-02 15:04:05")
}

func clockText(t *timestamppb.Timestamp) string {
	return t.AsTime().Local().Format("15:04:05")
}

// elapsed returns the time between start and end, or now where it has no end.
func elapsed(start, end *timestamppb.Timestamp, now time.Time) string {
	if start == nil {
		return ""
	}
	until := now
	if end != nil {
		until = end.AsTime()
	}
	d := max(until.Sub(start.AsTime()), 0)
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// executionStatuses are the statuses that an execution can have; the others are
// those of its parts.
func executionStatuses() []pipeline.Status {
	parts := []pipeline.Status{pipeline.Skipped, pipeline.Abandoned, pipeline.Errored, pipeline.Overridden}
	return slices.DeleteFunc(pipeline.Statuses(), func(s pipeline.Status) bool { return slices.Contains(parts, s) })
}

// statusText returns a status in CodePipeline's words.
func statusText(s headracev1.ExecutionStatus) string {
	status := pipelinepb.StatusFromProto(s)
	if !slices.Contains(pipeline.Statuses(), status) {
		return "-"
	}
	return string(status)
}

// terminal tells whether nothing more happens to an execution.
func terminal(s headracev1.ExecutionStatus) bool {
	return s != headracev1.ExecutionStatus_EXECUTION_STATUS_UNSPECIFIED &&
		s != headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS &&
		s != headracev1.ExecutionStatus_EXECUTION_STATUS_STOPPING
}

// enumText returns the last part of an enum's name in lower case: of
// ROLE_ADMIN with the prefix ROLE_, admin.
func enumText(name fmt.Stringer, prefix string) string {
	return strings.ToLower(strings.TrimPrefix(name.String(), prefix))
}

// kindText returns a kind of condition as flags take it: before-entry.
func kindText(kind headracev1.ConditionKind) string {
	return strings.ReplaceAll(enumText(kind, "CONDITION_KIND_"), "_", "-")
}

// pairsText returns a map as key=value, sorted by key.
func pairsText(values map[string]string) string {
	return strings.Join(pairs(values), ", ")
}

// pairs returns a map as key=value each, sorted by key.
func pairs(values map[string]string) []string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		all = append(all, key+"="+values[key])
	}
	return all
}
