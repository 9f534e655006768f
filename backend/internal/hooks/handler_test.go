package hooks_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/generic"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitea"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/github"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitlab"
	"github.com/headrace/terraform-provider-headrace/backend/internal/hooks"
)

const (
	secret   = "the secret of the webhook"
	path     = "q0J6xkTn3PZ2rVb7Yw9sEg"
	name     = "accounts/dev/webhooks/web"
	before   = "95790bf891e76fee5e1747ab589903a6a1f80f22"
	after    = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7"
	push     = `{"ref":"refs/heads/main","before":"` + before + `","after":"` + after + `","repository":{"id":7,"full_name":"acme/web"}}`
	patience = time.Minute
)

// intake keeps what it gets. It stands for the store and its decisions, which have tests of
// their own, so that each answer of theirs can be had.
type intake struct {
	mu sync.Mutex
	// webhooks are those of the store, and remembered are what Webhook returns instead.
	webhooks   map[string]forge.Webhook
	remembered map[string]forge.Webhook
	deliveries []forge.Delivery
	refusals   []forge.Refusal
	lookup     error
	deliver    error
	arrived    chan struct{}
}

func (i *intake) Webhook(ctx context.Context, kind forge.Kind, path string) (forge.Webhook, error) {
	i.mu.Lock()
	webhook, found := i.remembered[path]
	i.mu.Unlock()
	if found {
		return webhook, nil
	}
	return i.CurrentWebhook(ctx, kind, path)
}

func (i *intake) CurrentWebhook(_ context.Context, kind forge.Kind, path string) (forge.Webhook, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.lookup != nil {
		return forge.Webhook{}, i.lookup
	}
	if webhook, found := i.webhooks[path]; found && webhook.Kind == kind {
		return webhook, nil
	}
	return forge.Webhook{}, forge.ErrNoWebhook
}

func (i *intake) Deliver(ctx context.Context, delivery forge.Delivery) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.deliver != nil {
		return i.deliver
	}
	if i.webhooks[path].Etag != delivery.Etag {
		return forge.ErrWebhookChanged
	}
	i.deliveries = append(i.deliveries, delivery)
	i.tell()
	return nil
}

func (i *intake) Refuse(_ context.Context, refusal forge.Refusal) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.refusals = append(i.refusals, refusal)
	i.tell()
	return nil
}

func (i *intake) tell() {
	select {
	case i.arrived <- struct{}{}:
	default:
	}
}

func (i *intake) got() (deliveries []forge.Delivery, refusals []forge.Refusal) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append(deliveries, i.deliveries...), append(refusals, i.refusals...)
}

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// bench is a handler with what it reaches.
type bench struct {
	t        *testing.T
	intake   *intake
	clock    *clock
	config   hooks.Config
	handler  *hooks.Handler
	mu       sync.Mutex
	outcomes map[hooks.Outcome]int
}

func newBench(t *testing.T, trusted ...string) *bench {
	t.Helper()
	b := &bench{
		t: t, clock: &clock{now: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}, outcomes: make(map[hooks.Outcome]int),
		intake: &intake{webhooks: make(map[string]forge.Webhook), arrived: make(chan struct{}, 1)},
	}
	for kind, at := range map[forge.Kind]string{forge.GitHub: path, forge.GitLab: path + "L", forge.Gitea: path + "T", forge.Generic: path + "G"} {
		b.intake.webhooks[at] = forge.Webhook{
			Name: name, Kind: kind, Secrets: []forge.Secret{{Version: 2, Value: secret}},
			Authentication: forge.Authentication{HMAC: &forge.HMAC{Header: "X-Proof"}},
		}
	}
	var proxies []netip.Prefix
	for _, text := range trusted {
		proxies = append(proxies, netip.MustParsePrefix(text))
	}
	b.config = hooks.Config{
		Intake: b.intake, Clock: b.clock.Now, Log: hclog.NewNullLogger(), TrustedProxies: proxies,
		Formats: map[forge.Kind]forge.Format{
			forge.GitHub: github.Deliveries{}, forge.GitLab: gitlab.Deliveries{}, forge.Gitea: gitea.Deliveries{},
			forge.Generic: generic.Deliveries{},
		},
		Observe: func(_ forge.Kind, outcome hooks.Outcome, _ time.Duration) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.outcomes[outcome]++
		},
	}
	b.handler = hooks.NewHandler(b.config)
	return b
}

