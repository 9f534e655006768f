package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/listen"
	"github.com/headrace/terraform-provider-headrace/backend/internal/sender"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

const (
	// SessionPath is where browsers log in and out.
	SessionPath = "/session"
	// sessionMethod names it in logs and metrics.
	sessionMethod = SessionPath
	// cookie is the cookie of a session. Its prefix makes browsers refuse one that another host
	// or a page without TLS has set.
	cookie = "__Host-headrace"
	// keyHeader has the part of a session's secret that is not in the cookie. Browsers send a cookie
	// to all ports of a host, and so to a listener that an action has opened there, but keep the key
	// for the pages of one origin.
	keyHeader = "Headrace-Session-Key"
	// maxLogin bounds the body of a login, far above a token.
	maxLogin = 4 << 10
)

// sessionOf returns the secret of the session that a request comes from, empty for none. A cookie
// without the key is none.
func sessionOf(r *http.Request) string {
	found, err := r.Cookie(cookie)
	key := r.Header.Get(keyHeader)
	if err != nil || found.Value == "" || key == "" {
		return ""
	}
	return auth.SessionSecret(found.Value, key)
}

// sessions logs browsers in and out.
type sessions struct {
	gate *gate
	door *door
	// limits are those of failed logins.
	limits  *sender.Limits
	proxies []netip.Prefix
}

// whoBody is the answer to a login, and to the question who is logged in.
type whoBody struct {
	Principal string   `json:"principal"`
	Groups    []string `json:"groups"`
	// Accounts are the roles in each account, and in "*" those in all.
	Accounts map[string][]auth.Role `json:"accounts"`
	// ExpireTime is when the session ends if it is not used.
	ExpireTime time.Time `json:"expire_time"`
	// Key is what the browser sends in keyHeader with each call. Only a login returns it.
	Key string `json:"key,omitempty"`
}

// Sessions serves SessionPath: POST {"token": "..."} logs in, GET says who is logged in, DELETE logs
// out. Proxies are trusted to say in X-Forwarded-For whom a request comes from.
func (s *Server) Sessions(proxies []netip.Prefix) http.Handler {
	return &sessions{gate: s.gate, door: s.door, limits: sender.NewLimits(), proxies: proxies}
}

// ServeHTTP implements http.Handler.
func (s *sessions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	c := &call{gate: s.gate, path: sessionMethod, method: method{reads: r.Method == http.MethodGet}, began: s.gate.clock()}
	conn := listen.From(r.Context())
	ctx := r.Context()
	if conn != nil {
		ctx = peer.NewContext(ctx, &peer.Peer{Addr: conn.RemoteAddr()})
	}
	leave, ok := conn.Begin()
	if !ok {
		s.answer(ctx, w, c, nil, errTooManyCalls)
		return
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, s.gate.anonymousTimeout)
	defer cancel()
	var who *whoBody
	var err error
	switch {
	case s.door.refuses(r):
		err = errNoCertificate
	case r.Method == http.MethodGet:
		who, err = s.who(ctx, r)
	case r.Method == http.MethodPost:
		who, err = s.logIn(ctx, w, r)
	case r.Method == http.MethodDelete:
		err = s.logOut(ctx, w, r)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		http.Error(w, "method not allowed: use POST to log in, GET to read the session, DELETE to log out", http.StatusMethodNotAllowed)
		return
	}
	if err == nil && who != nil {
		c.principal = who.Principal
		conn.Authenticate()
	}
	s.answer(ctx, w, c, who, err)
}

// who returns who is logged in.
func (s *sessions) who(ctx context.Context, r *http.Request) (*whoBody, error) {
	secret := sessionOf(r)
	if secret == "" {
		return nil, &service.Error{Kind: service.KindUnauthenticated, Reason: pipeline.ReasonUnauthenticated, Message: "not logged in"}
	}
	who, session, err := s.gate.accounts.AuthenticateSession(ctx, secret)
	if err != nil {
		return nil, err
	}
	return bodyOf(who, session), nil
}

