package rpc

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/vanguard"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/internal/listen"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

// PathPrefix is what the paths of all methods of the contract start with.
const PathPrefix = "/headrace.v1."

const (
	// maxBody bounds what the body of a request takes: a message, its envelope, and what JSON
	// adds to it. The message itself is bounded by maxRequestSize.
	maxBody = maxRequestSize + maxRequestSize/2
	// noMethod is the answer for paths and headers that are not those of a call.
	noMethod = "no such method: send a POST request with a Connect or gRPC-Web content type; unary Connect calls also need the " +
		"header \"Connect-Protocol-Version: 1\""
	// unreadable begins the answer to a message that gRPC cannot read.
	unreadable = "the message of the call cannot be read: "
)

// errNoCertificate refuses a caller that gRPC's handshake would have refused.
var errNoCertificate = status.Error(codes.Unauthenticated, "no valid client certificate: use one signed by an authority in the server's tls-client-ca-file")

// door lets calls of browsers in, which come by HTTP/1.1 or HTTP/2 as Connect or gRPC-Web, and
// hands them to the gRPC server. gRPC's filter before messages, its deadlines and the bounds of
// its connections do not hold for such calls, so the door applies them.
type door struct {
	gate  *gate
	inner http.Handler
	// certificates is set if callers need a client certificate beside a token, as they do for
	// gRPC.
	certificates bool
	// errors writes refusals as gRPC does.
	errors *connect.ErrorWriter

	mu   sync.Mutex
	open int
	// closed is set when no more calls are let in; idle is closed when the last one has ended
	// after that.
	closed bool
	idle   chan struct{}
}

func newDoor(g *gate, inner http.Handler, certificates bool) *door {
	return &door{gate: g, inner: inner, certificates: certificates, errors: connect.NewErrorWriter(), idle: make(chan struct{})}
}

// handler returns what translates the protocols to gRPC's and passes on to call. It reads a
// message only when call does.
func (d *door) handler() (http.Handler, error) {
	inner := http.HandlerFunc(d.call)
	var services []*vanguard.Service
	seen := make(map[string]bool)
	for _, m := range contract.Methods() {
		if name := string(m.Parent().FullName()); !seen[name] {
			seen[name] = true
			services = append(services, vanguard.NewService(name, inner))
		}
	}
	transcoder, err := vanguard.NewTranscoder(services,
		vanguard.WithDefaultServiceOptions(
			vanguard.WithTargetProtocols(vanguard.ProtocolGRPC),
			vanguard.WithTargetCodecs(vanguard.CodecProto),
			vanguard.WithNoTargetCompression(),
			vanguard.WithMaxMessageBufferBytes(maxAnswerSize),
		),
		vanguard.WithCodec(func(types vanguard.TypeResolver) vanguard.Codec {
			// Fields that this server does not know are errors, as they are in binary (ADR 19).
			return jsonCodec{JSONCodec: &vanguard.JSONCodec{
				MarshalOptions: protojson.MarshalOptions{Resolver: types}, UnmarshalOptions: protojson.UnmarshalOptions{Resolver: types},
			}}
		}),
		vanguard.WithCompression(vanguard.CompressionGzip,
			func() connect.Compressor { return gzip.NewWriter(io.Discard) },
			func() connect.Decompressor { return &boundedGzip{} },
		),
		vanguard.WithUnknownHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, noMethod, http.StatusNotFound)
		})),
	)
	if err != nil {
		return nil, err
	}
	compressors := &sync.Pool{New: newCompressor}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Calls by GET could be caused by links, and kept by caches.
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, noMethod, http.StatusMethodNotAllowed)
			return
		}
		most := d.gate.mostOf(r.URL.Path)
		body := &incoming{ReadCloser: http.MaxBytesReader(w, r.Body, most), most: most, size: r.ContentLength, packed: isPacked(r.Header)}
		r = r.WithContext(context.WithValue(r.Context(), incomingKey{}, body))
		r.Body = body
		if takesGzip(r) {
			answer := &compressedWriter{ResponseWriter: w, pool: compressors}
			defer answer.finish()
			w = answer
		}
		transcoder.ServeHTTP(w, r)
	}), nil
}

// incomingKey leads to the body of the request.
type incomingKey struct{}

// incoming is the body of a request as it comes from the caller.
type incoming struct {
	io.ReadCloser
	// most is how many bytes may be read, size how many the request announces, -1 if it does not.
	most, size int64
	// packed is set if the message is compressed.
	packed bool

	mu    sync.Mutex
	ended bool
	// undo is called at the end of the body, if it is not nil.
	undo func()
}

