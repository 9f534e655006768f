package trigger_test

import (
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

const (
	waitLong = time.Minute
	tick     = 10 * time.Millisecond
)

func requests(events ...string) []pipeline.GitPullRequestFilter {
	return []pipeline.GitPullRequestFilter{{Events: events}}
}
