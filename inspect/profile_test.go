package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nsx/cgroupfs"
	"nsx/internal/testkit"
)

const patience = 20 * time.Second

func profileOf(t *testing.T, m Machine, word string) *Profile {
	t.Helper()
	p, err := m.Profile(t.Context(), word)
	if err != nil {
		t.Fatalf("%s: %v", word, err)
	}
	return p
}

func readProc(t *testing.T, p *testkit.Proc, name string) string {
	t.Helper()
	text, err := os.ReadFile(p.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// statusLine is a line of a process's status, as any reader of /proc sees it.
func statusLine(t *testing.T, p *testkit.Proc, name string) string {
	t.Helper()
	for line := range strings.Lines(readProc(t, p, "status")) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(rest)
		}
	}
	t.Fatalf("no %s in the status of %d", name, p.PID)
	return ""
}

// TestProfileOfProcess compares a process in namespaces of its own with what /proc says
// of it.
func TestProfileOfProcess(t *testing.T) {
	testkit.CheckLeaks(t)
	types := []string{"user", "ipc", "mnt", "net", "pid", "uts"}
	testkit.RequireNS(t, types...)
	f := testkit.Start(t, testkit.Config{New: types})
	p := profileOf(t, Machine{}, strconv.Itoa(f.PID))
	if p.Kind != OfProcess || p.Process == nil || p.Process.PID != f.PID || !slices.Equal(p.PIDs, []int{f.PID}) || p.AgeSeconds == nil || *p.AgeSeconds > 60 {
		t.Fatalf("%+v", p)
	}
	if os.Geteuid() == 0 && !p.Complete {
		t.Errorf("unreadable: %+v", p.Unreadable)
	}
	for name, inode := range f.AllNS() {
		typ, err := ParseType(name)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(p.Namespaces, func(n NamespaceFacts) bool { return n.Type == typ })
		if i < 0 || p.Namespaces[i].Inode != inode {
			t.Errorf("%s is %d: %+v", name, inode, p.Namespaces)
			continue
		}
		if n := p.Namespaces[i]; slices.Contains(types, name) && (len(n.SharedWith) != 0 || n.IsInitial() || n.Readers) {
			t.Errorf("%s is its own: %+v", name, n)
		}
	}
	// Its numbers, from its own up.
	var numbers []string
	for _, level := range slices.Backward(p.PIDNamespaces) {
		numbers = append(numbers, strconv.Itoa(level.PID))
	}
	if want := strings.Fields(statusLine(t, f, "NSpid")); !slices.Equal(numbers, want) || p.PIDNamespaces[0].Inode != f.NS("pid") {
		t.Errorf("PIDs %+v, want %v", p.PIDNamespaces, want)
	}
	// Its user namespace's maps, and the one above.
	if len(p.UserNamespaces) < 2 || p.UserNamespaces[0].Inode != f.NS("user") {
		t.Fatalf("user namespaces: %+v", p.UserNamespaces)
	}
	for name, ids := range map[string]IDMap{"uid_map": p.UserNamespaces[0].UIDMap, "gid_map": p.UserNamespaces[0].GIDMap} {
		var lines []string
		for _, r := range ids {
			lines = append(lines, fmt.Sprint(r.Inside, r.Outside, r.Count))
		}
		if want := strings.Fields(readProc(t, f, name)); !slices.Equal(strings.Fields(strings.Join(lines, " ")), want) {
			t.Errorf("%s: %v, want %v", name, lines, want)
		}
	}
	if got, want := p.UserNamespaces[0].Setgroups, strings.TrimSpace(readProc(t, f, "setgroups")); got != want {
		t.Errorf("setgroups %q, want %q", got, want)
	}
	// Go's types read back what they wrote.
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back Profile
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(&back)
	if err != nil || string(again) != string(text) {
		t.Errorf("%v\n%s\n%s", err, text, again)
	}
}

