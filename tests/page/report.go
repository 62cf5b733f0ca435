// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"foliot/internal/rackstat"
	"foliot/internal/rackview"
	"foliot/internal/stability"
)

// demoReport is a run over racks of which one is behind, one is dead, and one has
// hosts that are off in several ways.
func demoReport(racks, each int) *rackstat.Report {
	g := rand.New(rand.NewPCG(3, 3))
	r := &rackstat.Report{Version: "0.3.0", Started: "2026-11-25T09:00:00Z", Seconds: 122, From: "probe1.dc2.example.net", Interval: 2, Asymmetry: 0.2,
		Self: rackstat.Self{Requests: 60 * uint64(racks*each), Answers: 59 * uint64(racks*each), LateP50: 3e-5, LateP99: 2e-4, DelayP50: 1.1e-4, DelayP99: 4e-4}}
	for i := range racks * each {
		rack := i / each
		h := rackstat.Host{Name: fmt.Sprintf("node%03d.r%d.example.net", i, rack), Address: fmt.Sprintf("10.4.%d.%d", rack, i%each+1), Rack: fmt.Sprint("r", rack+1),
			State: "ok", Measured: true, Synced: true, Sent: 60, Answered: 60, Samples: 60, Interleaved: 58, Stamps: "KK", Stratum: 2, Reference: fmt.Sprintf("10.0.0.%d", rack%3+1),
			RefID: 10<<24 | uint32(rack%3+1), Root: 2e-5, Delay: 8e-5 + 3e-5*g.Float64(), Skew: 2e-9, Drift: 1e-9 * g.NormFloat64()}
		h.Raw = 2e-6*g.NormFloat64() + 1e-6*float64(rack%5)
		switch {
		case rack == 2:
			h.Raw -= 4e-5
		case rack == 4:
			h.State, h.Measured, h.Synced, h.Answered, h.Loss = "no answer: down, filtered, or no NTP server (systemd-timesyncd is none)", false, false, 0, 1
		case i%37 == 5:
			h.Raw, h.Drift, h.Skew = 3e-4, 6e-6, 1e-7
		case i%41 == 7:
			h.Synced, h.Stratum, h.Raw = false, 16, 2e-4
		}
		h.Bound = h.Delay/10 + 2e-6
		if h.Measured {
			demoSeries(&h, g)
		}
		r.Hosts = append(r.Hosts, h)
	}
	r.Fill(rackstat.Median)
	r.Judge([]rackstat.Requirement{{Name: "p95", Limit: 1e-4}, {Name: "max", Limit: 1e-4}})
	return r
}

func demoSeries(h *rackstat.Host, g *rand.Rand) {
	var x []float64
	for k := range 60 {
		t, queue := 2*float64(k)+0.5, [2]float64{8e-6 * g.ExpFloat64(), 8e-6 * g.ExpFloat64()}
		o := h.Raw + h.Drift*(t-60) + (queue[0]-queue[1])/2
		h.Series = append(h.Series, rackstat.Point{t, o, h.Delay + queue[0] + queue[1]})
		x = append(x, o)
	}
	h.Jitter, h.SD = 6e-6, 4e-6
	h.Stability = stability.Of(x, 2)
}

// reportShots are how the report is looked at.
var reportShots = []struct {
	name, scheme string
	width        int
	racks, each  int
}{
	{"wide-light", "light", 1280, 12, 8}, {"wide-dark", "dark", 1280, 12, 8}, {"phone-light", "light", 390, 12, 8},
	{"phone-dark", "dark", 320, 12, 8}, {"few", "light", 768, 3, 4}, {"many", "light", 1280, 200, 10},
}

// checkReport looks at reports of racks.
func checkReport(program, out string) (wrong []string, err error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, err
	}
	if out, err = filepath.Abs(out); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	b, err := open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer b.close()
	v := &visitor{b: b}
	for _, s := range reportShots {
		file := filepath.Join(out, s.name+".html")
		if err := writeReport(file, demoReport(s.racks, s.each)); err != nil {
			return nil, err
		}
		v.url = "file://" + file
		if err := v.readReport(s.width, s.scheme, s.racks); err != nil {
			return nil, err
		}
		if err := v.picture(s.width, filepath.Join(out, s.name+".png")); err != nil {
			return nil, err
		}
	}
	return v.wrong, v.print(filepath.Join(out, "report.pdf"))
}