func sign(body string) string {
	sum := hmac.New(sha256.New, []byte(secret))
	sum.Write([]byte(body))
	return hex.EncodeToString(sum.Sum(nil))
}

// delivery is a request of GitHub with a right signature.
func delivery(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/hooks/github/"+path, strings.NewReader(body))
	r.RemoteAddr = "192.0.2.1:4000"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", "push")
	r.Header.Set("X-GitHub-Delivery", "guid")
	r.Header.Set("X-Hub-Signature-256", "sha256="+sign(body))
	return r
}

func (b *bench) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w
}

func TestAVerifiedDeliveryIsStoredWithoutSecrets(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := delivery(push)
	r.Header.Set("User-Agent", "GitHub-Hookshot/1\x1b[31m\xff")
	r.Header.Set("X-Hub-Signature", "sha1=00")
	r.Header.Set("Authorization", "Bearer abc")
	r.Header.Set("Cookie", "session=abc")
	r.Header.Set("X-Gitlab-Token", "abc")
	r.Header.Set("X-Forwarded-Client-Cert", "abc")
	r.Header.Set("X-Elsewhere", "leaked: "+secret)
	require.Equal(t, http.StatusAccepted, b.send(r).Code)
	deliveries, refusals := b.intake.got()
	require.Empty(t, refusals)
	require.Equal(t, []forge.Delivery{{
		Content: forge.Content{ID: "guid", Event: "push", Body: []byte(push)},
		Webhook: name, Kind: forge.GitHub, SecretVersion: 2, Address: "192.0.2.1", ReceiveTime: b.clock.Now(),
		Headers: map[string]string{
			"Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/1[31m\uFFFD", "X-Github-Event": "push", "X-Github-Delivery": "guid",
		},
		Signals: []forge.Signal{{
			Kind: forge.RefMoved, Repository: forge.Repository{FullName: "acme/web", ID: 7}, Ref: "refs/heads/main",
			Before: before, After: after,
		}},
	}}, deliveries)
	require.Equal(t, map[hooks.Outcome]int{hooks.Accepted: 1}, b.outcomes)
}

func TestFormsOfGitHubAreRead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := delivery(url.Values{"payload": {push}}.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, http.StatusAccepted, b.send(r).Code)
	deliveries, _ := b.intake.got()
	require.JSONEq(t, push, string(deliveries[0].Body))
}

func TestADeliveryThatStartsNothingIsStoredAndAccepted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := delivery(`{"action":"created"}`)
	r.Header.Set("X-GitHub-Event", "star")
	require.Equal(t, http.StatusAccepted, b.send(r).Code, "GitLab switches off webhooks that answer with errors")
	deliveries, _ := b.intake.got()
	require.Contains(t, deliveries[0].Ignored, `"star"`)
	require.Equal(t, map[hooks.Outcome]int{hooks.IgnoredOutcome: 1}, b.outcomes)
}

func TestThePathChoosesTheParser(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	// Gitea sends its own headers and GitHub's.
	r := delivery(push)
	r.Header.Set("X-Gitea-Event", "push")
	r.Header.Set("X-Gitea-Delivery", "gitea")
	r.Header.Set("X-Gitea-Signature", sign(push))
	r.URL.Path = "/hooks/gitea/" + path + "T"
	require.Equal(t, http.StatusAccepted, b.send(r).Code)
	deliveries, _ := b.intake.got()
	require.Equal(t, forge.Gitea, deliveries[0].Kind)
	require.Equal(t, "gitea", deliveries[0].ID)

	r = delivery(push)
	r.URL.Path = "/hooks/gitea/" + path
	require.Equal(t, http.StatusNotFound, b.send(r).Code, "a path of another kind")
}