// TestProfileOfRights compares capabilities with capsh(1), and the rest with /proc.
func TestProfileOfRights(t *testing.T) {
	testkit.RequireNS(t, "user")
	capsh := testkit.RequireProgram(t, "capsh")
	names := func(set string) []string {
		text := testkit.Run(t, patience, capsh, "--decode="+set)
		_, list, _ := strings.Cut(strings.TrimSpace(text), "=")
		return strings.Split(strings.ReplaceAll(list, "cap_", ""), ",")
	}
	for _, c := range []testkit.Config{{}, {New: []string{"user"}}} {
		f := testkit.Start(t, c)
		p := profileOf(t, Machine{}, strconv.Itoa(f.PID))
		r := p.Rights
		if r == nil {
			t.Fatalf("%+v", p)
		}
		for line, got := range map[string][]string{"CapEff": r.Effective, "CapPrm": r.Permitted, "CapInh": r.Inheritable, "CapBnd": r.Bounding, "CapAmb": r.Ambient} {
			if want := names(statusLine(t, f, line)); !slices.Equal(got, want) && (len(got) > 0 || want[0] != "") {
				t.Errorf("%v: %s is\n%v\nwant\n%v", c.New, line, got, want)
			}
		}
		if got, want := strings.Trim(fmt.Sprint(r.UIDs), "[]"), strings.Join(strings.Fields(statusLine(t, f, "Uid")), " "); got != want {
			t.Errorf("uids %s, want %s", got, want)
		}
		inOwn := len(c.New) > 0
		if r.CountIn != f.NS("user") || r.OnHost != nil && *r.OnHost == inOwn || r.AllCapabilities != (inOwn || len(r.Effective) == 41) {
			t.Errorf("%v: %+v", c.New, r)
		}
		if inOwn && (r.InsideUID == nil || *r.InsideUID != 0) {
			t.Errorf("inside it is root: %v", r.InsideUID)
		}
		if r.Seccomp != map[string]string{"0": "none", "1": "strict", "2": "filter"}[statusLine(t, f, "Seccomp")] || r.NoNewPrivs != (statusLine(t, f, "NoNewPrivs") == "1") {
			t.Errorf("seccomp %s, no_new_privs %v", r.Seccomp, r.NoNewPrivs)
		}
		label, _ := os.ReadFile(f.Path("attr/current"))
		if want := strings.TrimRight(string(label), "\x00\n"); r.Label != want {
			t.Errorf("label %q, want %q", r.Label, want)
		}
	}
}

// TestProfileOfHostname: the name that a program inside gets, by nsenter(1), and the
// clocks.
func TestProfileOfHostname(t *testing.T) {
	testkit.CheckLeaks(t)
	testkit.RequireNS(t, "user", "uts")
	nsenter := testkit.RequireProgram(t, "nsenter")
	hostname := testkit.RequireProgram(t, "hostname")
	f := testkit.Start(t, testkit.Config{New: []string{"user", "uts"}})
	target := strconv.Itoa(f.PID)
	testkit.Run(t, patience, nsenter, "--preserve-credentials", "-t", target, "-U", "-u", hostname, "inside")
	p := profileOf(t, Machine{}, target)
	i := slices.IndexFunc(p.Namespaces, func(n NamespaceFacts) bool { return n.Type == UTS })
	got := p.Namespaces[i].Hostname
	switch {
	case os.Geteuid() == 0 && (got == nil || *got != "inside"):
		t.Errorf("%v: %+v", got, p.Unreadable)
	case os.Geteuid() != 0 && got == nil && p.Complete:
		t.Error("what is not known is said") // joining takes rights in our own user namespace
	case got != nil && *got != "inside":
		t.Error(*got)
	}
}

