//go:build containers

package containers

import (
	"strconv"
	"strings"
	"testing"
)

// checkLimits compares the container's limits with what the runtime has set.
func (b *box) checkLimits(t *testing.T) {
	if b.memory == 0 && b.pidsMax == 0 {
		t.Log("this container has no limits")
		return
	}
	doc := decode[struct {
		Limits []struct {
			Resource, Group string
			Limit, Usage    *int64
		}
	}](t, b.nsx("cgroup", "limits", b.target(), "-o", "json")...)
	want := map[string]int64{"memory": b.memory, "pids": b.pidsMax}
	for _, l := range doc.Limits {
		if value := want[l.Resource]; value != 0 {
			if l.Limit == nil || *l.Limit != value || l.Group != b.group {
				t.Errorf("%s: %+v, the runtime says %d in %s", l.Resource, l, value, b.group)
			}
			delete(want, l.Resource)
		}
	}
	for resource, value := range want {
		if value != 0 {
			t.Errorf("no limit of %s, the runtime says %d", resource, value)
		}
	}
	if b.memory != 0 {
		for _, key := range []string{"memory.max", "memory.limit_in_bytes"} {
			got := decode[struct {
				Values []struct{ Value string }
			}](t, b.nsx("cgroup", "get", b.group, key, "-o", "json")...)
			if len(got.Values) != 1 || got.Values[0].Value != strconv.FormatInt(b.memory, 10) {
				t.Errorf("%s: %+v, the runtime says %d", key, got, b.memory)
			}
		}
	}
	stat := decode[groupStat](t, b.nsx("cgroup", "stat", b.group, "-o", "json")...)
	if b.memory != 0 && (stat.Memory.Limit != b.memory || stat.Memory.Usage <= 0 || stat.Memory.Usage > b.memory) {
		t.Errorf("memory %+v, the runtime's limit is %d", stat.Memory, b.memory)
	}
	if b.pidsMax != 0 && (stat.PIDs.Limit != b.pidsMax || stat.PIDs.Current < int64(len(b.members(t)))) {
		t.Errorf("pids %+v, the runtime's limit is %d, and there are %v", stat.PIDs, b.pidsMax, b.members(t))
	}
	if !stat.Populated || stat.Frozen {
		t.Errorf("%+v of a running container", stat)
	}
}

type groupStat struct {
	Populated, Frozen bool
	Memory            struct {
		Limit int64 `json:"limit_bytes"`
		Usage int64 `json:"usage_bytes"`
	}
	PIDs struct{ Current, Limit int64 }
}

// checkFreeze freezes the container and thaws it. Its group is somebody else's,
// so that nsx does it by force only.
func (b *box) checkFreeze(t *testing.T) {
	if b.group == "" {
		t.Log("this container has no group")
		return
	}
	frozen := func() bool {
		return decode[groupStat](t, b.nsx("cgroup", "stat", b.group, "-o", "json")...).Frozen
	}
	var force []string
	if r := try(t, b.nsx("cgroup", "freeze", b.group)...); b.owner != "" {
		if r.Status != 1 || !strings.Contains(r.Stderr, b.owner) || frozen() {
			t.Errorf("freeze without --force: %+v, want a refusal that names %q", r, b.owner)
		}
		if b.pauseHint != "" && !strings.Contains(r.Stderr, "use "+b.pauseHint+",") {
			t.Errorf("freeze without --force: %q, want the hint %q", r.Stderr, b.pauseHint)
		}
		force = []string{"--force"}
	}
	run(t, b.nsx(append([]string{"cgroup", "freeze", b.group}, force...)...)...)
	t.Cleanup(func() { try(t, b.nsx(append([]string{"cgroup", "thaw", b.group}, force...)...)...) })
	if !frozen() {
		t.Error("not frozen after freeze")
	}
	run(t, b.nsx(append([]string{"cgroup", "thaw", b.group}, force...)...)...)
	if frozen() {
		t.Error("frozen after thaw")
	}
	if b.pause == nil {
		return
	}
	// By the runtime.
	run(t, b.pause...)
	if !frozen() {
		t.Error("paused by the runtime, and not frozen to nsx")
	}
	// Whoever went in now would hang.
	hint := strings.Replace(strings.Replace(b.pauseHint, " pause ", " unpause ", 1), "-freeze", "-unfreeze", 1)
	r := try(t, b.nsx("enter", b.target(), "--", "true")...)
	if r.Status != 125 || !strings.Contains(r.Stderr, "is frozen") || !strings.Contains(r.Stderr, hint) {
		t.Errorf("enter while it is paused: %+v, want a refusal with the hint %q", r, hint)
	}
	run(t, b.unpause...)
	if frozen() {
		t.Error("resumed by the runtime, and frozen to nsx")
	}
}
