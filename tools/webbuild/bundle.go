package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// Both names are below the directory of the web UI.
const (
	entryPoint = "src/main.tsx"
	template   = "src/index.html"
)

// options are what the bundle and the watch have in common.
func options(root string) (api.BuildOptions, error) {
	absolute, err := filepath.Abs(root)
	if err != nil {
		return api.BuildOptions{}, err
	}
	return api.BuildOptions{
		AbsWorkingDir: absolute,
		EntryPoints:   []string{entryPoint},
		Outdir:        "dist/assets",
		EntryNames:    "[name]-[hash]",
		ChunkNames:    "[name]-[hash]",
		AssetNames:    "[name]-[hash]",
		Bundle:        true,
		Splitting:     true,
		Format:        api.FormatESModule,
		Platform:      api.PlatformBrowser,
		// Browsers of 2024: light-dark() and subgrid are as old, and nothing is rewritten for
		// older ones.
		Target:            api.ES2023,
		JSX:               api.JSXAutomatic,
		JSXImportSource:   "preact",
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		MinifyWhitespace:  true,
		LegalComments:     api.LegalCommentsNone,
		Charset:           api.CharsetUTF8,
		Define:            map[string]string{"process.env.NODE_ENV": `"production"`},
		Metafile:          true,
		LogLevel:          api.LogLevelWarning,
	}, nil
}

// bundleOnce writes dist and prints the sizes of its files.
func bundleOnce(root string, out io.Writer) error {
	build, err := options(root)
	if err != nil {
		return err
	}
	result := api.Build(build)
	if len(result.Errors) > 0 {
		return errors.New("the sources have errors")
	}
	files, meta, err := distFiles(root, result)
	if err != nil {
		return err
	}
	if err := writeDist(filepath.Join(root, "dist"), files); err != nil {
		return err
	}
	return report(out, files, meta)
}

// watchBundle rebuilds dist after each change until the channel says to stop.
func watchBundle(root string, stop <-chan os.Signal) error {
	build, err := options(root)
	if err != nil {
		return err
	}
	build.LogLevel = api.LogLevelInfo
	build.Plugins = []api.Plugin{{Name: "dist", Setup: func(plugin api.PluginBuild) {
		plugin.OnEnd(func(result *api.BuildResult) (api.OnEndResult, error) {
			if len(result.Errors) > 0 {
				return api.OnEndResult{}, nil
			}
			files, _, err := distFiles(root, *result)
			if err == nil {
				err = writeDist(filepath.Join(root, "dist"), files)
			}
			return api.OnEndResult{}, err
		})
	}}}
	context, contextErr := api.Context(build)
	if contextErr != nil {
		return contextErr
	}
	defer context.Dispose()
	if err := context.Watch(api.WatchOptions{}); err != nil {
		return err
	}
	<-stop
	return nil
}

// bundleTests writes each src/**/*.test.ts as a program of its own for Node.
func bundleTests(root, out string) error {
	absoluteOut, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	build, err := options(root)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(absoluteOut); err != nil {
		return err
	}
	build.EntryPoints = []string{"src/**/*.test.ts"}
	build.Outdir = absoluteOut
	build.EntryNames = "[dir]/[name]"
	build.OutExtension = map[string]string{".js": ".mjs"}
	build.Splitting = false
	build.Platform = api.PlatformNode
	build.MinifyIdentifiers, build.MinifySyntax, build.MinifyWhitespace = false, false, false
	build.Sourcemap = api.SourceMapInline
	build.Write = true
	if result := api.Build(build); len(result.Errors) > 0 {
		return errors.New("the unit tests have errors")
	}
	return nil
}

// metafile is the part of esbuild's description of a build that is used here.
type metafile struct {
	Outputs map[string]output `json:"outputs"`
}

// output describes one file that the build made, by its path below the web directory.
type output struct {
	EntryPoint string              `json:"entryPoint"`
	CSSBundle  string              `json:"cssBundle"`
	Imports    []imported          `json:"imports"`
	Inputs     map[string]struct{} `json:"inputs"`
}

type imported struct {
	Path string `json:"path"`
	Kind string `json:"kind"`
}

// distFiles returns the files of dist by their path below it.
func distFiles(root string, result api.BuildResult) (map[string][]byte, metafile, error) {
	var meta metafile
	if err := json.Unmarshal([]byte(result.Metafile), &meta); err != nil {
		return nil, meta, fmt.Errorf("esbuild's metafile: %w", err)
	}
	dist, err := filepath.Abs(filepath.Join(root, "dist"))
	if err != nil {
		return nil, meta, err
	}
	files := make(map[string][]byte)
	for _, file := range result.OutputFiles {
		name, err := filepath.Rel(dist, file.Path)
		if err != nil {
			return nil, meta, err
		}
		files[filepath.ToSlash(name)] = file.Contents
	}
	page, err := indexPage(root, meta)
	if err != nil {
		return nil, meta, err
	}
	files["index.html"] = page
	licenses, err := bundledLicenses(root, meta)
	if err != nil {
		return nil, meta, err
	}
	files["assets/licenses.txt"] = licenses
	return files, meta, nil
}

// indexPage fills the names of the first script, of the scripts that it imports and of the style
// sheet into the template.
func indexPage(root string, meta metafile) ([]byte, error) {
	page, err := os.ReadFile(filepath.Join(root, template))
	if err != nil {
		return nil, err
	}
	first, err := firstLoad(meta)
	if err != nil {
		return nil, err
	}
	var links bytes.Buffer
	for i, name := range first {
		relative := strings.TrimPrefix(name, "dist/")
		switch {
		case strings.HasSuffix(name, ".css"):
			fmt.Fprintf(&links, "    <link rel=\"stylesheet\" href=\"%s\">\n", relative)
		case i == 0:
			fmt.Fprintf(&links, "    <script type=\"module\" src=\"%s\"></script>\n", relative)
		default:
			fmt.Fprintf(&links, "    <link rel=\"modulepreload\" href=\"%s\">\n", relative)
		}
	}
	const mark = "    <!-- assets -->\n"
	if !bytes.Contains(page, []byte(mark)) {
		return nil, fmt.Errorf("%s has no line %q", template, strings.TrimSpace(mark))
	}
	return bytes.Replace(page, []byte(mark), links.Bytes(), 1), nil
}

// writeDist writes the files and removes whatever else is in the directory.
func writeDist(dist string, files map[string][]byte) error {
	if err := os.RemoveAll(dist); err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(dist, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // sources, for everyone to read
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil { //nolint:gosec // as above
			return err
		}
	}
	return nil
}
