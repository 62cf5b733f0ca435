// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// visitor looks at the page and notes what is wrong.
type visitor struct {
	b     *browser
	site  *site
	url   string
	wrong []string
}

func (v *visitor) complain(format string, args ...any) {
	if w := fmt.Sprintf(format, args...); !slices.Contains(v.wrong, w) {
		v.wrong = append(v.wrong, w)
	}
}

// want complains unless an expression is true in the page.
func (v *visitor) want(expression, otherwise string) error {
	ok, err := v.b.until(expression)
	if err == nil && !ok {
		v.complain("%s: %s", otherwise, expression)
	}
	return err
}

// visit loads the page at a width.
func (v *visitor) visit(width int, script bool) error {
	for _, c := range []struct {
		method string
		params object
	}{
		{"Emulation.setDeviceMetricsOverride", object{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}},
		{"Emulation.setScriptExecutionDisabled", object{"value": !script}},
		{"Page.navigate", object{"url": v.url}},
	} {
		if err := v.b.call(c.method, c.params, nil); err != nil {
			return err
		}
	}
	return v.want("document.readyState === 'complete' && document.styleSheets.length === 1 && document.getElementById('facts')", "the page does not load")
}

// withoutScript: everything is there without JavaScript, and nothing that needs it.
func (v *visitor) withoutScript() error {
	if err := v.visit(1280, false); err != nil {
		return err
	}
	for expression, otherwise := range map[string]string{
		"document.querySelectorAll('#sources-table tbody tr').length === 7":                                         "the sources are not there without script",
		"document.querySelectorAll('#clients tbody tr').length === 10":                                              "the clients are not there without script",
		"document.querySelectorAll('.line').length === 4 && document.querySelector('.line').getTotalLength() > 300": "the plots are not there without script",
		"document.querySelectorAll('button,[tabindex=\"0\"]').length === 0":                                         "there is something to press that does nothing",
	} {
		if err := v.want(expression, otherwise); err != nil {
			return err
		}
	}
	return nil
}

// withScript: the script adds the button and the sliders, at no width anything
// sticks out, and text stays large enough to read.
func (v *visitor) withScript() error {
	for _, width := range []int{1280, 768, 390, 320} {
		if err := v.visit(width, true); err != nil {
			return err
		}
		for expression, otherwise := range map[string]string{
			"document.querySelectorAll('button').length === 1 && document.querySelectorAll('[role=slider]').length === 4":                                                  "the script does not run",
			fmt.Sprintf("document.documentElement.scrollWidth <= %d", width):                                                                                               "the page is wider than the window",
			"Array.from(document.querySelectorAll('td,th,dd,dt,figcaption,p')).every(e => e.scrollWidth <= e.clientWidth + 1 || getComputedStyle(e).display === 'inline')": "something is cut off",
			"Array.from(document.querySelectorAll('body *')).every(e => parseFloat(getComputedStyle(e).fontSize) >= 11)":                                                   "text is smaller than 11 pixels",
		} {
			if err := v.want(expression, fmt.Sprintf("%d pixels wide: %s", width, otherwise)); err != nil {
				return err
			}
		}
	}
	return nil
}

// accessible asks the browser's tree of what is told to people who do not see.
func (v *visitor) accessible() error {
	if err := v.visit(390, true); err != nil {
		return err
	}
	if err := v.want("document.querySelector('[role=slider]')", "the script does not run"); err != nil {
		return err
	}
	type value struct{ Value any }
	var tree struct {
		Nodes []struct {
			Ignored    bool
			Role, Name value
		}
	}
	if err := v.b.call("Accessibility.getFullAXTree", object{}, &tree); err != nil {
		return err
	}
	count := map[string]int{}
	for _, n := range tree.Nodes {
		role, _ := n.Role.Value.(string)
		name, _ := n.Name.Value.(string)
		if n.Ignored {
			continue
		}
		count[role]++
		switch role {
		case "link", "button", "slider", "heading", "image", "columnheader":
			if strings.TrimSpace(name) == "" {
				v.complain("a %s has no accessible name", role)
			}
		}
	}
	// Tables stay tables where the style makes cards of them.
	for role, least := range map[string]int{
		"table": 3, "row": 20, "rowheader": 20, "cell": 60, "slider": 4, "heading": 6, "main": 1, "banner": 1, "contentinfo": 1, "status": 1,
	} {
		if count[role] < least {
			v.complain("the accessibility tree has %d of %s, want at least %d", count[role], role, least)
		}
	}
	for expression, otherwise := range map[string]string{
		"document.documentElement.lang === 'en' && document.title.includes('clock1')":                                 "the page has no language or title",
		"Array.from(document.querySelectorAll('[id]')).every((e, i, all) => all.findIndex(x => x.id === e.id) === i)": "an id is there twice",
	} {
		if err := v.want(expression, otherwise); err != nil {
			return err
		}
	}
	return v.contrast()
}