// Read implements io.Reader.
func (b *incoming) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.ended = true; b.undo != nil {
			b.undo()
			b.undo = nil
		}
	}
	return n, err
}

// untilEnd does something that holds until the end of the body, which undo is called at. It does
// nothing if the end has been read.
func (b *incoming) untilEnd(do, undo func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended {
		do()
		b.undo = undo
	}
}

// isPacked tells whether the message of a request is compressed, in any of the protocols.
func isPacked(header http.Header) bool {
	for _, name := range []string{"Content-Encoding", "Connect-Content-Encoding", "Grpc-Encoding"} {
		if coding := header.Get(name); coding != "" && coding != vanguard.CompressionIdentity {
			return true
		}
	}
	return false
}

// call serves a call that has been translated to gRPC.
func (d *door) call(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if conn := listen.From(ctx); conn != nil {
		ctx = peer.NewContext(ctx, &peer.Peer{Addr: conn.RemoteAddr()})
	}
	path := r.URL.Path
	if !d.enter() {
		d.refuse(w, r, d.gate.newCall(path).end(ctx, nil, status.Error(codes.Unavailable, errDraining.Error())))
		return
	}
	defer d.leave()
	if d.refuses(r) {
		connOf(ctx).Refused()
		d.refuse(w, r, d.gate.newCall(path).end(ctx, nil, errNoCertificate))
		return
	}
	if secret := sessionOf(r); secret != "" {
		ctx = context.WithValue(ctx, sessionKey{}, secret)
	}
	ctx, err := d.gate.enter(ctx, path, metadata.MD{"authorization": r.Header.Values("Authorization")})
	if err == nil {
		err = d.gate.fits(ctx, path)
	}
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	r.Header.Del("Cookie")
	r.Header.Del(keyHeader)
	d.serve(w, r.WithContext(ctx), d.gate.methods[path])
}

// refuses tells whether a request lacks a client certificate.
func (d *door) refuses(r *http.Request) bool {
	return d.certificates && (r.TLS == nil || len(r.TLS.VerifiedChains) == 0)
}

// mostOf returns how many bytes the body of a call of a method may have.
func (g *gate) mostOf(path string) int64 {
	if m, ok := g.methods[path]; ok && m.open() {
		return strangerBytes
	}
	return maxBody
}

// fits refuses a call whose message is too large, or could become so, before any of it is read.
func (g *gate) fits(ctx context.Context, path string) error {
	body, ok := ctx.Value(incomingKey{}).(*incoming)
	if !ok {
		return nil
	}
	c := g.newCall(path)
	if body.size > body.most {
		return c.end(ctx, nil, status.Errorf(codes.ResourceExhausted, "the request must be at most %d bytes, got %d", body.most, body.size))
	}
	if body.packed && c.method.open() {
		// A few bytes of a stranger could become megabytes.
		return c.end(ctx, nil, status.Error(codes.Unimplemented, "calls of methods that need no token must not be compressed"))
	}
	return nil
}

// serve has the gRPC server serve a call that was let in, within the deadline of its context.
func (d *door) serve(w http.ResponseWriter, r *http.Request, m method) {
	ctx, control := r.Context(), http.NewResponseController(w)
	answer := &answerWriter{ResponseWriter: w, control: control}
	if body, ok := ctx.Value(incomingKey{}).(*incoming); ok {
		// HTTP/1.1 reads the rest of the request before it answers, and gRPC before it returns, so
		// it must not take long.
		answer.begin = sync.OnceFunc(func() {
			body.untilEnd(
				func() { _ = control.SetReadDeadline(time.Now().Add(d.gate.messageTimeout)) },
				func() { _ = control.SetReadDeadline(time.Time{}) },
			)
		})
	}
	read := new(atomic.Bool)
	r = r.WithContext(context.WithValue(ctx, readKey{}, read))
	if !m.open() {
		// From here on the context bounds the call. An error means that the connection is
		// broken, which the call finds too.
		_ = control.SetReadDeadline(time.Time{})
		if answer.stall = d.gate.stall; m.streams {
			_ = control.SetWriteDeadline(time.Time{})
		} else {
			_ = control.SetWriteDeadline(time.Now().Add(d.gate.callTimeout + d.gate.stall))
			answer.stall = 0
		}
	}
	// A reader of the body would go on waiting for it, because reading holds a lock.
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = control.SetReadDeadline(time.Unix(1, 0))
	})
	d.inner.ServeHTTP(answer, r)
	if !stop() {
		<-interrupted
	}
	// gRPC takes the end of a context that waits for a message for a cancellation.
	if w.Header().Get("Grpc-Status") == "" || errors.Is(context.Cause(ctx), errNoMessage) {
		d.cutOff(answer, r)
	} else if !read.Load() && w.Header().Get("Grpc-Status") == strconv.Itoa(int(codes.Internal)) {
		// gRPC could not read the message, which it takes for a fault of the server.
		w.Header().Set("Grpc-Status", strconv.Itoa(int(codes.InvalidArgument)))
		w.Header().Set("Grpc-Message", unreadable+w.Header().Get("Grpc-Message"))
	}
	if answer.stall > 0 {
		// What remains to be written is the end of the stream.
		_ = control.SetWriteDeadline(time.Now().Add(answer.stall))
	}
}

