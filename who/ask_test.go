package who

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nsx/identity"
	"nsx/inspect"
	"nsx/inspect/network"
	"nsx/internal/testkit"
)

func ask(t *testing.T, words ...string) *Report {
	t.Helper()
	r, err := Ask(t.Context(), inspect.Machine{}, words, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// one is the one answer.
func one(t *testing.T, word string) Answer {
	t.Helper()
	r := ask(t, word)
	if len(r.Answers) != 1 || !r.Answers[0].Found {
		t.Fatalf("%s: %+v", word, r.Answers)
	}
	return r.Answers[0]
}

func numbers(levels []Level) (list []int) {
	for _, l := range levels {
		if l.Number == nil {
			list = append(list, -1)
		} else {
			list = append(list, int(*l.Number))
		}
	}
	return list
}

func TestProcess(t *testing.T) {
	p := testkit.Start(t, testkit.Config{})
	a := one(t, fmt.Sprint("pid:", p.PID))
	if a.Process == nil || a.Process.PID != p.PID || a.Kind != KindProcess || len(a.Levels) == 0 {
		t.Errorf("%+v", a)
	}
}

// The number of a thread leads to its process.
func TestThread(t *testing.T) {
	testkit.RequireNS(t, "user", "net")
	p := testkit.Start(t, testkit.Config{New: []string{"user"}, Mode: testkit.ThreadElsewhere})
	if a := one(t, fmt.Sprint("pid:", p.Thread)); a.Process == nil || a.Process.PID != p.PID || a.TID != p.Thread {
		t.Errorf("%+v", a)
	}
	if a := one(t, fmt.Sprint("pid:", p.PID)); a.TID != 0 {
		t.Errorf("%+v", a)
	}
}

// PIDs and uids are translated through all namespaces in between, both ways.
func TestLevels(t *testing.T) {
	testkit.RequireNS(t, "user", "pid")
	p := testkit.Start(t, testkit.Config{New: []string{"user", "pid"}, Depth: 2})
	a := one(t, fmt.Sprint("pid:", p.PID))
	status, err := os.ReadFile(p.Path("status"))
	if err != nil {
		t.Fatal(err)
	}
	got := numbers(a.Levels)
	if len(got) < 3 || got[0] != p.PID || got[len(got)-1] != 1 {
		t.Fatalf("PIDs are %v; status is %s", got, status)
	}
	for i, l := range a.Levels {
		if l.Namespace.Inode == 0 {
			t.Errorf("level %d has no namespace", i)
		}
		word := fmt.Sprintf("pid:%d@pid:%d", got[i], l.Namespace.Inode)
		back := ask(t, word)
		if !slices.ContainsFunc(back.Answers, func(a Answer) bool { return a.Process != nil && a.Process.PID == p.PID }) {
			t.Errorf("%s is %+v", word, back.Answers)
		}
	}
	// From inside: root there is whom the map says.
	uid := one(t, fmt.Sprintf("uid:0@%d", p.PID))
	levels := numbers(uid.Levels)
	if len(levels) < 3 || levels[0] != os.Geteuid() || levels[len(levels)-1] != 0 {
		t.Errorf("uids are %v", levels)
	}
	if !slices.Contains(uid.PIDs, p.PID) {
		t.Errorf("processes are %v, not %d", uid.PIDs, p.PID)
	}
	// And from here.
	here := ask(t, fmt.Sprintf("uid:%d", os.Geteuid()))
	if !slices.ContainsFunc(here.Answers, func(a Answer) bool {
		return slices.Contains(a.PIDs, p.PID) && slices.Equal(numbers(a.Levels), levels)
	}) {
		t.Errorf("uid %d is %+v", os.Geteuid(), here.Answers)
	}
	if r := ask(t, fmt.Sprintf("uid:4000000000@%d", p.PID)); r.AllFound() || r.Answers[0].Reason == "" {
		t.Errorf("a uid that the map does not have: %+v", r.Answers)
	}
}

// A PID that is nobody's here may be somebody's inside.
func TestPIDOfInside(t *testing.T) {
	testkit.RequireNS(t, "user", "pid")
	p := testkit.Start(t, testkit.Config{New: []string{"user", "pid"}})
	if a := one(t, fmt.Sprintf("pid:1@%d", p.PID)); a.Process.PID != p.PID || a.Kind != KindPID || a.Namespace.Inode != p.NS("pid") {
		t.Errorf("%+v", a)
	}
	if r := ask(t, fmt.Sprintf("pid:4194304@%d", p.PID)); r.AllFound() {
		t.Errorf("%+v", r.Answers)
	}
}

func TestNamespace(t *testing.T) {
	testkit.RequireNS(t, "user", "uts")
	p := testkit.Start(t, testkit.Config{New: []string{"user", "uts"}})
	word := fmt.Sprintf("uts:%d", p.NS("uts"))
	if a := one(t, word); a.Name != word || a.Process == nil || a.Process.PID != p.PID || a.Namespace.Inode != p.NS("uts") {
		t.Errorf("%+v", a)
	}
}

// A word without an answer is an answer, and takes no other word's.
func TestNothing(t *testing.T) {
	p := testkit.Start(t, testkit.Config{})
	r := ask(t, "if:nobodys", "4194304", "nobody-is-called-that", fmt.Sprint("pid:", p.PID), "tcp:127.0.0.77:1")
	if len(r.Answers) != 5 || r.AllFound() {
		t.Fatalf("%+v", r.Answers)
	}
	for i, a := range r.Answers {
		if a.Found != (i == 3) || !a.Found && a.Reason == "" {
			t.Errorf("%+v", a)
		}
	}
	if _, err := Ask(t.Context(), inspect.Machine{}, []string{"foo:bar"}, Options{}); !errors.Is(err, inspect.ErrUsage) {
		t.Errorf("a word that means nothing: %v", err)
	}
	r, err := Ask(t.Context(), inspect.Machine{}, []string{"foo:bar", "self"}, Options{Lenient: true})
	if err != nil || len(r.Answers) != 2 || r.Answers[0].Found || !r.Answers[1].Found {
		t.Errorf("%+v, %v", r, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Ask(ctx, inspect.Machine{}, []string{"self"}, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// docker-proxy says to whom it sends on, if it is root's: whoever has the address.
func TestFollow(t *testing.T) {
	cart := &identity.Identity{Kind: identity.Container, Runtime: identity.Docker, ID: "5f2c", Name: "cart"}
	snapshot := &inspect.Snapshot{
		Processes:  []inspect.Process{{PID: 7, Identity: cart}},
		Namespaces: []inspect.Namespace{{Type: inspect.Net, Inode: 1, Initial: new(true)}, {Type: inspect.Net, Inode: 2, Identity: cart, Initial: new(false)}},
	}
	var address network.Address
	if err := address.UnmarshalText([]byte("172.18.0.2/16")); err != nil {
		t.Fatal(err)
	}
	a := &asker{
		snapshot:  snapshot,
		networks:  []inspect.Network{{Inode: 1}, {Inode: 2, Interfaces: []inspect.Interface{{Interface: network.Interface{Name: "eth0", Addresses: []network.Address{address}}}}}},
		byAddress: map[string][]atHome{"172.18.0.2": {{1, 0}}},
	}
	cmdline := []string{"/usr/bin/docker-proxy", "-use-listen-fd", "-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", "8080", "-container-ip", "172.18.0.2", "-container-port", "80"}
	for _, c := range []struct {
		p    inspect.Process
		want string
	}{
		{inspect.Process{Comm: "docker-proxy", UID: new(uint32(0)), Cmdline: cmdline}, "docker:cart"},
		{inspect.Process{Comm: "docker-proxy", UID: new(uint32(1000)), Cmdline: cmdline}, ""},
		{inspect.Process{Comm: "docker-proxy", UID: new(uint32(0)), Cmdline: cmdline[:9]}, ""},
		{inspect.Process{Comm: "nginx", UID: new(uint32(0)), Cmdline: cmdline}, ""},
		{inspect.Process{Comm: "docker-proxy", UID: new(uint32(0))}, ""},
	} {
		answer := Answer{Process: &c.p}
		a.follow(&answer)
		if answer.Name != c.want || (c.want != "") != (answer.Forward != nil && *answer.Forward == Forward{"172.18.0.2", 80}) {
			t.Errorf("%+v sends on to %q: %+v", c.p, answer.Name, answer.Forward)
		}
	}
}

// shut is a machine whose first process may not be read.
type shut struct{}

func (shut) Fields() inspect.Fields {
	return inspect.FieldNS | inspect.FieldForChildren | inspect.FieldThreads | inspect.FieldCgroups | inspect.FieldIDs
}

func (shut) Processes(context.Context, inspect.Request) ([]inspect.Process, []inspect.Unreadable, error) {
	return nil, []inspect.Unreadable{{PID: 1, What: "namespaces", Error: "EACCES"}}, nil
}

// Whoever may not be read may be in another network than the boot's, the first process
// of this /proc too.
func TestUnreadableNetworks(t *testing.T) {
	for _, word := range []string{"if:nsx-nobodys", ":1", "10.88.79.3", "nsx-nobodys"} {
		r, err := Ask(t.Context(), inspect.Machine{}.From(shut{}), []string{word}, Options{})
		if err != nil || r.Complete || len(r.Unreadable) != 1 || r.Unreadable[0].PID != 1 {
			t.Errorf("%s: %+v, %v", word, r, err)
		}
	}
}

// A thread that is elsewhere is about that place, by either of its names.
func TestThreadElsewhere(t *testing.T) {
	testkit.RequireNS(t, "user", "net")
	p := testkit.Start(t, testkit.Config{New: []string{"user"}, Mode: testkit.ThreadElsewhere})
	for _, word := range []string{fmt.Sprint("pid:", p.Thread), fmt.Sprintf("%d/%d", p.PID, p.Thread)} {
		a := one(t, word)
		if a.TID != p.Thread || a.Thread == nil || a.Thread.NS[inspect.Net] != p.Held["net"] || a.Name != fmt.Sprintf("net:%d", p.Held["net"]) {
			t.Errorf("%s: %+v", word, a)
		}
	}
	if a := one(t, fmt.Sprintf("%d/%d", p.PID, p.PID)); a.TID != 0 || a.Thread != nil {
		t.Errorf("the first thread: %+v", a)
	}
}

// A namespace without a process is found by its number however it is kept.
func TestHeldNamespace(t *testing.T) {
	testkit.RequireNS(t, "user", "net")
	p := testkit.Start(t, testkit.Config{New: []string{"user"}, Mode: testkit.FDHolder})
	if a := one(t, fmt.Sprintf("net:%d", p.Held["net"])); a.Namespace == nil || a.Namespace.Inode != p.Held["net"] {
		t.Errorf("%+v", a)
	}
}

// Two containers of root's may have one name: each is an answer.
func TestOneNameOfTwo(t *testing.T) {
	ids := []string{strings.Repeat("1a", 32), strings.Repeat("2b", 32)}
	processes := []testkit.FakeProcess{{PID: 1, Cgroup: "0::/\n"}}
	for i, id := range ids {
		supervisor := 20 + 10*i
		processes = append(
			processes,
			testkit.FakeProcess{PID: supervisor, PPID: 1, Comm: "conmon", Cmdline: []string{"conmon", "-c", id, "-n", "web"}, Cgroup: "0::/\n"},
			testkit.FakeProcess{PID: supervisor + 1, PPID: supervisor, Cgroup: "0::/\n", NS: map[string]uint64{"net": uint64(4000 + i)}},
		)
	}
	m, err := inspect.Open(filepath.Dir(testkit.ProcTree(t, processes...)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Ask(t.Context(), m, []string{"web"}, Options{})
	if err != nil || len(r.Answers) != len(ids) {
		t.Fatalf("%v, %+v", err, r)
	}
	for i, a := range r.Answers {
		if a.Name != "podman:web" || a.Identity.ID != ids[i] || !slices.Equal(a.PIDs, []int{21 + 10*i}) {
			t.Errorf("%+v", a)
		}
	}
}
