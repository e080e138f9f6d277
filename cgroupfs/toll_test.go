package cgroupfs

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// Whose limit it was is what the kernel has counted, and not who has the least left
// afterwards: by then what was killed has made room.
func TestWhoseLimitItWas(t *testing.T) {
	v2 := map[string]string{"cgroup.controllers": "memory pids\n"}
	for _, at := range []string{"a", "a/b"} {
		v2[at+"/memory.max"] = map[string]string{"a": "104857600\n", "a/b": "20971520\n"}[at]
		v2[at+"/memory.events"], v2[at+"/memory.events.local"] = "oom 0\noom_kill 0\n", "oom 0\noom_kill 0\n"
		v2[at+"/pids.max"] = map[string]string{"a": "100\n", "a/b": "20\n"}[at]
		v2[at+"/pids.events"], v2[at+"/pids.events.local"] = "max 0\n", "max 0\n"
	}
	old := maps.Clone(v2) // before there were files .local
	for name := range v2 {
		if strings.HasSuffix(name, ".local") {
			delete(old, name)
		}
	}
	v1 := map[string]string{}
	for at, limit := range map[string]string{"": "9223372036854771712", "a": "104857600", "a/b": "20971520"} {
		v1["memory/"+at+"/memory.limit_in_bytes"], v1["memory/"+at+"/memory.max_usage_in_bytes"] = limit, "5000"
		v1["memory/"+at+"/memory.failcnt"], v1["memory/"+at+"/memory.oom_control"] = "3", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"
		v1["pids/"+at+"/pids.events"], v1["pids/"+at+"/pids.peak"] = "max 0\n", "1"
	}
	v1["pids/a/pids.max"], v1["pids/a/b/pids.max"] = "100", "20"
	for _, c := range []struct {
		name, mounts string
		tree, after  map[string]string
		want         string
	}{
		{"v2: the ancestor's memory", mountV2, v2, map[string]string{
			"a/b/memory.events": "oom 0\noom_kill 1\n", "a/memory.events": "oom 1\noom_kill 1\n", "a/memory.events.local": "oom 1\noom_kill 0\n",
		}, "memory 1 /a memory.max 104857600"},
		{"v2: its own", mountV2, v2, map[string]string{
			"a/b/memory.events": "oom 2\noom_kill 2\n", "a/memory.events": "oom 2\noom_kill 2\n", "a/b/memory.events.local": "oom 2\noom_kill 2\n",
		}, "memory 2 /a/b memory.max 20971520"},
		{"v2: that of a group below", mountV2, v2, map[string]string{"a/b/memory.events": "oom 1\noom_kill 1\n"}, "memory 1 below"},
		{"v2: the machine's", mountV2, v2, map[string]string{"a/b/memory.events": "oom 0\noom_kill 1\n"}, "memory 1 machine"},
		{"v2: hit, but nobody killed", mountV2, v2, map[string]string{"a/memory.events.local": "oom 1\noom_kill 0\n"}, ""},
		{"v2: before Linux 5.2", mountV2, old, map[string]string{
			"a/b/memory.events": "oom 0\noom_kill 1\n", "a/memory.events": "oom 1\noom_kill 0\n",
		}, "memory 1 /a memory.max 104857600"},
		{"v2: the ancestor's processes", mountV2, v2, map[string]string{"a/pids.events.local": "max 3\n"}, "pids 3 /a pids.max 100"},
		{"v2: its own processes", mountV2, v2, map[string]string{
			"a/b/pids.events": "max 1\n", "a/b/pids.events.local": "max 1\n", "a/pids.events": "max 1\n",
		}, "pids 1 /a/b pids.max 20"},
		{"v2: those of a group below", mountV2, v2, map[string]string{"a/b/pids.events": "max 1\n"}, "pids 1 below"},
		{"v2: processes before Linux 6.11", mountV2, old, map[string]string{"a/b/pids.events": "max 1\n", "a/pids.peak": "100", "a/b/pids.peak": "2"}, "pids 1 /a pids.max 100"},
		{"v1: the ancestor's memory", mountV1("memory", "pids"), v1, map[string]string{
			"memory/a/memory.failcnt": "9", "memory/a/b/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
		}, "memory 1 /a memory.limit_in_bytes 104857600"},
		{"v1: reclaim that did", mountV1("memory", "pids"), v1, map[string]string{"memory/a/memory.failcnt": "9"}, ""},
		{"v1: memory+swap, which is not counted", mountV1("memory", "pids"), v1, map[string]string{
			"memory/a/memory.memsw.limit_in_bytes": "104857600", "memory/a/memory.memsw.max_usage_in_bytes": "104800000",
			"memory/a/b/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
		}, "memory 1 /a memory.memsw.limit_in_bytes 104857600"},
		{"v1: the ancestor's processes", mountV1("memory", "pids"), v1, map[string]string{
			"pids/a/b/pids.events": "max 2\n", "pids/a/pids.peak": "100", "pids/a/b/pids.peak": "4",
		}, "pids 2 /a pids.max 100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Both trees have the limits of memory+swap, if there are any.
			first := maps.Clone(c.tree)
			for name, text := range c.after {
				if strings.Contains(name, "memsw") {
					first[name] = text
				}
			}
			then := maps.Clone(first)
			maps.Copy(then, c.after)
			before := groupIn(t, openTree(t, c.mounts, first), "/a/b").Toll()
			var got []string
			for _, h := range groupIn(t, openTree(t, c.mounts, then), "/a/b").Toll().Since(before) {
				text := fmt.Sprint(h.Resource, " ", h.Count)
				for _, l := range h.Limits {
					text += fmt.Sprint(" ", l.Group, " ", l.File[strings.LastIndex(l.File, "/")+1:], " ", l.Limit)
				}
				if h.Below {
					text += " below"
				}
				if h.Machine {
					text += " machine"
				}
				got = append(got, text)
			}
			if text := strings.Join(got, "; "); text != c.want {
				t.Errorf("%q, want %q", text, c.want)
			}
		})
	}
}
