package main

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// build is a description of a build: a first script that imports a shared one and loads a view
// later, and their style sheet.
func build() metafile {
	return metafile{Outputs: map[string]output{
		"dist/assets/main-1.js": {
			EntryPoint: entryPoint, CSSBundle: "dist/assets/main-1.css",
			Imports: []imported{{Path: "dist/assets/shared-1.js", Kind: "import-statement"}, {Path: "dist/assets/view-1.js", Kind: "dynamic-import"}},
		},
		"dist/assets/shared-1.js": {},
		"dist/assets/view-1.js":   {Imports: []imported{{Path: "dist/assets/shared-1.js", Kind: "import-statement"}}},
		"dist/assets/main-1.css":  {},
	}}
}

// noise returns bytes that gzip cannot make smaller, the same each time.
func noise(length int) []byte {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // it is no secret
	content := make([]byte, length)
	for i := range content {
		content[i] = byte(random.UintN(256))
	}
	return content
}

func files(first, shared, view int) map[string][]byte {
	return map[string][]byte{
		"assets/main-1.js": noise(first), "assets/shared-1.js": noise(shared),
		"assets/view-1.js": noise(view), "assets/main-1.css": noise(10),
	}
}

func TestFirstLoadIsWhatTheEntryNeedsAtOnce(t *testing.T) {
	t.Parallel()
	first, err := firstLoad(build())
	if err != nil {
		t.Fatal(err)
	}
	const want = "dist/assets/main-1.js dist/assets/shared-1.js dist/assets/main-1.css"
	if got := strings.Join(first, " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := firstLoad(metafile{}); err == nil {
		t.Error("a build without the entry point has no first load")
	}
}

func TestReportHoldsTheBudgets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                string
		first, shared, view int
		refusal             string
	}{
		{"within both", 40 << 10, 40 << 10, 50 << 10, ""},
		{"the first load together", 50 << 10, 50 << 10, 1, "the first load has"},
		{"a part that is loaded later", 1, 1, 61 << 10, "view-1.js has"},
		{"a shared part counts for the first load only", 1, 70 << 10, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := report(&out, files(c.first, c.shared, c.view), build())
			switch {
			case c.refusal == "" && err != nil:
				t.Error(err)
			case c.refusal != "" && (err == nil || !strings.Contains(err.Error(), c.refusal)):
				t.Errorf("got %v, want a refusal with %q", err, c.refusal)
			}
			if !strings.Contains(out.String(), "first load (budget 90 KiB)") {
				t.Errorf("the sizes are not printed: %s", out.String())
			}
		})
	}
}

func TestPackageDirectoryOfInputs(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		"src/main.tsx": "",
		"node_modules/preact/dist/preact.module.js":     "node_modules/preact",
		"node_modules/@bufbuild/protobuf/dist/index.js": "node_modules/@bufbuild/protobuf",
		"node_modules/a/node_modules/@b/c/x.js":         "node_modules/a/node_modules/@b/c",
	} {
		if got := packageDirectory(input); got != want {
			t.Errorf("%s: got %q, want %q", input, got, want)
		}
	}
}
