// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"bufio"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	chrony "github.com/facebook/time/ntp/chrony"
)

// This file lets programs that others wrote against chronyd read foliotd.

// observed starts a foliotd that follows a server and has had a client.
func observed(t *testing.T) (*bench, *Daemon) {
	b := newBench(t)
	b.chronyd(b.b, "server", serving)
	d := b.foliotd(b.a, "client", "server "+b.link.B4.String()+" "+fast+"\nallow all\n")
	b.selected(d, b.link.B4, 12*time.Second)
	b.measured(d, b.link.B4, 4, 12*time.Second)
	b.chronyd(b.b, "asker", "server "+b.link.A4.String()+" "+fast+"\nport 0\n")
	b.until(12*time.Second, "the client has a client", func() bool {
		status, _ := d.Ctl("status")
		return !strings.Contains(status, "requests answered 0 ")
	})
	return b, d
}

// TestOtherClient reads every report with facebook/time's client, on which
// chrony_exporter is built.
func TestOtherClient(t *testing.T) {
	t.Parallel()
	b, d := observed(t)
	path := filepath.Join(filepath.Dir(d.Commands), "client.sock")
	conn, err := net.DialUnix("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"}, &net.UnixAddr{Name: d.Commands, Net: "unixgram"})
	b.must(err)
	defer os.Remove(path)
	defer conn.Close()
	b.must(conn.SetDeadline(time.Now().Add(20 * time.Second)))
	client := &chrony.Client{Connection: conn}
	ask := func(p chrony.RequestPacket) chrony.ResponsePacket {
		r, err := client.Communicate(p)
		if err != nil {
			t.Fatalf("%T: %v", p, err)
		}
		return r
	}
	addr := net.IP(b.link.B4.AsSlice())
	tracking := ask(chrony.NewTrackingPacket()).(*chrony.ReplyTracking)
	if !tracking.IPAddr.Equal(addr) || tracking.Stratum != 4 || tracking.LeapStatus != 0 || math.Abs(tracking.LastOffset) > 1e-2 ||
		time.Since(tracking.RefTime).Abs() > time.Minute || tracking.RootDelay <= 0 || tracking.RootDispersion <= 0 {
		t.Errorf("tracking %+v", tracking.Tracking)
	}
	if n := ask(chrony.NewSourcesPacket()).(*chrony.ReplySources).NSources; n != 1 {
		t.Fatalf("%d sources, want 1", n)
	}
	data := ask(chrony.NewSourceDataPacket(0)).(*chrony.ReplySourceData)
	if !data.IPAddr.ToNetIP().Equal(addr) || data.State != chrony.SourceStateSync || data.Stratum != 3 || data.Mode != chrony.SourceModeClient || data.Reachability == 0 {
		t.Errorf("source %+v", data.SourceData)
	}
	stats := ask(chrony.NewSourceStatsPacket(0)).(*chrony.ReplySourceStats)
	if !stats.IPAddr.ToNetIP().Equal(addr) || stats.NSamples < 3 || stats.SpanSeconds == 0 {
		t.Errorf("sourcestats %+v", stats.SourceStats)
	}
	ntp := ask(chrony.NewNTPDataPacket(data.IPAddr)).(*chrony.ReplyNTPData2)
	if !ntp.RemoteAddr.Equal(addr) || ntp.RemotePort != 123 || ntp.Stratum != 3 || ntp.TotalValidCount == 0 || ntp.PeerDelay <= 0 {
		t.Errorf("ntpdata %+v", ntp.NTPData)
	}
	name := ask(chrony.NewNTPSourceNamePacket(data.IPAddr)).(*chrony.ReplyNTPSourceName)
	if name.Name != b.link.B4.String() {
		t.Errorf("name %q", name.Name)
	}
	if a := ask(chrony.NewActivityPacket()).(*chrony.ReplyActivity); a.Online != 1 || a.Unresolved != 0 {
		t.Errorf("activity %+v", a.Activity)
	}
	sel := ask(chrony.NewSelectDataPacket(0)).(*chrony.ReplySelectData)
	if !sel.IPAddr.Equal(addr) || sel.StateChar != '*' {
		t.Errorf("selectdata %+v", sel.SelectData)
	}
	served := reflect.ValueOf(ask(chrony.NewServerStatsPacket())).Elem()
	if hits := served.FieldByName("NTPHits"); !hits.IsValid() || hits.Uint() == 0 {
		t.Errorf("serverstats %+v", served)
	}
	clients := ask(chrony.NewClientAccessesByIndexPacket(0, 8, 0)).(*chrony.ReplyClientAccessesByIndex)
	if clients.NClients == 0 {
		t.Errorf("clients %+v", clients)
	}
}