// cutOff answers a call that the gRPC server ended without a status, because its context or the
// server has ended.
func (d *door) cutOff(w *answerWriter, r *http.Request) {
	s := status.New(codes.Unavailable, errDraining.Error())
	if cause := context.Cause(r.Context()); errors.Is(cause, errNoMessage) {
		s = status.New(codes.DeadlineExceeded, errNoMessage.Error())
	} else if err := r.Context().Err(); err != nil {
		s, _ = toStatus(r.Context(), err)
	}
	if !w.began {
		d.refuse(w, r, s.Err())
		return
	}
	// The server has declared these trailers.
	w.Header().Set("Grpc-Status", strconv.Itoa(int(s.Code())))
	w.Header().Set("Grpc-Message", s.Message())
}

// refuse answers a call with a status. An error means that the caller is gone.
func (d *door) refuse(w http.ResponseWriter, r *http.Request, err error) {
	// HTTP/1.1 discards the rest of the request before it answers, so it must not take long.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d.gate.messageTimeout))
	s := status.Convert(err)
	refusal := connect.NewError(connect.Code(s.Code()), errors.New(s.Message()))
	for _, packed := range s.Proto().GetDetails() {
		if detail, err := connect.NewErrorDetail(packed); err == nil {
			refusal.AddDetail(detail)
		}
	}
	_ = d.errors.Write(w, r, refusal)
}

// enter counts a call, until leave; it returns false if no more are let in.
func (d *door) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.open++
	return true
}

func (d *door) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open--; d.open == 0 && d.closed {
		close(d.idle)
	}
}

// finish lets no more calls in, and waits for the open ones until the context ends.
func (d *door) finish(ctx context.Context) {
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		if d.open == 0 {
			close(d.idle)
		}
	}
	d.mu.Unlock()
	select {
	case <-d.idle:
	case <-ctx.Done():
	}
}

// answerWriter notes whether an answer has begun, and bounds how long each write of a stream
// may take.
type answerWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	// stall is 0 for answers that have one deadline.
	stall time.Duration
	began bool
	// begin is called when the answer begins, if it is not nil.
	begin func()
}

func (w *answerWriter) start() {
	w.began = true
	if w.begin != nil {
		w.begin()
	}
}

// Unwrap is for http.ResponseController.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *answerWriter) WriteHeader(code int) {
	w.start()
	w.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (w *answerWriter) Write(p []byte) (int, error) {
	w.start()
	defer w.limit()()
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher. An error ends the context of the call.
func (w *answerWriter) Flush() {
	w.start()
	defer w.limit()()
	_ = w.control.Flush()
}

// limit sets the deadline of a write of a stream. A deadline that passes while nothing is
// written would end a stream of HTTP/2, so it is cleared after the write.
func (w *answerWriter) limit() (end func()) {
	if w.stall == 0 {
		return func() {}
	}
	_ = w.control.SetWriteDeadline(time.Now().Add(w.stall))
	return func() { _ = w.control.SetWriteDeadline(time.Time{}) }
}

// jsonCodec says that JSON which is not a message is the caller's mistake.
type jsonCodec struct{ *vanguard.JSONCodec }

// Unmarshal implements vanguard.Codec.
func (c jsonCodec) Unmarshal(data []byte, into proto.Message) error {
	if err := c.JSONCodec.Unmarshal(data, into); err != nil {
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	return nil
}