func writeReport(path string, r *rackstat.Report) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := rackview.HTML(f, r); err != nil {
		return err
	}
	return f.Close()
}

// readReport checks that everything is there, nothing sticks out, text is large
// enough and has contrast, and nothing is fetched.
func (v *visitor) readReport(width int, scheme string, racks int) error {
	v.b.take()
	for _, c := range []struct {
		method string
		params object
	}{
		{"Emulation.setDeviceMetricsOverride", object{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}},
		{"Emulation.setEmulatedMedia", object{"media": "screen", "features": []object{{"name": "prefers-color-scheme", "value": scheme}}}},
		{"Page.navigate", object{"url": v.url}},
	} {
		if err := v.b.call(c.method, c.params, nil); err != nil {
			return err
		}
	}
	at := fmt.Sprintf("report at %d, %s", width, scheme)
	for _, c := range []struct{ expression, otherwise string }{
		{"document.readyState === 'complete' && document.styleSheets.length === 1 && document.querySelector('footer')", "does not load"},
		{"document.documentElement.scrollWidth <= innerWidth", "sticks out"},
		{"document.querySelectorAll('svg').length === 7", "has not all plots"},
		{"[...document.querySelectorAll('svg')].every(s => s.getBoundingClientRect().width > Math.min(250, innerWidth - 60))", "has a plot that is too small"},
		{fmt.Sprintf("document.querySelectorAll('section table tbody tr').length >= %d", racks), "has not all racks"},
		{contrast, "has text without contrast"},
	} {
		if err := v.want(c.expression, at+" "+c.otherwise); err != nil {
			return err
		}
	}
	for _, m := range v.b.take() {
		if text := string(m.Params); m.Method == "Network.requestWillBeSent" && strings.Contains(text, `"url":"http`) || m.Method == "Log.entryAdded" || m.Method == "Runtime.exceptionThrown" {
			v.complain("%s: %s %.300s", at, m.Method, text)
		}
	}
	return nil
}

// contrast: text of all kinds stands out from what is behind it by the ratio 4.5 of
// WCAG 2.2.
const contrast = `[...document.querySelectorAll('p,th,td,li,figcaption,.tile span,.key span,b')].slice(0,400).every(e => {
const lum = c => { const v = c.match(/[\d.]+/g).slice(0,3).map(x => { x /= 255; return x <= .03928 ? x/12.92 : ((x+.055)/1.055)**2.4 }); return .2126*v[0]+.7152*v[1]+.0722*v[2] };
let p = e, bg = 'rgba(0, 0, 0, 0)';
while (p && bg === 'rgba(0, 0, 0, 0)') { bg = getComputedStyle(p).backgroundColor; p = p.parentElement }
if (bg === 'rgba(0, 0, 0, 0)') return false;
const a = lum(getComputedStyle(e).color), b = lum(bg);
return (Math.max(a,b)+.05)/(Math.min(a,b)+.05) >= 4.5 })`

// picture saves the whole page.
func (v *visitor) picture(width int, path string) error {
	var height float64
	if err := v.b.evaluate("document.documentElement.scrollHeight", &height); err != nil {
		return err
	}
	var shot struct{ Data []byte }
	err := v.b.call("Page.captureScreenshot", object{"format": "png", "captureBeyondViewport": true,
		"clip": object{"x": 0, "y": 0, "width": width, "height": math.Min(height, 6000), "scale": 1}}, &shot)
	if err != nil {
		return err
	}
	return os.WriteFile(path, shot.Data, 0o644)
}

// print saves the last page as it is printed.
func (v *visitor) print(path string) error {
	var pdf struct{ Data []byte }
	if err := v.b.call("Page.printToPDF", object{"printBackground": true, "paperWidth": 8.27, "paperHeight": 11.69}, &pdf); err != nil {
		return err
	}
	if len(pdf.Data) < 10_000 {
		v.complain("the printed report has %d octets", len(pdf.Data))
	}
	return os.WriteFile(path, pdf.Data, 0o644)
}
