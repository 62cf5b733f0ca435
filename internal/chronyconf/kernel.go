// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"slices"
	"strings"

	"foliot/internal/config"
)

// maxIfaceName is the length of the longest name of an interface, IFNAMSIZ of
// linux/if.h without the end.
const maxIfaceName = 15

// xdp is a directive of ours: `xdp serve INTERFACE... [mode native|generic]`. An
// interface that is named again is served as the last line says.
func (p *parser) xdp(s *statement) error {
	if word := s.args[0]; !strings.EqualFold(word, "serve") {
		return s.badOption("%s%s", word, prefixed(didYouMean(strings.ToLower(word), []string{"serve"})))
	}
	var mode config.XDPMode
	names := s.args[1:]
	if i := slices.IndexFunc(names, func(w string) bool { return strings.EqualFold(w, "mode") }); i >= 0 {
		known := map[string]option{"mode": value(choice(&mode, map[string]config.XDPMode{
			"auto": config.XDPAny, "native": config.XDPNative, "generic": config.XDPGeneric,
		}))}
		if _, err := s.options(names[i:], known); err != nil {
			return err
		}
		names = names[:i]
	}
	if len(names) == 0 {
		return s.bad("xdp serve needs the name of an interface, or auto")
	}
	if last := strings.ToLower(names[len(names)-1]); len(names) > 1 && (last == "native" || last == "generic") && mode == config.XDPAny {
		return s.bad("%s is a mode: write mode %s (an interface of that name comes first)", last, last)
	}
	for _, name := range names {
		if len(name) > maxIfaceName || strings.ContainsAny(name, "/:") {
			return s.bad("%s is not the name of an interface (1 to %d characters, no slash, no colon)", name, maxIfaceName)
		}
		p.serveAt(config.XDPServe{Origin: s.origin, Interface: name, Mode: mode})
	}
	return nil
}

func (p *parser) serveAt(x config.XDPServe) {
	list := &p.cfg.Server.Kernel.Serve
	if strings.EqualFold(x.Interface, config.XDPAuto) {
		x.Interface = config.XDPAuto
	}
	*list = slices.DeleteFunc(*list, func(o config.XDPServe) bool { return o.Interface == x.Interface })
	*list = append(*list, x)
}
