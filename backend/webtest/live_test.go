package webtest

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Tabs say that the server is away, and show what happened meanwhile once it is back.
func TestRestartUnderTabs(t *testing.T) {
	t.Parallel()
	b := findBrowser(t)
	s := newSite(t)
	running := s.seedRunning()
	script := b.start(t, "live.mjs", map[string]any{
		"url": "http://" + s.HTTPAddr, "token": s.viewer(),
		"paths": []string{"/accounts/default", "/accounts/default/pipelines/slow", "/" + running},
	})
	script.hear("ready")
	s.Stop()
	script.say("stopped")
	script.hear("paused")
	s.Restart()
	began := time.Now()
	require.NoError(t, os.WriteFile(s.gate, nil, 0o600))
	script.say("changed")
	script.hear("live")
	script.hear("all live")
	t.Logf("all tabs were live %s after the start of the server", time.Since(began).Round(time.Millisecond))
	script.wait()
}