func TestUnknownPathsAreAllAnsweredTheSameWay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var answers []string
	for _, target := range []string{
		"/", "/hooks", "/hooks/", "/hooks/github", "/hooks/github/", "/hooks/github/x", "/hooks/unknown/" + path, "/hooks/github/" + path + "/x",
		"/hooks/gitlab/" + path, "/hooks/github/" + strings.Repeat("x", 5000), "/metrics", "/healthz",
	} {
		r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(push))
		w := b.send(r)
		require.Equal(t, http.StatusNotFound, w.Code, target)
		answers = append(answers, w.Body.String())
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut} {
		w := b.send(httptest.NewRequest(method, "/hooks/github/"+path, nil))
		require.Equal(t, http.StatusNotFound, w.Code, method)
	}
	for _, text := range answers {
		require.Equal(t, "Not Found\n", text)
	}
	deliveries, refusals := b.intake.got()
	require.Empty(t, deliveries)
	require.Empty(t, refusals)
}

// endless is a body without an end, which counts how much of it was read.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.read += int64(len(p))
	return len(p), nil
}

func TestRefusedDeliveriesChangeNothing(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	_, _ = io.WriteString(zipped, push)
	require.NoError(t, zipped.Close())
	signed := func(body, contentType string) func() *http.Request {
		return func() *http.Request {
			r := delivery(body)
			r.Header.Set("Content-Type", contentType)
			return r
		}
	}
	for name, test := range map[string]struct {
		request func() *http.Request
		status  int
		reason  forge.Reason
	}{
		"forged": {func() *http.Request {
			r := delivery(push)
			r.Header.Set("X-Hub-Signature-256", "sha256="+sign(push+" "))
			return r
		}, http.StatusUnauthorized, forge.SignatureInvalid},
		"unsigned": {func() *http.Request {
			r := delivery(push)
			r.Header.Del("X-Hub-Signature-256")
			return r
		}, http.StatusUnauthorized, forge.SignatureMissing},
		"gzip": {func() *http.Request {
			r := delivery(packed.String())
			r.Header.Set("Content-Encoding", "gzip")
			return r
		}, http.StatusUnsupportedMediaType, forge.EncodingUnsupported},
		"gzip that does not say so": {signed(packed.String(), "application/json"), http.StatusBadRequest, forge.Malformed},
		"deep":                      {signed(strings.Repeat(`{"a":`, 1_000_000), "application/json"), http.StatusBadRequest, forge.Malformed},
		"a name twice":              {signed(push[:len(push)-1]+`,"ref":"refs/heads/evil"}`, "application/json"), http.StatusBadRequest, forge.Malformed},
		"UTF-16":                    {signed("\xff\xfe{\x00}\x00", "application/json"), http.StatusBadRequest, forge.Malformed},
		"escapes in a ref":          {signed(strings.Replace(push, "heads/main", `heads/\u001b[31m`, 1), "application/json"), http.StatusBadRequest, forge.Malformed},
		"markup in a name":          {signed(strings.Replace(push, "acme/web", `<script>/web`, 1), "application/json"), http.StatusBadRequest, forge.Malformed},
		"two payloads": {
			signed(url.Values{"payload": {push, push}}.Encode(), "application/x-www-form-urlencoded"), http.StatusBadRequest, forge.Malformed,
		},
		"JSON as a form": {signed(push, "application/x-www-form-urlencoded"), http.StatusBadRequest, forge.Malformed},
		"a null":         {signed(`null`, "application/json"), http.StatusBadRequest, forge.Malformed},
		"empty":          {signed(``, "application/json"), http.StatusBadRequest, forge.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			w := b.send(test.request())
			require.Equal(t, test.status, w.Code)
			require.Equal(t, http.StatusText(test.status)+"\n", w.Body.String(), "the sender learns a status")
			deliveries, refusals := b.intake.got()
			require.Empty(t, deliveries)
			require.Len(t, refusals, 1)
			require.Equal(t, test.reason, refusals[0].Reason)
			require.Equal(t, "192.0.2.1", refusals[0].Address)
			require.NotEmpty(t, refusals[0].Message)
			require.NotContains(t, refusals[0].Message, "\x1b")
			require.NotContains(t, refusals[0].Message, secret)
			require.Equal(t, map[hooks.Outcome]int{hooks.Refused: 1}, b.outcomes)
		})
	}
}