// contrast measures text against what is behind it, in light and dark (WCAG 2.2:
// 4.5 to 1).
func (v *visitor) contrast() error {
	const measure = `(() => {
	const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return {rgb: m.slice(0, 3), a: m[3] ?? 1}; };
	const light = c => { const [r, g, b] = c.map(x => (x /= 255) <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a === 1) return c.rgb; } return [255, 255, 255]; };
	let worst = {ratio: 99};
	for (const e of document.querySelectorAll('body *')) {
		if (!Array.from(e.childNodes).some(n => n.nodeType === 3 && n.data.trim())) continue;
		const a = light(parse(getComputedStyle(e).color).rgb), b = light(behind(e));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < worst.ratio) worst = {ratio, text: e.textContent.trim().slice(0, 40)};
	}
	return worst; })()`
	for _, scheme := range []string{"light", "dark"} {
		if err := v.scheme(scheme); err != nil {
			return err
		}
		var worst struct {
			Ratio float64
			Text  string
		}
		if err := v.b.evaluate(measure, &worst); err != nil {
			return err
		}
		if worst.Ratio < 4.5 || worst.Ratio > 22 {
			v.complain("%s: contrast %.2f to 1 of %q, want 4.5", scheme, worst.Ratio, worst.Text)
		}
	}
	return v.scheme("light")
}

func (v *visitor) scheme(name string) error {
	return v.b.call("Emulation.setEmulatedMedia", object{"features": []object{{"name": "prefers-color-scheme", "value": name}}}, nil)
}

// press presses and releases a key.
func (v *visitor) press(key string) error {
	codes := map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35}
	for _, kind := range []string{"keyDown", "keyUp"} {
		p := object{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
		if key == "Enter" {
			p["text"] = "\r"
		}
		if err := v.b.call("Input.dispatchKeyEvent", p, nil); err != nil {
			return err
		}
	}
	return nil
}

// keyboard: everything can be reached and used with the keyboard alone.
func (v *visitor) keyboard() error {
	if err := v.visit(1280, true); err != nil {
		return err
	}
	if err := v.want("document.querySelectorAll('[role=slider]').length === 4", "the script does not run"); err != nil {
		return err
	}
	steps := []struct{ key, expression, otherwise string }{
		{"Tab", "document.activeElement.className === 'skip' && document.activeElement.getBoundingClientRect().left >= 0", "the first stop is not the visible link to the sources"},
		{"Tab", "document.activeElement.textContent === 'Pause' && getComputedStyle(document.activeElement).outlineStyle !== 'none'", "the second stop is not the button, with an outline"},
		{"Enter", "document.activeElement.textContent === 'Go on'", "the button does not pause"},
		{"Enter", "document.activeElement.textContent === 'Pause'", "the button does not go on"},
		{"Tab", "document.activeElement.id === 'offset'", "the third stop is not the first plot"},
		{"Home", "document.querySelector('#offset .cross') && document.getElementById('offset-now').textContent.includes(' at ')", "Home does not read the plot"},
		{"ArrowRight", "document.getElementById('offset').getAttribute('aria-valuenow') === '1' && document.getElementById('offset').getAttribute('aria-valuetext').includes('UTC: ')", "an arrow does not move on"},
		{"End", "document.getElementById('offset').getAttribute('aria-valuenow') === '359'", "End does not go to the newest value"},
		{"Escape", "!document.querySelector('.cross') && !document.getElementById('offset-now').textContent.includes(' at ')", "Escape does not end reading"},
		{"Tab", "document.activeElement.id === 'frequency'", "the next stop is not the next plot"},
	}
	for _, s := range steps {
		if err := v.press(s.key); err != nil {
			return err
		}
		if err := v.want(s.expression, s.otherwise); err != nil {
			return err
		}
	}
	return nil
}

