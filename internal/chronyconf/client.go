// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"math"

	"foliot/internal/config"
)

func (p *parser) clientDirectives() map[string]directive {
	c := &p.cfg.Client
	return map[string]directive{
		"acquisitionport": one(integer(&c.AcquisitionPort, 0, math.MaxUint16)),
		"bindacqaddress":  one(perFamily(&c.BindAddr4, &c.BindAddr6)),
		"bindacqdevice":   one(text(&c.BindDevice)),
		"dscp":            one(integer(&c.DSCP, 0, 63)),
		"hwtimestamp":     {1, -1, p.hwTimestamp},
		"hwtstimeout":     one(number(&c.HWTimeout, 0, inf)),
		"maxsamples":      one(integer(&c.MaxSamples, 0, maxInt32)),
		"maxtxbuffers":    one(integer(&c.MaxTxBuffers, 0, maxInt32)),
		"minsamples":      one(integer(&c.MinSamples, 0, maxInt32)),
		"refresh":         one(number(&c.Refresh, 0, maxInt32)),
	}
}

var rxFilters = map[string]config.RxFilter{
	"all": config.RxAll, "ntp": config.RxNTP, "ptp": config.RxPTP, "none": config.RxNone,
}

func (p *parser) hwTimestamp(s *statement) error {
	h := config.DefaultHWTimestamp(s.args[0])
	h.Origin = s.origin
	seen, err := s.options(s.args[1:], map[string]option{
		"maxpoll":    value(integer(&h.MaxPoll, -6, 20)),
		"maxsamples": value(integer(&h.MaxSamples, 1, 1024)),
		"minpoll":    value(integer(&h.MinPoll, -6, 20)),
		"minsamples": value(integer(&h.MinSamples, 1, 1024)),
		"nocrossts":  flag(&h.NoCrossTS),
		"precision":  value(number(&h.Precision, 0, inf)),
		"rxcomp":     value(number(&h.RxComp, -inf, inf)),
		"rxfilter":   value(choice(&h.RxFilter, rxFilters)),
		"txcomp":     value(number(&h.TxComp, -inf, inf)),
	})
	if err != nil {
		return err
	}
	if !seen["maxpoll"] {
		h.MaxPoll = min(h.MinPoll+1, 20)
	}
	h.MaxPoll = max(h.MaxPoll, h.MinPoll)
	p.cfg.Client.HWTimestamps = append(p.cfg.Client.HWTimestamps, h)
	return nil
}
