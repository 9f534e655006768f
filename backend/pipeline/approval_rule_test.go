package pipeline_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// approvalRule is what ValidateApprovalRule takes.
type approvalRule struct {
	pipelines, stages, actions, users, groups []string
	count                                     int
}

func (r approvalRule) validate() error {
	return pipeline.ValidateApprovalRule(r.pipelines, r.stages, r.actions, r.users, r.groups, r.count)
}

func TestApprovalRules(t *testing.T) {
	t.Parallel()
	web := []string{"web"}
	for name, test := range map[string]struct {
		rule       approvalRule
		path, says string
	}{
		"no pipelines":       {approvalRule{count: 1}, "selector.pipelines", "name at least one"},
		"empty pattern":      {approvalRule{pipelines: []string{"web", ""}, count: 1}, "selector.pipelines[1]", "is empty"},
		"bad pattern":        {approvalRule{pipelines: web, stages: []string{"De[ploy"}, count: 1}, "selector.stages[0]", "is not a valid pattern"},
		"endless braces":     {approvalRule{pipelines: web, actions: []string{strings.Repeat("{,a}", 31)}, count: 1}, "selector.actions[0]", "more than 64 patterns"},
		"long pattern":       {approvalRule{pipelines: []string{strings.Repeat("a", 256)}, count: 1}, "selector.pipelines[0]", "at most 255"},
		"many patterns":      {approvalRule{pipelines: web, stages: make([]string, 101), count: 1}, "selector.stages", "at most 100 allowed"},
		"empty user":         {approvalRule{pipelines: web, users: []string{""}, count: 1}, "users[0]", "is empty"},
		"long group":         {approvalRule{pipelines: web, groups: []string{strings.Repeat("a", 201)}, count: 1}, "groups[0]", "at most 200"},
		"space at the end":   {approvalRule{pipelines: web, groups: []string{"ops", "release-managers "}, count: 1}, "groups[1]", `"release-managers " is not a valid name: use 1 to 200 of A-Z a-z 0-9 . _ @ + : / - and space, and begin and end with a letter or a digit`},
		"accent":             {approvalRule{pipelines: web, users: []string{"rené"}, count: 1}, "users[0]", `"rené" is not a valid name`},
		"nobody":             {approvalRule{pipelines: web}, "minimum_count", "minimum_count is 0; use 1 to 100"},
		"too many people":    {approvalRule{pipelines: web, count: 101}, "minimum_count", "use 1 to 100"},
		"more than may":      {approvalRule{pipelines: web, users: []string{"ann", "bob"}, count: 3}, "minimum_count", "3 people have to agree but only 2 may"},
		"one is named twice": {approvalRule{pipelines: web, users: []string{"ann", "ann"}, count: 2}, "minimum_count", "2 people have to agree but only 1 may"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var invalid *pipeline.ValidationError
			require.ErrorAs(t, test.rule.validate(), &invalid)
			require.Equal(t, test.path, invalid.Violations[0].Path.String())
			require.Contains(t, invalid.Violations[0].Message, test.says)
		})
	}
}

func TestApprovalRulesThatMayBeMet(t *testing.T) {
	t.Parallel()
	web := []string{"web"}
	unknown := []string{pipeline.Unknown}
	for name, rule := range map[string]approvalRule{
		"least":              {pipelines: []string{"*"}, count: 1},
		"all users":          {pipelines: web, users: []string{"ann", "bob"}, count: 2},
		"names with extras":  {pipelines: web, users: []string{"ann@example.com", "a/b:c+d e.f_g-h"}, groups: []string{"9"}, count: 1},
		"members of a group": {pipelines: web, users: []string{"ann"}, groups: []string{"ops"}, count: 5},
		"everyone":           {pipelines: web, count: 100},
		"unknown":            {unknown, unknown, unknown, unknown, unknown, pipeline.UnknownInt},
		"unknown users":      {pipelines: web, users: []string{"ann", pipeline.Unknown}, count: 5},
		"unknown groups":     {pipelines: web, users: []string{"ann"}, groups: unknown, count: 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, rule.validate())
		})
	}
}