// pointer: a plot is read where the pointer is, and agrees with its labels.
func (v *visitor) pointer() error {
	if err := v.visit(1280, true); err != nil {
		return err
	}
	if err := v.want("document.querySelectorAll('[role=slider]').length === 4", "the script does not run"); err != nil {
		return err
	}
	var box struct{ X, Y, Width, Height float64 }
	if err := v.b.evaluate("document.getElementById('bound').scrollIntoView(), document.getElementById('bound').getBoundingClientRect().toJSON()", &box); err != nil {
		return err
	}
	move := func(x, y float64) error {
		return v.b.call("Input.dispatchMouseEvent", object{"type": "mouseMoved", "x": x, "y": y}, nil)
	}
	if err := move(box.X+box.Width/2, box.Y+box.Height/2); err != nil {
		return err
	}
	if err := v.want(`(() => {
		const p = document.getElementById('bound'), text = document.getElementById('bound-now').textContent;
		const [, value, time] = text.match(/^([\d.]+) .s at (\d\d:\d\d:\d\d)$/) ?? [];
		const middle = new Date(+p.dataset.start + +p.dataset.length / 2);
		const off = Math.abs(new Date(middle.toISOString().slice(0, 11) + time + 'Z') - middle);
		return value >= +p.dataset.low && value <= +p.dataset.high && off < 120000; })()`, "the pointer reads something else than what is there"); err != nil {
		return err
	}
	if err := move(1, 1); err != nil {
		return err
	}
	return v.want("!document.querySelector('.cross')", "the line stays when the pointer is gone")
}

// live: the page follows the daemon, keeps the focus, pauses, and says when there
// is no answer.
func (v *visitor) live() error {
	if err := v.visit(1280, true); err != nil {
		return err
	}
	if err := v.want("document.querySelectorAll('[role=slider]').length === 4", "the script does not run"); err != nil {
		return err
	}
	if err := v.b.evaluate("globalThis.before = document.getElementById('time').textContent, document.getElementById('rate').focus()", nil); err != nil {
		return err
	}
	v.site.ticks.Add(1)
	v.site.Record(v.site.state())
	if err := v.want("document.getElementById('time').textContent !== before && document.activeElement.id === 'rate'",
		"the page does not follow, or loses the focus"); err != nil {
		return err
	}
	if err := v.b.evaluate("document.querySelector('button').click()", nil); err != nil {
		return err
	}
	v.site.ticks.Add(1)
	var still bool
	if err := v.b.evaluate("(async () => { const t = document.getElementById('time').textContent; await new Promise(r => setTimeout(r, 6500)); return t === document.getElementById('time').textContent; })()", &still); err != nil {
		return err
	}
	if !still {
		v.complain("the page goes on while it is paused")
	}
	return nil
}

// policy: nothing went against the policy or wrong in the script, nothing was
// loaded from elsewhere, and nothing was stored.
func (v *visitor) policy() error {
	for _, e := range v.b.take() {
		switch e.Method {
		case "Runtime.exceptionThrown", "Log.entryAdded":
			var p struct {
				Entry            struct{ Text, URL string }
				ExceptionDetails struct{ Text string }
			}
			if err := json.Unmarshal(e.Params, &p); err != nil {
				return err
			}
			v.complain("the browser says: %s%s %s", p.Entry.Text, p.ExceptionDetails.Text, p.Entry.URL)
		case "Network.requestWillBeSent":
			var p struct{ Request struct{ URL string } }
			if err := json.Unmarshal(e.Params, &p); err != nil {
				return err
			}
			if !strings.HasPrefix(p.Request.URL, v.url) {
				v.complain("the page loads %s", p.Request.URL)
			}
		}
	}
	if err := v.want("document.cookie === '' && localStorage.length === 0", "the page stores something"); err != nil {
		return err
	}
	// A page with a policy that holds does not run what it forbids.
	return v.want("(() => { const s = document.createElement('script'); s.textContent = 'globalThis.ran = 1'; document.body.append(s); s.remove(); return globalThis.ran === undefined; })()",
		"the policy does not keep a foreign script from running")
}

// shot is one screenshot.
type shot struct {
	name   string
	width  int
	scheme string
	empty  bool
}

var shots = []shot{
	{"wide-light", 1280, "light", false}, {"wide-dark", 1280, "dark", false},
	{"phone-light", 390, "light", false}, {"phone-dark", 390, "dark", false},
	{"empty-light", 1280, "light", true}, {"empty-phone-dark", 390, "dark", true},
}

func (v *visitor) shoot(s shot, file string) error {
	v.site.empty.Store(s.empty)
	if err := v.scheme(s.scheme); err != nil {
		return err
	}
	if err := v.visit(s.width, true); err != nil {
		return err
	}
	if err := v.want("document.querySelector('button')", "the script does not run"); err != nil {
		return err
	}
	var r struct{ Data string }
	if err := v.b.call("Page.captureScreenshot", object{"captureBeyondViewport": true, "format": "png"}, &r); err != nil {
		return err
	}
	png, err := base64.StdEncoding.DecodeString(r.Data)
	if err != nil {
		return err
	}
	return os.WriteFile(file, png, 0o644)
}
