package pipeline_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// TestWindowsThatDoNotOpen warns of windows that are over and of windows that never meet.
func TestWindowsThatDoNotOpen(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.March, 2, 8, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		crons []string
		want  []pipeline.Reason
	}{
		"one":                 {[]string{"* * 9-17 ? * MON-FRI"}, nil},
		"over":                {[]string{"* * * * * ? 2025"}, []pipeline.Reason{pipeline.WarningWindowOver}},
		"one of two is over":  {[]string{"* * * * * ?", "* * * * 2 ? 2026"}, []pipeline.Reason{pipeline.WarningWindowOver}},
		"later":               {[]string{"* * * 29 2 ? 2028"}, nil},
		"week and weekend":    {[]string{"* * * ? * MON-FRI", "* * * ? * SAT,SUN"}, []pipeline.Reason{pipeline.WarningWindowsApart}},
		"morning and evening": {[]string{"* * 8-11 * * ?", "* * 20 * * ?"}, []pipeline.Reason{pipeline.WarningWindowsApart}},
		"hours and weekdays":  {[]string{"* * 9-17 * * ?", "* * * ? * MON-FRI"}, nil},
		"three":               {[]string{"* * 9-17 * * ?", "* * * ? * MON-FRI", "* * * 1 * ?"}, nil},
		"not known yet":       {[]string{"* * * ? * MON-FRI", pipeline.Unknown}, nil},
		"minutes apart":       {[]string{"* 0/2 * * * ?", "* 1/2 * * * ?"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			condition := &pipeline.Condition{Result: pipeline.ResultFail}
			for _, cron := range test.crons {
				condition.Rules = append(condition.Rules, pipeline.Rule{
					Name: "w", Provider: "DeploymentWindow", Configuration: map[string]string{"Cron": cron},
				})
			}
			def := &pipeline.Definition{Stages: []pipeline.Stage{{Name: "Live", BeforeEntry: condition}}}
			var got []pipeline.Reason
			for _, w := range pipeline.WarningsAt(def, catalog.Builtin(), now) {
				require.Contains(t, w.Message, `stage "Live", before_entry`)
				got = append(got, w.Reason)
			}
			require.Equal(t, test.want, got)
		})
	}
}
