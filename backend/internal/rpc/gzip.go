package rpc

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"connectrpc.com/connect"
)

// leastCompressed is the size from which an answer is compressed: about a packet.
const leastCompressed = 1400

// compressedWriter compresses the answers of unary calls of Connect, whose length is known when
// they begin. Answers of streams are sent as they are.
type compressedWriter struct {
	http.ResponseWriter
	// pool has gzip.Writers, which take much memory to make.
	pool  *sync.Pool
	began bool
	// packed is nil for an answer that is not compressed.
	packed *gzip.Writer
}

// Unwrap is for http.ResponseController.
func (w *compressedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *compressedWriter) WriteHeader(code int) {
	if !w.began {
		w.began = true
		if header := w.Header(); code == http.StatusOK && compressible(header) {
			header.Del("Content-Length")
			header.Set("Content-Encoding", "gzip")
			if packed, ok := w.pool.Get().(*gzip.Writer); ok {
				w.packed = packed
				packed.Reset(w.ResponseWriter)
			}
		}
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (w *compressedWriter) Write(p []byte) (int, error) {
	if !w.began {
		w.WriteHeader(http.StatusOK)
	}
	if w.packed != nil {
		return w.packed.Write(p)
	}
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher. What is compressed is complete only with finish.
func (w *compressedWriter) Flush() {
	if w.packed == nil {
		_ = http.NewResponseController(w.ResponseWriter).Flush()
	}
}

// finish ends the answer. An error means that the caller is gone.
func (w *compressedWriter) finish() {
	if w.packed == nil {
		return
	}
	_ = w.packed.Close()
	w.packed.Reset(io.Discard)
	w.pool.Put(w.packed)
}

// newCompressor returns a gzip.Writer that favours speed.
func newCompressor() any {
	// The level exists.
	w, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	return w
}

// compressible tells whether an answer with a header is worth being compressed.
func compressible(header http.Header) bool {
	switch header.Get("Content-Type") {
	case "application/proto", "application/json":
	default:
		return false
	}
	length, err := strconv.Atoi(header.Get("Content-Length"))
	return err == nil && length >= leastCompressed && header.Get("Content-Encoding") == ""
}

// takesGzip tells whether the caller takes a compressed answer. Callers of the contract refuse no
// coding that they name.
func takesGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			return true
		}
	}
	return false
}

// boundedGzip decompresses a message of at most maxRequestSize: a small one could become
// gigabytes.
type boundedGzip struct {
	gzip.Reader
	left int64
}

// Reset implements connect.Decompressor.
func (b *boundedGzip) Reset(r io.Reader) error {
	b.left = maxRequestSize
	return notGzip(b.Reader.Reset(r))
}

// Close implements connect.Decompressor.
func (b *boundedGzip) Close() error { return notGzip(b.Reader.Close()) }

// notGzip says that data which cannot be decompressed is the caller's mistake.
func notGzip(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("the message is not valid gzip: %w", err))
}

// Read implements connect.Decompressor.
func (b *boundedGzip) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, connect.NewError(connect.CodeResourceExhausted, errors.New("the decompressed message is larger than "+strconv.Itoa(maxRequestSize)+" bytes"))
	}
	return n, notGzip(err)
}