func TestBodiesAreBoundedWhileTheyAreRead(t *testing.T) {
	t.Parallel()
	for target, limit := range map[string]int64{"/hooks/github/" + path: 25 << 20, "/hooks/generic/" + path + "G": 1 << 20} {
		b := newBench(t)
		declared := &endless{}
		r := httptest.NewRequest(http.MethodPost, target, declared)
		r.ContentLength = limit + 1
		require.Equal(t, http.StatusRequestEntityTooLarge, b.send(r).Code)
		require.Zero(t, declared.read, "a body that is said to be too large is not read")

		chunked := &endless{}
		r = httptest.NewRequest(http.MethodPost, target, chunked)
		r.ContentLength = -1
		require.Equal(t, http.StatusRequestEntityTooLarge, b.send(r).Code)
		require.Less(t, chunked.read, 2*limit)
		_, refusals := b.intake.got()
		require.Len(t, refusals, 2)
		require.Equal(t, forge.BodyTooLarge, refusals[1].Reason)
	}
}

func TestTheLargestBodyOfAForgeIsTaken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	body := push[:len(push)-1] + `,"commits":["` + strings.Repeat("x", 25<<20-len(push)-len(`,"commits":[""]`)) + `"]}`
	require.Len(t, body, 25<<20)
	require.Equal(t, http.StatusAccepted, b.send(delivery(body)).Code)
}

func TestOnlyAnAddressThatIsNotVerifiedIsThrottled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	forged := func(address string) *http.Request {
		r := delivery(push)
		r.Header.Set("X-Hub-Signature-256", "sha256="+sign("another"))
		r.RemoteAddr = address
		return r
	}
	const evil, neighbour, other = "[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8:0:1::1]:1"
	for range 100 {
		require.Equal(t, http.StatusUnauthorized, b.send(forged(evil)).Code)
	}
	body := &endless{}
	r := forged(neighbour)
	r.Body = io.NopCloser(body)
	w := b.send(r)
	require.Equal(t, http.StatusTooManyRequests, w.Code, "an address of IPv6 is its /64")
	require.Equal(t, "36", w.Header().Get("Retry-After"))
	require.Zero(t, body.read, "the body is not read")
	_, refusals := b.intake.got()
	require.Len(t, refusals, 100, "nothing is stored of it either")
	require.Equal(t, http.StatusUnauthorized, b.send(forged(other)).Code, "another network")
	good := delivery(push)
	good.RemoteAddr = other
	require.Equal(t, http.StatusAccepted, b.send(good).Code)

	b.clock.move(36 * time.Second)
	require.Equal(t, http.StatusUnauthorized, b.send(forged(evil)).Code, "one is forgiven in 36 s")
	require.Equal(t, http.StatusTooManyRequests, b.send(forged(evil)).Code)
	b.clock.move(36 * time.Second)
	good = delivery(push)
	good.RemoteAddr = evil
	require.Equal(t, http.StatusAccepted, b.send(good).Code)
	for range 300 {
		require.Equal(t, http.StatusUnauthorized, b.send(forged(evil)).Code, "a repository with a wrong secret does not keep its forge away")
	}
	good = delivery(push)
	good.RemoteAddr = evil
	require.Equal(t, http.StatusAccepted, b.send(good).Code)

	for range 1000 {
		require.Equal(t, http.StatusAccepted, b.send(delivery(push)).Code, "a busy forge is never throttled")
	}
	for range 1000 {
		r := delivery(push)
		r.URL.Path += "x"
		require.Equal(t, http.StatusNotFound, b.send(r).Code)
	}
	require.Equal(t, http.StatusAccepted, b.send(delivery(push)).Code, "unknown paths are not held against an address")
}

func TestAMalformedDeliveryIsNotHeldAgainstItsAddress(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 200 {
		require.Equal(t, http.StatusBadRequest, b.send(delivery(`{`)).Code)
	}
}

