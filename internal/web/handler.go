// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"embed"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

//go:embed assets
var assets embed.FS

// kinds are the content types of the assets that are served as they are.
var kinds = map[string]string{
	"style.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
}

// policy lets a page load what this server has, and do nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// handler is everything that the server answers. Paths are exact: a ServeMux
// would redirect to a path that it mends, and so repeat what it was sent.
func (s *Server) handler() http.Handler {
	paths := map[string]http.Handler{
		"/": http.HandlerFunc(s.page), "/healthz": http.HandlerFunc(s.health), "/metrics": s.cfg.Metrics,
	}
	for name, kind := range kinds {
		body, err := assets.ReadFile("assets/" + name)
		if err != nil {
			panic("web: " + err.Error()) // it is embedded
		}
		paths["/"+name] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { send(w, kind, body) })
	}
	return s.guard(paths)
}

// guard refuses what no path has a use for, and forbids browsers what the page
// does not do. Answers do not repeat anything of the request.
func (s *Server) guard(paths map[string]http.Handler) http.Handler {
	local := s.cfg.Listen.Addr().IsLoopback()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "there is nothing to send here", http.StatusMethodNotAllowed)
		case local && !ownName(r.Host):
			http.Error(w, "this address is asked for by another name", http.StatusForbidden)
		case paths[r.URL.Path] == nil:
			http.NotFound(w, r)
		default:
			paths[r.URL.Path].ServeHTTP(w, r)
		}
	})
}

// ownName tells whether a Host header names this machine by an address or as
// localhost. A name that somebody's DNS makes point here is how a page from
// elsewhere would read ours (DNS rebinding).
func ownName(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	_, err = netip.ParseAddr(name)
	return err == nil
}

func send(w http.ResponseWriter, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Write(body) // a client that went away needs no answer
}

// page is the status page.
func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	now := s.cfg.State()
	if now == nil {
		http.Error(w, "the daemon is about to end", http.StatusServiceUnavailable)
		return
	}
	var b bytes.Buffer
	if err := page.Execute(&b, s.view(now)); err != nil {
		s.cfg.Log.Warn("render status page: " + err.Error())
		http.Error(w, "the page could not be rendered", http.StatusInternalServerError)
		return
	}
	send(w, "text/html; charset=utf-8", b.Bytes())
}

// health tells whether the daemon is alive: its loop answers. A clock that is not
// synchronised is no reason to start the daemon again, so it is told, not failed.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	now := s.cfg.State()
	if now == nil {
		http.Error(w, "ending", http.StatusServiceUnavailable)
		return
	}
	send(w, "text/plain; charset=utf-8", fmt.Appendf(nil, "alive\n%s\n", headline(now)))
}
