package rpc_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// answered is an answer that has been read.
type answered struct {
	code    int
	header  http.Header
	cookies []*http.Cookie
	text    string
}

// browse sends a request to the path of sessions.
func browse(t *testing.T, method, address, body string, change func(*http.Request)) answered {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+"/session", strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	change(request)
	resp, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return answered{code: resp.StatusCode, header: resp.Header, cookies: resp.Cookies(), text: string(text)}
}

func logIn(t *testing.T, address, token string) answered {
	t.Helper()
	body, err := json.Marshal(map[string]string{"token": token})
	require.NoError(t, err)
	return browse(t, http.MethodPost, address, string(body), func(*http.Request) {})
}

// keyOf returns the key of a login.
func keyOf(t *testing.T, login answered) string {
	t.Helper()
	var body struct{ Key string }
	require.NoError(t, json.Unmarshal([]byte(login.text), &body))
	require.Regexp(t, `^[\w-]{43}$`, body.Key)
	return body.Key
}

// inSession sends what a browser does after a login.
func inSession(t *testing.T, login answered) func(*http.Request) {
	t.Helper()
	key := keyOf(t, login)
	return func(r *http.Request) {
		r.AddCookie(login.cookies[0])
		r.Header.Set("Headrace-Session-Key", key)
	}
}

// A page on another port of the host gets the cookie, but not the key.
func TestACookieWithoutItsKeyIsNoSession(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	login, other := logIn(t, b.HTTPAddr, b.AdminToken), logIn(t, b.HTTPAddr, b.AdminToken)
	require.NotEqual(t, keyOf(t, login), keyOf(t, other))
	for name, key := range map[string]string{"none": "", "the cookie": login.cookies[0].Value, "that of another session": keyOf(t, other)} {
		with := func(r *http.Request) {
			r.AddCookie(login.cookies[0])
			r.Header.Set("Headrace-Session-Key", key)
		}
		require.Equal(t, http.StatusUnauthorized, browse(t, http.MethodGet, b.HTTPAddr, "", with).code, name)
		browse(t, http.MethodDelete, b.HTTPAddr, "", with)
		c := connect.NewClient[v1.WhoAmIRequest, v1.WhoAmIResponse](http.DefaultClient, "http://"+b.HTTPAddr+v1.ServerService_WhoAmI_FullMethodName)
		request := connect.NewRequest(&v1.WhoAmIRequest{})
		request.Header().Set("Cookie", login.cookies[0].Name+"="+login.cookies[0].Value)
		request.Header().Set("Headrace-Session-Key", key)
		_, err := c.CallUnary(t.Context(), request)
		require.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err), name)
	}
	answer := browse(t, http.MethodGet, b.HTTPAddr, "", inSession(t, login))
	require.Equal(t, http.StatusOK, answer.code, "the session goes on")
	require.NotContains(t, answer.text, `"key"`)
}

func TestALoginEndsTheSessionBefore(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	first := inSession(t, logIn(t, b.HTTPAddr, b.AdminToken))
	again := func(token string) answered {
		return browse(t, http.MethodPost, b.HTTPAddr, `{"token": "`+token+`"}`, first)
	}
	require.Equal(t, http.StatusUnauthorized, again("hr_wrong").code)
	require.Equal(t, http.StatusOK, browse(t, http.MethodGet, b.HTTPAddr, "", first).code, "a mistake does not end it")

	second := inSession(t, again(b.AdminToken))
	require.Equal(t, http.StatusUnauthorized, browse(t, http.MethodGet, b.HTTPAddr, "", first).code)
	require.Equal(t, http.StatusOK, browse(t, http.MethodGet, b.HTTPAddr, "", second).code)
}