func TestTheAddressIsTheLastThatNobodyCouldMakeUp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"no proxy":                 {"192.0.2.1:1", nil, "192.0.2.1"},
		"nobody asked":             {"192.0.2.1:1", []string{"203.0.113.9"}, "192.0.2.1"},
		"a proxy":                  {"10.0.0.1:1", []string{"203.0.113.9"}, "203.0.113.9"},
		"a proxy with a liar":      {"10.0.0.1:1", []string{"198.51.100.1, 203.0.113.9"}, "203.0.113.9"},
		"two headers":              {"10.0.0.1:1", []string{"198.51.100.1", "203.0.113.9"}, "203.0.113.9"},
		"two proxies":              {"10.0.0.1:1", []string{"198.51.100.1, 203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		"a proxy that says none":   {"10.0.0.1:1", nil, "10.0.0.1"},
		"a proxy that says no one": {"10.0.0.1:1", []string{"unknown"}, "10.0.0.1"},
		"a broken chain":           {"10.0.0.1:1", []string{"203.0.113.9, , 10.0.0.2"}, "10.0.0.2"},
		"only proxies":             {"10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"with a port":              {"10.0.0.1:1", []string{"203.0.113.9:80"}, "203.0.113.9"},
		"IPv6":                     {"10.0.0.1:1", []string{"2001:db8::1"}, "2001:db8::1"},
		"IPv6 in brackets":         {"10.0.0.1:1", []string{"[2001:db8::1]:80"}, "2001:db8::1"},
		"IPv4 as IPv6":             {"[::ffff:10.0.0.1]:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "10.0.0.0/8")
			r := delivery(push)
			r.RemoteAddr = test.peer
			r.Header["X-Forwarded-For"] = test.forwarded
			require.Equal(t, http.StatusAccepted, b.send(r).Code)
			deliveries, _ := b.intake.got()
			require.Equal(t, test.want, deliveries[0].Address)
		})
	}
}

func TestAForgeIsToldToComeBackIfNothingCanBeStored(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.intake.deliver = &forge.BusyError{RetryAfter: 90 * time.Second}
	w := b.send(delivery(push))
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, "90", w.Header().Get("Retry-After"))
	b.intake.deliver = errors.New("disk full at /var/lib")
	w = b.send(delivery(push))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "30", w.Header().Get("Retry-After"))
	require.NotContains(t, w.Body.String(), "disk")
	b.intake.deliver = forge.ErrNoWebhook
	require.Equal(t, http.StatusNotFound, b.send(delivery(push)).Code, "the webhook was deleted since")
	b.intake.deliver, b.intake.lookup = nil, errors.New("no database")
	require.Equal(t, http.StatusServiceUnavailable, b.send(delivery(push)).Code)
	require.Equal(t, map[hooks.Outcome]int{hooks.Unavailable: 3, hooks.UnknownPath: 1}, b.outcomes)
}

func TestADeliveryIsStoredThoughItsForgeHungUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	r := delivery(push).WithContext(ctx)
	read := &endOf{Reader: strings.NewReader(push), then: cancel}
	r.Body = io.NopCloser(read)
	b.send(r)
	deliveries, _ := b.intake.got()
	require.Len(t, deliveries, 1)
	require.Error(t, ctx.Err())
}

// endOf calls a function at the end of a reader.
type endOf struct {
	io.Reader
	then func()
}

func (e *endOf) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err != nil {
		e.then()
	}
	return n, err
}