// logIn gives the browser a session of the token that it sends, and ends the one that it had.
func (s *sessions) logIn(ctx context.Context, w http.ResponseWriter, r *http.Request) (*whoBody, error) {
	// Forms cannot send this type, and pages of other origins may not.
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, errNotJSON
	}
	address, now := sender.Address(r, s.proxies), s.gate.clock()
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.gate.messageTimeout))
	var body struct {
		Token string `json:"token"`
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLogin))
	if err == nil {
		err = json.Unmarshal(data, &body)
	}
	if err != nil {
		return nil, errNotJSON
	}
	who, session, secret, err := s.gate.accounts.LogIn(ctx, strings.TrimSpace(body.Token), sessionOf(r))
	var refusal *service.Error
	if errors.As(err, &refusal) {
		// A valid token always logs in, or strangers could keep others of their address out.
		if wait := s.limits.Wait(address, sessionMethod, now); wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
			return nil, exhausted(wait, "too many failed logins from "+address.String()+"; try again later")
		}
		s.limits.Refused(address, sessionMethod, now)
	}
	if err != nil {
		return nil, err
	}
	s.limits.Verified(address, sessionMethod, now)
	shown, key, _ := strings.Cut(secret, ".")
	setCookie(w, shown, session.EndsAt.Sub(now))
	answer := bodyOf(who, session)
	answer.Key = key
	return answer, nil
}

// logOut ends the session of the browser.
func (s *sessions) logOut(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	secret := sessionOf(r)
	if secret == "" {
		return nil
	}
	if err := s.gate.accounts.LogOut(ctx, secret); err != nil {
		return err
	}
	setCookie(w, "", 0)
	return nil
}

// setCookie sets the cookie for a time, or removes it.
func setCookie(w http.ResponseWriter, value string, life time.Duration) {
	seconds := int(life.Seconds())
	if seconds <= 0 {
		seconds = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookie, Value: value, Path: "/", MaxAge: seconds, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

var (
	errNotJSON = &service.Error{
		Kind: service.KindInvalid, Message: `the body must be {"token": "TOKEN"} with the content type application/json`,
	}
	errTooManyCalls = &service.Error{
		Kind: service.KindExhausted, Reason: pipeline.ReasonLimitExceeded, Message: "too many calls without a token at once on this connection; try again",
	}
)

// answer answers a request. An error of writing means that the caller is gone.
func (s *sessions) answer(ctx context.Context, w http.ResponseWriter, c *call, who *whoBody, err error) {
	refused := c.end(ctx, nil, err)
	w.Header().Set("Content-Type", "application/json")
	if refused != nil {
		listen.From(ctx).Refused()
		st := status.Convert(refused)
		w.WriteHeader(httpStatus(st.Code()))
		_ = json.NewEncoder(w).Encode(map[string]string{"code": connect.Code(st.Code()).String(), "message": st.Message()})
		return
	}
	if who == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	_ = json.NewEncoder(w).Encode(who)
}

func bodyOf(who auth.Identity, session auth.Session) *whoBody {
	body := &whoBody{
		Principal: who.Principal, Groups: append([]string{}, who.Groups...), Accounts: make(map[string][]auth.Role), ExpireTime: session.IdleAt,
	}
	if session.EndsAt.Before(body.ExpireTime) {
		body.ExpireTime = session.EndsAt
	}
	body.ExpireTime = body.ExpireTime.Truncate(time.Second)
	for _, b := range who.Bindings {
		body.Accounts[b.Account] = append(body.Accounts[b.Account], b.Role)
	}
	return body
}

// httpStatus returns the status of HTTP that Connect has for a code.
func httpStatus(code codes.Code) int {
	switch code {
	case codes.InvalidArgument:
		return http.StatusBadRequest
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}
