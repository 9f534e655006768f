// Package ui serves the files of the web UI to browsers. It must never know what is in them, nor
// answer anything that depends on who asks.
package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	index = "index.html"
	// base is the placeholder in index.html for the base path.
	base = `<base href="/">`
	// assets is the directory of everything else.
	assets = "assets/"
	// least is the size from which compression is worth it.
	least = 1 << 10
	// policy lets a page load scripts, styles and answers from its own origin alone, and makes
	// none of a string. base-uri is for the base of index.html.
	policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
		"frame-ancestors 'none'; base-uri 'self'; form-action 'self'; require-trusted-types-for 'script'; trusted-types 'none'"
)

// hashed are names that change with the content of their files.
var hashed = regexp.MustCompile(`-[0-9A-Z]{8}\.\w+$`)

// Config is what a Handler serves.
type Config struct {
	// Files are index.html and assets/. Nil if the program was built without the UI.
	Files fs.FS
	// Changing is set if the files may change while they are served, for development.
	Changing bool
	// Base is the path that browsers find the UI below, without a slash at the end. It is empty
	// for none.
	Base string
}

// Handler serves the UI. Paths that are not those of an asset are views, which index.html shows.
type Handler struct {
	config Config
	// kept are all files by their names, nil if they may change.
	kept map[string]*file
}

// New returns a handler. It fails if the files are not those of the UI.
func New(config Config) (*Handler, error) {
	h := &Handler{config: config}
	if config.Files == nil {
		return h, nil
	}
	if _, err := h.load(index); err != nil {
		return nil, fmt.Errorf("load the web UI: %w", err)
	}
	if config.Changing {
		return h, nil
	}
	h.kept = make(map[string]*file)
	err := fs.WalkDir(config.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		h.kept[name], err = h.load(name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load the web UI: %w", err)
	}
	return h, nil
}

// Protect adds the headers that tell browsers what a page of this origin may do.
func Protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed: use GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	isAsset := strings.HasPrefix(name, assets)
	switch {
	case isAsset:
	case name == "" || strings.Contains(r.Header.Get("Accept"), "text/html"):
		name = index
	default:
		http.NotFound(w, r)
		return
	}
	if h.config.Files == nil {
		http.Error(w, "this headraced was built without the web UI (build tag noui); use the headrace command line", http.StatusNotFound)
		return
	}
	found, err := h.find(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		http.NotFound(w, r)
	case err != nil:
		http.Error(w, "cannot read the file: "+err.Error(), http.StatusInternalServerError)
	default:
		found.serve(w, r, name, isAsset && hashed.MatchString(name) && !h.config.Changing)
	}
}

func (h *Handler) find(name string) (*file, error) {
	if !fs.ValidPath(name) {
		return nil, fs.ErrNotExist
	}
	if h.kept == nil {
		return h.load(name)
	}
	if found, ok := h.kept[name]; ok {
		return found, nil
	}
	return nil, fs.ErrNotExist
}

// file is a file as it is sent.
type file struct {
	data []byte
	etag string
	// compressed returns the file compressed by gzip, nil if that is not worth it.
	compressed func() []byte
}

// load reads a file. The one of index.html has the base path.
func (h *Handler) load(name string) (*file, error) {
	info, err := fs.Stat(h.config.Files, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	data, err := fs.ReadFile(h.config.Files, name)
	if err != nil {
		return nil, err
	}
	if name == index {
		if bytes.Count(data, []byte(base)) != 1 {
			return nil, errors.New(index + " must contain " + base + " exactly once")
		}
		data = bytes.Replace(data, []byte(base), []byte(`<base href="`+html.EscapeString(h.config.Base)+`/">`), 1)
	}
	sum := sha256.Sum256(data)
	return &file{data: data, etag: hex.EncodeToString(sum[:12]), compressed: sync.OnceValue(func() []byte { return compress(data) })}, nil
}

func compress(data []byte) []byte {
	if len(data) < least {
		return nil
	}
	var packed bytes.Buffer
	// A buffer takes everything, and the level is one that exists.
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	_, _ = w.Write(data)
	_ = w.Close()
	if packed.Len() >= len(data) {
		return nil
	}
	return packed.Bytes()
}

func (f *file) serve(w http.ResponseWriter, r *http.Request, name string, immutable bool) {
	header := w.Header()
	header.Set("Content-Type", typeOf(name))
	header.Set("Vary", "Accept-Encoding")
	header.Set("Cache-Control", "no-cache")
	if immutable {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	data, etag := f.data, f.etag
	if takesGzip(r.Header.Get("Accept-Encoding")) {
		if packed := f.compressed(); packed != nil {
			data, etag = packed, f.etag+"-gzip"
			header.Set("Content-Encoding", "gzip")
		}
	}
	header.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
}

// takesGzip reads Accept-Encoding.
func takesGzip(accepted string) bool {
	for coding := range strings.SplitSeq(accepted, ",") {
		name, quality, _ := strings.Cut(strings.TrimSpace(coding), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			quality = strings.ReplaceAll(quality, " ", "")
			return quality != "q=0" && !strings.HasPrefix(quality, "q=0.0")
		}
	}
	return false
}

// typeOf returns the type of a file. The tables of the machine may say something else.
func typeOf(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".json", ".map":
		return "application/json"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".woff2":
		return "font/woff2"
	default:
		return "application/octet-stream"
	}
}
