//go:build !noui

package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Files returns the files of the UI: index.html, and assets/ with names that change with their
// content. It returns false if the program was built without the UI (build tag noui).
func Files() (fs.FS, bool) {
	files, err := fs.Sub(dist, "dist")
	return files, err == nil
}
