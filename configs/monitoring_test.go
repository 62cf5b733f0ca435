// SPDX-License-Identifier: Apache-2.0

package configs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v2"
)

// catalogue is the metrics that the daemon has: name -> labels.
type catalogue map[string][]string

// known reads the list that the tests of package metrics keep.
func known(t *testing.T) catalogue {
	t.Helper()
	b, err := os.ReadFile("../internal/metrics/testdata/native.golden")
	if err != nil {
		t.Fatal(err)
	}
	all := catalogue{}
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		words := strings.Fields(line)
		labels := append(strings.FieldsFunc(strings.TrimPrefix(words[3], "labels="), func(r rune) bool { return r == ',' }), "job", "instance")
		if words[1] != "histogram" {
			all[words[0]] = labels
			continue
		}
		all[words[0]] = labels // as a native histogram
		all[words[0]+"_bucket"] = append(slices.Clone(labels), "le")
		all[words[0]+"_sum"], all[words[0]+"_count"] = labels, labels
	}
	if len(all) < 80 {
		t.Fatalf("the list of metrics has %d rows: this test does not see it", len(all))
	}
	return all
}

var (
	metric   = regexp.MustCompile(`\b(?:[a-z]+:)?foliot_[a-z0-9_:]*`)
	selector = regexp.MustCompile(`((?:[a-z]+:)?foliot_[a-z0-9_:]*)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring)\s*\(([^)]*)\)`)
	counted  = regexp.MustCompile(`(rate|increase)\s*\(\s*$`)
	quoted   = regexp.MustCompile(`"[^"]*"`)
)

// problems says what is wrong with a query.
func (c catalogue) problems(query string) (wrong []string) {
	bare := quoted.ReplaceAllString(query, `""`)
	names := metric.FindAllStringIndex(bare, -1)
	if len(names) == 0 {
		return []string{"names no metric of foliot"}
	}
	var labels []string
	for _, at := range names {
		name := bare[at[0]:at[1]]
		if _, ok := c[name]; !ok {
			wrong = append(wrong, name+" does not exist")
		}
		labels = append(labels, c[name]...)
		_, classic := c[name+"_bucket"]
		grows := classic || strings.HasSuffix(name, "_total") || strings.HasSuffix(name, "_bucket")
		if grows && !counted.MatchString(bare[:at[0]]) {
			wrong = append(wrong, name+" only grows, and is not in a rate")
		}
	}
	for _, s := range selector.FindAllStringSubmatch(bare, -1) {
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			if !slices.Contains(c[s[1]], m[1]) {
				wrong = append(wrong, s[1]+" has no label "+m[1])
			}
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(bare, -1) {
		for _, label := range strings.Split(g[1], ",") {
			if !slices.Contains(labels, strings.TrimSpace(label)) {
				wrong = append(wrong, "nothing has the label "+label)
			}
		}
	}
	return wrong
}

func TestProblems(t *testing.T) {
	c := known(t)
	for query, want := range map[string]string{
		`foliot_tracking_stratum{job="x"} > 3`:                                "",
		`sum by (depth) (rate(foliot_server_requests_total{job=~"x"}[5m]))`:   "",
		`foliot_tracking_stratums`:                                            "does not exist",
		`foliot_tracking_stratum{source="x"}`:                                 "has no label source",
		`sum by (verdict) (foliot_tracking_stratum)`:                          "nothing has the label verdict",
		`foliot_clock_steps_total > 0`:                                        "only grows",
		`rate(foliot_server_residence_second[5m])`:                            "does not exist",
		`foliot_server_residence_seconds`:                                     "only grows",
		`up == 0`:                                                             "names no metric",
		`foliot_tracking_leap{state="foliot_nothing"} == 1`:                   "",
		`histogram_quantile(0.5, foliot_server_residence_seconds_bucket) > 1`: "only grows",
	} {
		got := strings.Join(c.problems(query), "; ")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// collect finds the values of keys that hold queries, anywhere in a document.
func collect(v any, found map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for key, x := range v {
			if s, ok := x.(string); ok && (key == "expr" || key == "definition") {
				found[s] = true
			}
			collect(x, found)
		}
	case []any:
		for _, x := range v {
			collect(x, found)
		}
	}
}

// TestDashboards: each query of each dashboard names metrics and labels that exist.
func TestDashboards(t *testing.T) {
	c := known(t)
	for _, recorded := range []string{"rack:foliot_source_offset_seconds:median", "rack:foliot_source_offset_seconds:worst"} {
		c[recorded] = []string{"job", "rack", "peer_rack"} // TestRules sees that they exist
	}
	files, err := filepath.Glob("grafana/*.json")
	if err != nil || len(files) < 3 {
		t.Fatalf("dashboards %v, error %v", files, err)
	}
	uids := map[string]string{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		uid, _ := doc["uid"].(string)
		if other := uids[uid]; uid == "" || other != "" {
			t.Errorf("%s and %s have the same uid %q", file, other, uid)
		}
		uids[uid] = file
		queries := map[string]bool{}
		collect(doc, queries)
		if len(queries) < 10 {
			t.Errorf("%s has %d queries: this test does not see them", file, len(queries))
		}
		for q := range queries {
			for _, wrong := range c.problems(q) {
				t.Errorf("%s: %s: %s", file, q, wrong)
			}
		}
		overlaps(t, file, doc)
	}
}

// overlaps checks that no panel lies on another or sticks out.
func overlaps(t *testing.T, file string, doc map[string]any) {
	t.Helper()
	taken := map[[2]int]string{}
	panels, _ := doc["panels"].([]any)
	for _, p := range panels {
		panel := p.(map[string]any)
		title, _ := panel["title"].(string)
		pos := map[string]int{}
		for k, v := range panel["gridPos"].(map[string]any) {
			pos[k] = int(v.(float64))
		}
		if title == "" || pos["x"]+pos["w"] > 24 {
			t.Errorf("%s: panel %q at %v has no title or sticks out", file, title, pos)
		}
		for x := pos["x"]; x < pos["x"]+pos["w"]; x++ {
			for y := pos["y"]; y < pos["y"]+pos["h"]; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s: panel %q lies on %q", file, title, other)
				}
				taken[[2]int{x, y}] = title
			}
		}
	}
}

// TestRules: each rule names metrics and labels that exist, and each alert says
// what it is about and has a test.
func TestRules(t *testing.T) {
	b, err := os.ReadFile("prometheus/foliot.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Record, Alert, Expr, For string
				Labels, Annotations      map[string]string
			}
		}
	}
	if err := yaml.UnmarshalStrict(b, &doc); err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("prometheus/foliot.rules.test.yml")
	if err != nil {
		t.Fatal(err)
	}
	c, rules := known(t), 0
	for _, g := range doc.Groups {
		for _, r := range g.Rules {
			rules++
			name := r.Record + r.Alert
			for _, wrong := range c.problems(r.Expr) {
				t.Errorf("%s: %s", name, wrong)
			}
			if !strings.Contains(string(tests), name) {
				t.Errorf("%s is not tested", name)
			}
			if r.Record != "" {
				c[r.Record] = []string{"job", "instance"}
				if strings.HasPrefix(r.Record, "rack:") {
					c[r.Record] = []string{"job", "rack", "peer_rack"}
				}
				continue
			}
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" ||
				!slices.Contains([]string{"info", "warning", "critical"}, r.Labels["severity"]) {
				t.Errorf("%s lacks summary, description or severity", name)
			}
		}
	}
	if rules < 15 {
		t.Errorf("%d rules: this test does not see them", rules)
	}
}