func TestBrowsersLogInAndOut(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	b.Account("other")
	token := b.Token("ann", []string{"leads"}, backendtest.Binding("default", viewer), backendtest.Binding("default", approver), backendtest.Binding("other", admin))

	refused := logIn(t, b.HTTPAddr, "hr_wrong")
	require.Equal(t, http.StatusUnauthorized, refused.code)
	require.Empty(t, refused.cookies)
	require.JSONEq(t, `{"code": "unauthenticated", "message": "the token is unknown, revoked or expired; ask an admin for a new one"}`, refused.text)

	answer := logIn(t, b.HTTPAddr, token)
	require.Equal(t, http.StatusOK, answer.code)
	require.Equal(t, "no-store", answer.header.Get("Cache-Control"))
	cookie := answer.cookies[0]
	require.Regexp(t, `^__Host-headrace=[\w-]{43}; Path=/; Max-Age=60\d{4}; HttpOnly; Secure; SameSite=Lax$`, answer.header.Get("Set-Cookie"))
	var who struct {
		Principal  string
		Groups     []string
		Accounts   map[string][]string
		ExpireTime time.Time `json:"expire_time"`
	}
	text := answer.text
	require.NoError(t, json.Unmarshal([]byte(text), &who))
	require.Equal(t, "ann", who.Principal)
	require.Equal(t, []string{"leads"}, who.Groups)
	require.Equal(t, map[string][]string{"default": {"viewer", "approver"}, "other": {"admin"}}, who.Accounts)
	require.WithinDuration(t, time.Now().Add(12*time.Hour), who.ExpireTime, time.Minute)
	require.NotContains(t, text, token)

	with, key := inSession(t, answer), keyOf(t, answer)
	asked := browse(t, http.MethodGet, b.HTTPAddr, "", with)
	require.Equal(t, http.StatusOK, asked.code)
	require.JSONEq(t, strings.Replace(text, `,"key":"`+key+`"`, "", 1), asked.text)
	require.Equal(t, http.StatusUnauthorized, browse(t, http.MethodGet, b.HTTPAddr, "", func(*http.Request) {}).code)

	whoAmI := func(change func(http.Header)) (string, connect.Code) {
		c := connect.NewClient[v1.WhoAmIRequest, v1.WhoAmIResponse](http.DefaultClient, "http://"+b.HTTPAddr+v1.ServerService_WhoAmI_FullMethodName)
		request := connect.NewRequest(&v1.WhoAmIRequest{})
		request.Header().Set("Cookie", cookie.Name+"="+cookie.Value)
		request.Header().Set("Headrace-Session-Key", key)
		change(request.Header())
		resp, err := c.CallUnary(t.Context(), request)
		if err != nil {
			return "", connect.CodeOf(err)
		}
		return resp.Msg.GetPrincipal(), 0
	}
	asItIs := func(http.Header) {}
	name, _ := whoAmI(asItIs)
	require.Equal(t, "ann", name)
	name, _ = whoAmI(func(h http.Header) { h.Set("Authorization", "Bearer "+b.AdminToken) })
	require.NotEqual(t, "ann", name, "a token goes before the session")
	_, code := whoAmI(func(h http.Header) { h.Set("Authorization", "Bearer hr_wrong") })
	require.Equal(t, connect.CodeUnauthenticated, code)
	_, code = whoAmI(func(h http.Header) { h.Set("Origin", "https://evil.example") })
	require.Equal(t, connect.CodePermissionDenied, code)

	// Sessions survive a restart, since they are in the database.
	b.Restart()
	name, _ = whoAmI(asItIs)
	require.Equal(t, "ann", name)

	out := browse(t, http.MethodDelete, b.HTTPAddr, "", with)
	require.Equal(t, http.StatusNoContent, out.code)
	require.Negative(t, out.cookies[0].MaxAge)
	_, code = whoAmI(asItIs)
	require.Equal(t, connect.CodeUnauthenticated, code)
	require.Equal(t, http.StatusUnauthorized, browse(t, http.MethodGet, b.HTTPAddr, "", with).code)
	require.Equal(t, http.StatusNoContent, browse(t, http.MethodDelete, b.HTTPAddr, "", with).code)
}

func TestLoginsOfOtherPagesAreRefused(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	body := `{"token": "` + b.AdminToken + `"}`
	for name, change := range map[string]func(*http.Request){
		"of another origin": func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"of another site":   func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"of a form":         func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
		"of another host":   func(r *http.Request) { r.Host = "evil.example" },
		"by another method": func(r *http.Request) { r.Method = http.MethodPut },
		"that is not JSON":  func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("token=x")), 7 },
		"that is very large": func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat(" ", 5000)+body)), -1
		},
	} {
		answer := browse(t, http.MethodPost, b.HTTPAddr, body, change)
		require.GreaterOrEqual(t, answer.code, 400, name)
		require.Empty(t, answer.cookies, name)
	}
	require.Equal(t, http.StatusOK, browse(t, http.MethodPost, b.HTTPAddr, body, func(r *http.Request) {
		r.Header.Set("Origin", "http://"+b.HTTPAddr)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}).code)
}

func TestFailedLoginsOfAnAddressAreBounded(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	failed := 0
	for logIn(t, b.HTTPAddr, "hr_wrong").code == http.StatusUnauthorized {
		failed++
	}
	require.Equal(t, 100, failed)
	answer := logIn(t, b.HTTPAddr, "hr_wrong")
	require.Equal(t, http.StatusTooManyRequests, answer.code)
	require.NotEmpty(t, answer.header.Get("Retry-After"))
	require.Contains(t, answer.text, "too many failed logins from 127.0.0.1")
	require.Equal(t, http.StatusOK, logIn(t, b.HTTPAddr, b.AdminToken).code, "others do not keep a valid token out")

	// One mistake of a colleague does not keep out those of an address that logged in lately.
	other := backendtest.Start(t)
	require.Equal(t, http.StatusOK, logIn(t, other.HTTPAddr, other.AdminToken).code)
	for range 150 {
		require.Equal(t, http.StatusUnauthorized, logIn(t, other.HTTPAddr, "hr_wrong").code)
	}
	require.Equal(t, http.StatusOK, logIn(t, other.HTTPAddr, other.AdminToken).code)
}
