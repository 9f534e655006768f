package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Budgets in bytes, compressed by gzip. The first load is all that a browser needs before it
// shows the first view: the script, what it imports at once, and the style sheet.
const (
	firstLoadBudget = 90 * 1024
	chunkBudget     = 60 * 1024
)

// firstLoad returns the files of the first load: the script of the entry point first, then what
// it imports, then the style sheets.
func firstLoad(meta metafile) ([]string, error) {
	var entry string
	for name, out := range meta.Outputs {
		if out.EntryPoint == entryPoint {
			entry = name
		}
	}
	if entry == "" {
		return nil, fmt.Errorf("the build made nothing of %s", entryPoint)
	}
	scripts := reachable(meta, entry)
	var styles []string
	for _, script := range scripts {
		if sheet := meta.Outputs[script].CSSBundle; sheet != "" {
			styles = append(styles, sheet)
		}
	}
	slices.Sort(styles)
	return append(scripts, styles...), nil
}

// reachable returns the script and all that it imports statically, without repetition.
func reachable(meta metafile, script string) []string {
	found := []string{script}
	for i := 0; i < len(found); i++ {
		var next []string
		for _, imported := range meta.Outputs[found[i]].Imports {
			if imported.Kind == "import-statement" && !slices.Contains(found, imported.Path) {
				next = append(next, imported.Path)
			}
		}
		slices.Sort(next)
		found = append(found, slices.Compact(next)...)
	}
	return found
}

// report prints the compressed size of each file and fails if a budget is exceeded.
func report(out io.Writer, files map[string][]byte, meta metafile) error {
	first, err := firstLoad(meta)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(meta.Outputs))
	for name := range meta.Outputs {
		names = append(names, name)
	}
	slices.Sort(names)
	var total int
	var large []string
	for _, name := range names {
		size, err := compressedSize(files[strings.TrimPrefix(name, "dist/")])
		if err != nil {
			return err
		}
		when := "later"
		switch {
		case slices.Contains(first, name):
			when = "first"
			total += size
		case size > chunkBudget:
			large = append(large, fmt.Sprintf("%s has %d bytes of %d", name, size, chunkBudget))
		}
		fmt.Fprintf(out, "%7.1f KiB  %s  %s\n", float64(size)/1024, when, strings.TrimPrefix(name, "dist/assets/"))
	}
	fmt.Fprintf(out, "%7.1f KiB  first load (budget %d KiB)\n", float64(total)/1024, firstLoadBudget/1024)
	if total > firstLoadBudget {
		large = append(large, fmt.Sprintf("the first load has %d bytes of %d", total, firstLoadBudget))
	}
	if len(large) > 0 {
		return fmt.Errorf("larger than the budget, compressed by gzip: %s", strings.Join(large, "; "))
	}
	return nil
}

func compressedSize(content []byte) (int, error) {
	var compressed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	if err != nil {
		return 0, err
	}
	if _, err := writer.Write(content); err != nil {
		return 0, err
	}
	if err := writer.Close(); err != nil {
		return 0, err
	}
	return compressed.Len(), nil
}