func TestProfileOfClocks(t *testing.T) {
	testkit.RequireNS(t, "user", "time")
	unshare := testkit.RequireProgram(t, "unshare")
	out := testkit.Run(t, patience, unshare, "-UrT", "--monotonic", "3600", "--boottime", "-7", "--fork", "sh", "-c", "cat /proc/self/timens_offsets")
	o, err := parseTimeOffsets(out)
	if err != nil || o.MonotonicNsec != 3600e9 || o.BoottimeNsec != -7e9 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, bad := range []string{"monotonic 1", "boottime x 0", "monotonic 99999999999999999999 0"} {
		if _, err := parseTimeOffsets(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
	f := testkit.Start(t, testkit.Config{New: []string{"user", "time"}})
	p := profileOf(t, Machine{}, strconv.Itoa(f.PID))
	if i := slices.IndexFunc(p.Namespaces, func(n NamespaceFacts) bool { return n.Type == Time }); p.Namespaces[i].Offsets == nil {
		t.Errorf("%+v", p.Namespaces[i])
	}
}

// TestProfileShares: who else is in a namespace.
func TestProfileShares(t *testing.T) {
	testkit.RequireNS(t, "user", "net")
	f := testkit.Start(t, testkit.Config{New: []string{"user", "net"}, Mode: testkit.ThreadElsewhere, Apart: []string{"uts"}})
	other := testkit.Start(t, testkit.Config{New: []string{"user"}})
	p := profileOf(t, Machine{}, fmt.Sprintf("%d/%d", f.PID, f.Thread))
	if p.Thread == nil || p.Thread.TID != f.Thread {
		t.Fatalf("%+v", p.Thread)
	}
	for _, n := range p.Namespaces {
		switch n.Type {
		case UTS:
			if n.Inode != f.ThreadNS(f.Thread, "uts") || n.Inode == f.NS("uts") {
				t.Errorf("the thread's: %+v", n)
			}
		case Net:
			if n.Inode != f.NS("net") {
				t.Errorf("%+v", n)
			}
		}
	}
	for _, u := range p.UserNamespaces {
		if u.Inode == other.NS("user") {
			t.Error("another's user namespace is not above it")
		}
	}
	// A child that was left in its parent's namespaces of some types shares these.
	inner := testkit.Start(t, testkit.Config{New: []string{"user", "net"}, Mode: testkit.PIDForChildrenAlive})
	p = profileOf(t, Machine{}, strconv.Itoa(inner.Child))
	for _, n := range p.Namespaces {
		shared := slices.ContainsFunc(n.SharedWith, func(s Sharer) bool { return s.PID == inner.PID })
		if want := n.Type == User || n.Type == Net; shared != want && !n.Readers {
			t.Errorf("%s shared with %d: %v: %+v", n.Type, inner.PID, shared, n)
		}
	}
}

// TestProfileOfNamespace: one that a descriptor alone holds, and one that is led.
func TestProfileOfNamespace(t *testing.T) {
	testkit.CheckLeaks(t)
	testkit.RequireNS(t, "user", "net")
	f := testkit.Start(t, testkit.Config{New: []string{"user"}, Mode: testkit.FDHolder})
	id := ID{Net, f.Held["net"]}
	p := profileOf(t, Machine{}, id.String())
	if p.Kind != OfNamespace || p.Process != nil || len(p.Namespaces) != 1 || p.Namespaces[0].ID() != id || len(p.Groups) != 0 {
		t.Fatalf("%+v", p)
	}
	if !slices.ContainsFunc(p.Namespaces[0].HeldBy, func(h Holder) bool { return h.Kind == HeldByFD && h.PID == f.PID && *h.FD == f.HeldFD["net"] }) {
		t.Errorf("held by %+v", p.Namespaces[0].HeldBy)
	}
	// The process says the same from its side.
	holder := profileOf(t, Machine{}, strconv.Itoa(f.PID))
	if !slices.ContainsFunc(holder.Descriptors, func(o OpenNamespace) bool { return o.ID == id && *o.FD == f.HeldFD["net"] }) {
		t.Errorf("open: %+v", holder.Descriptors)
	}
	led := profileOf(t, Machine{}, fmt.Sprintf("user:[%d]", f.NS("user")))
	if led.Process == nil || led.Process.PID != f.PID || len(led.UserNamespaces) < 2 || led.UserNamespaces[0].UIDMap == nil || led.Rights != nil {
		t.Errorf("%+v", led)
	}
	if len(led.Namespaces[0].SharedWith) == 0 || led.Namespaces[0].SharedWith[0].PID != f.PID {
		t.Errorf("who is in it: %+v", led.Namespaces[0].SharedWith)
	}
}

// TestProfileOfGroup: with and without a process, its limits and its use.
func TestProfileOfGroup(t *testing.T) {
	testkit.RequireRoot(t)
	testkit.CheckLeaks(t)
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Controller("pids"); err != nil {
		testkit.Require(t, false, "needs a controller: %v", err)
	}
	group, err := fs.Group(fmt.Sprintf("/nsx-test-profile-%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	limit := int64(20)
	if _, err := group.Create(t.Context(), cgroupfs.CreateOptions{Limits: cgroupfs.Limits{PIDs: &limit}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := group.Remove(context.WithoutCancel(t.Context()), true); err != nil {
			t.Error(err)
		}
	})
	p := profileOf(t, Machine{}, "cgroup:"+group.Path())
	if p.Kind != OfGroup || p.Process != nil || len(p.Groups) != 1 || p.Groups[0].Path != group.Path() || !hasLimit(p, group.Path(), 20) || p.Groups[0].Use == nil || !p.Complete {
		t.Errorf("%+v", p)
	}
	f := testkit.Start(t, testkit.Config{})
	if err := group.Attach(t.Context(), f.PID); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"cgroup:" + group.Path(), strconv.Itoa(f.PID)} {
		p = profileOf(t, Machine{}, word)
		if p.Process == nil || p.Process.PID != f.PID || !hasLimit(p, group.Path(), 20) {
			t.Errorf("%s: %+v", word, p)
		}
		i := slices.IndexFunc(p.Groups, func(g GroupUse) bool { return g.Path == group.Path() }) // others are elsewhere on v1
		if i < 0 || p.Groups[i].Use == nil {
			t.Fatalf("%s: %+v, %+v", word, p.Groups, p.Unreadable)
		}
		if n, ok := p.Groups[i].Use.PIDs.Current.Get(); !ok || n < 1 {
			t.Errorf("%s: use %+v", word, p.Groups[i].Use.PIDs)
		}
	}
	f.Kill()
	if _, err := (Machine{}).Profile(t.Context(), "cgroup:"+group.Path()+"/nosuch"); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
}

func hasLimit(p *Profile, group string, want float64) bool {
	return p.Limits != nil && slices.ContainsFunc(p.Limits.Limits, func(e cgroupfs.Effective) bool {
		n, ok := e.Limit.Get()
		return e.Resource == "pids" && ok && n == want && e.Group == group
	})
}

// TestProfileOfNames: captured processes with names.
func TestProfileOfNames(t *testing.T) {
	testkit.CheckLeaks(t)
	m := namedMachine(t)
	p := profileOf(t, m, "podman:web")
	if target(p.Identity) != "podman:web" || p.Process.PID != 21 || !slices.Equal(p.PIDs, []int{21, 22}) || p.Host != "fake" {
		t.Errorf("%+v", p)
	}
	for _, n := range p.Namespaces {
		if len(n.SharedWith) != 0 {
			t.Errorf("its own processes share nothing with it: %+v", n)
		}
	}
	p = profileOf(t, m, "42") // its pod's sandbox has some of them too
	for _, n := range p.Namespaces {
		want := map[Type]bool{Net: true, IPC: true, UTS: true}[n.Type]
		if got := len(n.SharedWith) == 1 && n.SharedWith[0].Name == "pod:"+uidPod; got != want {
			t.Errorf("%s: %+v", n.Type, n.SharedWith)
		}
	}
	for word, want := range map[string]error{"podman:nosuch": ErrGone, "99": ErrGone, "net:[4026599999]": ErrGone, "a/b": ErrUsage} {
		if _, err := m.Profile(t.Context(), word); !errors.Is(err, want) {
			t.Errorf("%s: %v", word, err)
		}
	}
}

// TestProfileOfRefused: of one whose namespaces may not be read there is more to know.
func TestProfileOfRefused(t *testing.T) {
	testkit.RequireUser(t)
	p, err := (Machine{}).Profile(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	if p.Complete || p.Process.PID != 1 || p.Rights == nil || len(p.Rights.Bounding) == 0 {
		t.Errorf("%+v", p)
	}
	if !slices.ContainsFunc(p.Unreadable, func(u Unreadable) bool { return u.PID == 1 && u.What == "namespaces" && u.Error == "EACCES" }) {
		t.Errorf("%+v", p.Unreadable)
	}
}

// TestProfileStrangers: the first process, unread, is in the namespaces of the boot only
// where this /proc is the boot's.
func TestProfileStrangers(t *testing.T) {
	shut := []Unreadable{{1, "namespaces", "EACCES"}}
	container := &Snapshot{Processes: []Process{{PID: 1}, {PID: 7}}, Unreadable: shut}
	host := &Snapshot{Processes: []Process{{PID: 1}, {PID: 2, KernelThread: true}, {PID: 7}}, Unreadable: shut}
	for snapshot, want := range map[*Snapshot][]Unreadable{container: shut, host: nil} {
		l := &look{snapshot: snapshot, profile: &Profile{Kind: OfProcess, Namespaces: []NamespaceFacts{{Type: Net, Inode: 4026532704}}}}
		l.strangers()
		if got := l.profile.Unreadable; !slices.Equal(got, want) {
			t.Errorf("of %+v: %+v, want %+v", snapshot.Processes, got, want)
		}
	}
}

// TestProfileFieldsAreSnakeCase: documents are read by programs.
func TestProfileFieldsAreSnakeCase(t *testing.T) {
	snake := regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	for _, v := range []any{Profile{}, NamespaceFacts{}, Sharer{}, GroupUse{}, TimeOffsets{}, UserLevel{}, PIDLevel{}, Rights{}, Files{}, Layers{}, Mount{}, IDRange{}, NetworkFacts{}, Neighbour{}, Port{}} {
		typ := reflect.TypeOf(v)
		for f := range typ.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.IsExported() && !f.Anonymous && !snake.MatchString(name) {
				t.Errorf("%s.%s is %q", typ.Name(), f.Name, name)
			}
		}
	}
}
