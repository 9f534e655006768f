package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// bundledLicenses returns the licenses of the packages whose code is in the bundle, which their
// terms ask to be passed on with it.
func bundledLicenses(root string, meta metafile) ([]byte, error) {
	var directories []string
	for _, out := range meta.Outputs {
		for input := range out.Inputs {
			if directory := packageDirectory(input); directory != "" && !slices.Contains(directories, directory) {
				directories = append(directories, directory)
			}
		}
	}
	slices.Sort(directories)
	var text bytes.Buffer
	fmt.Fprintln(&text, "The web UI of Headrace contains code of these packages.")
	for _, directory := range directories {
		description, err := os.ReadFile(filepath.Join(root, directory, "package.json"))
		if err != nil {
			return nil, err
		}
		var about struct{ Name, Version, License string }
		if err := json.Unmarshal(description, &about); err != nil {
			return nil, fmt.Errorf("%s/package.json: %w", directory, err)
		}
		fmt.Fprintf(&text, "\n%s %s (%s)\n", about.Name, about.Version, about.License)
		for _, name := range []string{"LICENSE", "LICENSE.md", "LICENSE.txt"} {
			license, err := os.ReadFile(filepath.Join(root, directory, name))
			if err == nil {
				fmt.Fprintf(&text, "\n%s\n", bytes.TrimSpace(license))
				break
			}
		}
	}
	return text.Bytes(), nil
}

// packageDirectory returns the directory of the npm package that a source belongs to; empty if
// it belongs to none.
func packageDirectory(input string) string {
	const modules = "node_modules/"
	at := strings.LastIndex(input, modules)
	if at < 0 {
		return ""
	}
	parts := strings.Split(input[at+len(modules):], "/")
	length := 1
	if strings.HasPrefix(parts[0], "@") {
		length = 2
	}
	return input[:at+len(modules)] + strings.Join(parts[:length], "/")
}
