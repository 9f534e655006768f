package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// public is where browsers reach the HTTP listener if that is not by its address. Its zero value
// says nothing about that.
type public struct {
	// name is the host without a port, in lower case; origin is scheme://host[:port].
	name, origin string
	// path is what all paths start with, without a slash at the end. It is empty for none.
	path string
}

// publicOf reads a URL that the configuration has checked.
func publicOf(text string) (public, error) {
	if text == "" {
		return public{}, nil
	}
	parsed, err := url.Parse(text)
	if err != nil {
		return public{}, fmt.Errorf("ui-url: %w", err)
	}
	return public{
		name: strings.ToLower(parsed.Hostname()), origin: parsed.Scheme + "://" + strings.ToLower(parsed.Host), path: parsed.Path,
	}, nil
}

// belowPath serves what is below the path as if it were not. A proxy may have cut the path off,
// so requests without it are served as they are.
func (p public) belowPath(next http.Handler) http.Handler {
	if p.path == "" {
		return next
	}
	below := http.StripPrefix(p.path, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == p.path || strings.HasPrefix(r.URL.Path, p.path+"/") {
			below.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// sameOrigin refuses writes that a page of another origin had a browser send. Requests of other
// programs have no origin.
func (p public) sameOrigin() (*http.CrossOriginProtection, error) {
	protection := http.NewCrossOriginProtection()
	if p.origin != "" {
		// A proxy may have replaced the host that browsers asked for.
		if err := protection.AddTrustedOrigin(p.origin); err != nil {
			return nil, fmt.Errorf("ui-url: %w", err)
		}
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusForbidden, "the request comes from a page of another origin; if the server is behind a proxy, set ui-url to the URL that browsers open")
	}))
	return protection, nil
}
