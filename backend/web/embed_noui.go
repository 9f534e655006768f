//go:build noui

package web

import "io/fs"

// Files returns nothing: the program was built without the UI.
func Files() (fs.FS, bool) {
	return nil, false
}