// TestTelegraf reads tracking as Telegraf's plugin does: lines of "name : value",
// of which the first word counts.
func TestTelegraf(t *testing.T) {
	t.Parallel()
	b, d := observed(t)
	for _, program := range []string{"chronyc", binaries.Foliotctl} {
		out := b.control(d, program, "-n", "tracking").stdout
		fields, tags := make(map[string]float64), make(map[string]string)
		for line := range strings.Lines(out) {
			key, value, ok := strings.Cut(line, ":")
			words := strings.Fields(value)
			if !ok || len(words) == 0 {
				t.Fatalf("%s prints the line %q", program, line)
			}
			key = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(key)), " ", "_")
			switch key {
			case "ref_time_(utc)":
			case "leap_status", "stratum", "reference_id":
				tags[key] = strings.ToLower(strings.Join(words, " "))
			default:
				v, err := strconv.ParseFloat(words[0], 64)
				if err != nil {
					t.Errorf("%s: %v in %q", program, err, line)
				}
				if strings.Contains(value, "slow") {
					v = -v
				}
				fields[key] = v
			}
		}
		var got []string
		for key := range fields {
			got = append(got, key)
		}
		slices.Sort(got)
		want := "frequency last_offset residual_freq rms_offset root_delay root_dispersion skew system_time update_interval"
		if strings.Join(got, " ") != want || tags["leap_status"] != "normal" || tags["stratum"] != "4" || len(tags["reference_id"]) < 8 {
			t.Errorf("%s: fields %s, tags %v\n%s", program, got, tags, out)
		}
	}
}

// exporterVar names the chrony_exporter of the test, which make check-exporter
// builds: it is not to be had from everywhere.
const exporterVar = "FOLIOT_CHRONY_EXPORTER"

// TestExporter runs chrony_exporter on foliotd. It has the metrics of which our own
// list of its names consists, and none besides but about itself.
func TestExporter(t *testing.T) {
	program := os.Getenv(exporterVar)
	if program == "" {
		t.Skip(exporterVar + " is not set: see make check-exporter")
	}
	b, d := observed(t)
	const at = "127.0.0.1:9123"
	_, err := b.lab.Start("exporter", b.a.Command(program, "--chrony.address=unix://"+d.Commands, "--web.listen-address="+at,
		"--collector.sources", "--collector.sourcestats", "--collector.serverstats", "--collector.sources.with-ntpdata"))
	b.must(err)
	var body string
	b.until(10*time.Second, "the exporter answers", func() bool {
		body, _, err = b.a.get(at, "/metrics")
		return err == nil && strings.Contains(body, "\nchrony_up 1\n")
	})
	got := families(body)
	golden, err := os.ReadFile("../../internal/metrics/testdata/compat-chrony.golden")
	b.must(err)
	var want []string
	for line := range strings.Lines(string(golden)) {
		if name, _, _ := strings.Cut(line, " "); strings.HasPrefix(name, "chrony_") {
			want = append(want, name)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("chrony_exporter has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// families are the names of metrics in a scrape, sorted.
func families(body string) (names []string) {
	for s := bufio.NewScanner(strings.NewReader(body)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) == 4 && f[1] == "TYPE" && strings.HasPrefix(f[2], "chrony_") && f[2] != "chrony_exporter_build_info" {
			names = append(names, f[2])
		}
	}
	slices.Sort(names)
	return names
}
