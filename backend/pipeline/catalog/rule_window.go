package catalog

import (
	"fmt"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/window"
)

const (
	cron     = "Cron"
	timeZone = "TimeZone"
)

// RuleWindow returns the rule that waits for a deployment window.
func RuleWindow() pipeline.Type {
	return pipeline.Type{
		ID:      id(pipeline.CategoryRule, "DeploymentWindow"),
		Summary: "Waits until a deployment window is open. All windows of a condition must be open at the same time.",
		Work:    pipeline.WorkTimed,
		Properties: []pipeline.Property{
			{
				Name: cron, Required: true, Check: checkCron, Example: "* * 9-16 ? * MON-FRI *",
				Description: "Minutes in which the window is open, as a cron expression of 6 or 7 fields: seconds, minutes, hours, " +
					"day of the month, month, day of the week and, optionally, year.",
			},
			{
				Name: timeZone, Default: "UTC", Check: checkZone, Example: "Europe/Berlin",
				Description: "Time zone of `Cron`, by its IANA name.",
			},
		},
		Checks:    []pipeline.Check{{Properties: []string{cron, timeZone}, Check: checkOpens}},
		MaxInputs: maxArtifacts,
		// CodePipeline waits up to 60 days for a window.
		DefaultTimeout: 60 * 24 * time.Hour,
		Open:           open,
	}
}

func open(values map[string]string) (pipeline.Opening, error) {
	w, err := window.Parse(values[cron], values[timeZone])
	if err != nil {
		return pipeline.Opening{}, err
	}
	return pipeline.Opening{Next: w.Next, Property: cron}, nil
}

func checkCron(cron string) error {
	_, err := window.Parse(cron, "")
	return err
}

func checkZone(zone string) error {
	_, err := window.Parse("* * * * * *", zone)
	return err
}

// checkOpens refuses a window that never opens.
func checkOpens(values map[string]string) error {
	w, err := window.Parse(values[cron], values[timeZone])
	if err != nil {
		return err
	}
	if _, opens := w.Next(time.Time{}); !opens {
		return fmt.Errorf("the window %q never opens: no minute matches it; change the days, the months or the years", values[cron])
	}
	return nil
}
