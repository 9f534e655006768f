// Package web holds the browser's side of the web UI: its sources in src, and what
// tools/webbuild bundled of them in dist, which is embedded. It serves nothing; whoever serves
// index.html replaces the value of its <base href="/"> by the path that the UI is reached at.
package web
