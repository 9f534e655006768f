package cli

import (
	"fmt"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// changeLines say what each source of an execution brings since the last release.
func changeLines(e *headracev1.Execution, changes []*headracev1.SourceChange) []string {
	lines := make([]string, len(changes))
	for i, c := range changes {
		release := fmt.Sprintf("%s#%d in %s", client.Segment(e.GetName(), "pipelines"), c.GetReleaseNumber(), c.GetStage())
		lines[i] = "source " + c.GetAction() + ": " + changedText(c, release)
	}
	return lines
}

// changedText says how a source relates to that of a release.
func changedText(c *headracev1.SourceChange, release string) string {
	switch c.GetRelation() {
	case headracev1.SourceRelation_SOURCE_RELATION_SAME:
		return "the commit of " + release
	case headracev1.SourceRelation_SOURCE_RELATION_OLDER:
		return "older than " + release
	case headracev1.SourceRelation_SOURCE_RELATION_DIVERGED:
		return "not a descendant of " + release + ", rewritten or another branch: " + commitsText(c)
	default:
		return "since " + release + ": " + commitsText(c)
	}
}

// commitsText counts commits and names their authors.
func commitsText(c *headracev1.SourceChange) string {
	text := "1 commit"
	switch {
	case c.GetMoreCommits():
		text = fmt.Sprintf("more than %d commits", c.GetCommits())
	case c.GetCommits() != 1:
		text = fmt.Sprintf("%d commits", c.GetCommits())
	}
	var authors []string
	for _, author := range c.GetAuthors() {
		authors = append(authors, authorText(author))
	}
	if len(authors) == 0 {
		return text
	}
	text += ", by " + strings.Join(authors, ", ")
	if c.GetMoreAuthors() {
		text += " and others"
	}
	return oneLine(text)
}