// serve serves a handler on a free port.
func (b *bench) serve(change func(*http.Server)) string {
	b.t.Helper()
	server := hooks.NewServer(b.handler, nil, nil)
	if change != nil {
		change(server)
	}
	listener, err := (&net.ListenConfig{}).Listen(b.t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(b.t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	b.t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return listener.Addr().String()
}

func TestABodyThatNeverEndsIsGivenUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.Pace = hooks.Pace{Grace: 50 * time.Millisecond, Rate: 1 << 20}
	b.handler = hooks.NewHandler(b.config)
	address := b.serve(func(s *http.Server) {
		require.Greater(t, s.ReadTimeout, 30*time.Second, "slow forges have time")
		require.Greater(t, s.WriteTimeout, s.ReadTimeout)
	})
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer func() { _ = connection.Close() }()
	_, err = io.WriteString(connection, "POST /hooks/github/"+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: "+strconv.Itoa(len(push))+"\r\n\r\n{")
	require.NoError(t, err)
	select {
	case <-b.intake.arrived:
	case <-time.After(patience):
		require.FailNow(t, "the request was not given up")
	}
	_, refusals := b.intake.got()
	require.Equal(t, forge.BodyIncomplete, refusals[0].Reason)
}

// stalled is a body that arrives in part, and then not until it is let.
type stalled struct {
	size    int
	arrived func()
	let     <-chan struct{}
}

func (s *stalled) Read(p []byte) (int, error) {
	if s.size == 0 {
		s.arrived()
		<-s.let
		return 0, io.ErrUnexpectedEOF
	}
	n := min(s.size, len(p))
	s.size -= n
	return n, nil
}

// One address that sends large bodies which never end does not keep out others, whether they
// are known or not.
func TestOneSenderCannotFillTheRoomForBodies(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const senders, largest = 11, 25 << 20
	let, states := make(chan struct{}), make(chan int, 2*senders)
	var group sync.WaitGroup
	for range senders {
		group.Go(func() {
			r := delivery("")
			r.RemoteAddr = "198.51.100.7:1"
			r.ContentLength = largest
			r.Body = io.NopCloser(&stalled{size: largest - 1, let: let, arrived: func() { states <- 0 }})
			states <- b.send(r).Code
		})
	}
	// Each stalls or has its answer, the last one after it waited for room.
	held := 0
	for range senders {
		if status := <-states; status == 0 {
			held++
		} else {
			require.Equal(t, http.StatusServiceUnavailable, status)
		}
	}
	large := push[:len(push)-1] + strings.Repeat(" ", largest-len(push)) + "}"
	require.Equal(t, http.StatusAccepted, b.send(delivery(large)).Code)
	require.LessOrEqual(t, held, 1, "an address has room for one of the largest bodies")
	close(let)
	group.Wait()
	good := delivery(large)
	good.RemoteAddr = "198.51.100.7:1"
	require.Equal(t, http.StatusAccepted, b.send(good).Code, "the room is free again")
}

func TestManyDeliveriesAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	address := b.serve(nil)
	var group sync.WaitGroup
	statuses := make(chan int, 1000)
	for range 50 {
		group.Go(func() {
			for i := range 20 {
				r := delivery(push)
				if i%4 == 3 {
					r.Header.Set("X-Hub-Signature-256", "sha256="+sign("another"))
				}
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+r.URL.Path, strings.NewReader(push))
				if err != nil {
					continue
				}
				request.Header = r.Header
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					continue
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				statuses <- response.StatusCode
			}
		})
	}
	group.Wait()
	close(statuses)
	counts := make(map[int]int)
	for status := range statuses {
		counts[status]++
	}
	require.Equal(t, map[int]int{http.StatusAccepted: 750, http.StatusUnauthorized: 250}, counts)
	deliveries, refusals := b.intake.got()
	require.Len(t, deliveries, 750)
	require.Len(t, refusals, 250)
}

func FuzzHandler(f *testing.F) {
	f.Add("github", path, "push", "application/json", "1.2.3.4", []byte(push))
	f.Add("generic", path+"G", "", "application/x-www-form-urlencoded", ",,", []byte("payload=1"))
	f.Add("gitlab", path+"L", "Push Hook", "", "::1", []byte(`{}`))
	f.Fuzz(func(t *testing.T, kind, at, event, contentType, forwarded string, body []byte) {
		b := newBench(t, "192.0.2.0/24")
		r := httptest.NewRequest(http.MethodPost, "/hooks/x/y", bytes.NewReader(body))
		r.URL.Path = "/hooks/" + kind + "/" + at
		for _, name := range []string{"X-GitHub-Event", "X-Gitlab-Event", "X-Gitea-Event"} {
			r.Header.Set(name, event)
		}
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("X-Forwarded-For", forwarded)
		b.send(r)
		if deliveries, _ := b.intake.got(); len(deliveries) > 0 {
			t.Fatalf("an unsigned delivery was stored: %+v", deliveries)
		}
	})
}
