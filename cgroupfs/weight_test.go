package cgroupfs

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nsx/cgroupfs/keys"
)

// What is normal stays normal, and the numbers are systemd's (its test
// bfq_weight_conversion).
func TestWeightsOfBFQ(t *testing.T) {
	for weight, want := range map[int]string{1: "1", 50: "50", 99: "99", 100: "100", 101: "100", 107: "100", 500: "136", 666: "151", 5000: "545", 9999: "999", 10000: "1000"} {
		for _, dir := range []string{"v1", "v2"} {
			g, file := bfqGroup(t, dir, "100\n")
			p, err := g.Plan(t.Context(), Limits{Settings: []keys.Setting{{Key: "io.weight", Value: strconv.Itoa(weight)}}}, PlanOptions{})
			if err != nil || !strings.HasSuffix(p.String(), file+" ← "+want) {
				t.Errorf("%s: %d gives %v, %v; want %s", dir, weight, p, err, want)
			}
		}
	}
}

// bfqGroup is a group that has BFQ's weight alone.
func bfqGroup(t *testing.T, version, text string) (g *Group, file string) {
	t.Helper()
	if version == "v1" {
		fs := openTree(t, mountV1("blkio"), map[string]string{"blkio/g/blkio.bfq.weight": text, "blkio/g/blkio.bfq.weight_device": "8:0 300\n"})
		return groupIn(t, fs, "/g"), "/g/blkio.bfq.weight"
	}
	fs := openTree(t, mountV2, map[string]string{"cgroup.controllers": "io\n", "g/io.bfq.weight": "default " + text + "8:0 300\n"})
	return groupIn(t, fs, "/g"), "/g/io.bfq.weight"
}

// What can be set can be read, in the same words.
func TestGetWeights(t *testing.T) {
	for _, version := range []string{"v1", "v2"} {
		for text, want := range map[string]string{"100\n": "100", "1\n": "1", "136\n": "496", "1000\n": "10000"} {
			g, _ := bfqGroup(t, version, text)
			if got := get(t, g, "io.weight"); got != "default "+want+"\n8:0 2300" {
				t.Errorf("%s: io.weight of %q is %q", version, text, got)
			}
		}
		g, _ := bfqGroup(t, version, "100\n")
		for key, want := range map[string]string{"blkio.weight": "500", "blkio.bfq.weight": "100", "io.bfq.weight": "default 100\n8:0 300"} {
			if got := get(t, g, key); strings.TrimSuffix(got, "\n") != want {
				t.Errorf("%s: %s is %q, want %q", version, key, got, want)
			}
		}
	}
	fs := openTree(t, mountV2, map[string]string{"cgroup.controllers": "io\n", "g/io.weight": "default 200\n8:16 50\n", "g/io.bfq.weight": "default 100\n"})
	for key, want := range map[string]string{"io.weight": "default 200\n8:16 50", "blkio.weight": "505", "blkio.weight_device": "8:16 252", "blkio.bfq.weight": "100"} {
		if got := get(t, groupIn(t, fs, "/g"), key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}

// Where a group has both weights both are written, as systemd does: the disks'
// schedulers decide which one counts. A disk has one scheduler.
func TestBothWeights(t *testing.T) {
	tree := map[string]string{
		"cgroup.controllers": "io\n", "g/io.weight": "default 100\n", "g/io.bfq.weight": "default 100\n", "io.cost.qos": "8:0 enable=1 ctrl=auto\n",
		"sys/dev/block/8:0/queue/scheduler": "none [bfq]\n", "sys/dev/block/8:16/queue/scheduler": "[none] bfq\n",
		"sys/block/sda/queue/scheduler": "none [bfq]\n", "sys/block/sdb/queue/scheduler": "[none] bfq\n",
	}
	type want struct {
		writes []string
		note   string
	}
	plan := func(tree map[string]string, settings ...keys.Setting) want {
		t.Helper()
		p, err := groupIn(t, openTree(t, mountV2, tree), "/g").Plan(t.Context(), Limits{Settings: settings}, PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var w want
		for _, s := range p.Steps {
			w.writes = append(w.writes, s.File+" "+s.Value)
		}
		for _, n := range p.Notes {
			if strings.Contains(n, "no effect") {
				w.note += n
			}
		}
		return w
	}
	for _, c := range []struct {
		settings []keys.Setting
		writes   []string
	}{
		{[]keys.Setting{{Key: "io.weight", Value: "500"}}, []string{"io.weight 500", "io.bfq.weight 136"}},
		{[]keys.Setting{{Key: "blkio.weight", Value: "500"}}, []string{"io.weight 100", "io.bfq.weight 100"}},
		{[]keys.Setting{{Key: "io.weight", Value: "8:0 500"}}, []string{"io.bfq.weight 8:0 136"}},
		{[]keys.Setting{{Key: "io.weight", Value: "8:16 500"}}, []string{"io.weight 8:16 500"}},
		{[]keys.Setting{{Key: "io.bfq.weight", Value: "7"}}, []string{"io.bfq.weight 7"}},
		{[]keys.Setting{{Key: "io.weight", Value: "50"}, {Key: "io.bfq.weight", Value: "7"}}, []string{"io.weight 50", "io.bfq.weight 7"}},
	} {
		if got := plan(tree, c.settings...); !slices.Equal(got.writes, c.writes) || got.note != "" {
			t.Errorf("%v: %q, want %q", c.settings, got, c.writes)
		}
	}
	// Nobody minds the weight.
	idle := maps.Clone(tree)
	idle["io.cost.qos"] = ""
	idle["sys/block/sda/queue/scheduler"] = "[none] bfq\n"
	if got := plan(idle, keys.Setting{Key: "io.weight", Value: "500"}); len(got.writes) != 2 || !strings.Contains(got.note, "io.cost.qos") || !strings.Contains(got.note, "bfq") {
		t.Errorf("%q", got)
	}
	idle["io.cost.qos"] = "8:0 enable=1 ctrl=auto\n"
	if got := plan(idle, keys.Setting{Key: "io.weight", Value: "500"}); got.note != "" {
		t.Errorf("%q", got)
	}
}
