package inspect

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/identity"
	"nsx/internal/testkit"
)

const (
	idWeb  = "1111aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	idCart = "2222bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	idPod  = "3333cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
	idApp  = "4444dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
	uidPod = "0f3a1b2c-1111-2222-3333-444455556666"
)

const statusOfSetuid = "Name:\tconmon\nTgid:\t24\nPid:\t24\nPPid:\t1\nTracerPid:\t0\nUid:\t1000\t0\t0\t0\nGid:\t1000\t1000\t1000\t1000\nGroups:\t\nNSpid:\t24\n" +
	"CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t0\nSeccomp_filters:\t0\n"

// namedMachine has a container of each way to be named, and those who only claim to
// be one.
func namedMachine(t *testing.T) Machine {
	t.Helper()
	conmon := func(id, name string) []string {
		return []string{"/usr/bin/conmon", "--api-version", "1", "-c", id, "-n", name}
	}
	shim := func(namespace, id string) []string {
		return []string{"/usr/bin/containerd-shim-runc-v2", "-namespace", namespace, "-id", id, "-address", "/run/x"}
	}
	apart := func(base uint64, types ...string) map[string]uint64 {
		set := map[string]uint64{}
		for i, name := range types {
			set[name] = base + uint64(i)
		}
		return set
	}
	all := []string{"cgroup", "ipc", "mnt", "net", "pid", "uts"}
	pod := apart(5000, all...)
	app := apart(5100, all...)
	app["net"], app["ipc"], app["uts"] = pod["net"], pod["ipc"], pod["uts"]
	kube := "/kubepods/burstable/pod" + uidPod
	proc := testkit.ProcTree(t,
		testkit.FakeProcess{PID: 1, Comm: "systemd", Cgroup: "0::/init.scope\n"},
		testkit.FakeProcess{PID: 2, Comm: "kthreadd", Cmdline: []string{}, Flags: 0x00200000},
		// podman, by conmon.
		testkit.FakeProcess{PID: 20, PPID: 1, Comm: "conmon", Cmdline: conmon(idWeb, "web"), Cgroup: "0::/machine.slice/libpod-conmon-" + idWeb + ".scope\n"},
		testkit.FakeProcess{PID: 21, PPID: 20, Comm: "nginx", Cgroup: "0::/machine.slice/libpod-" + idWeb + ".scope/container\n", NS: apart(4100, all...)},
		testkit.FakeProcess{PID: 22, PPID: 21, Comm: "nginx", Cgroup: "0::/machine.slice/libpod-" + idWeb + ".scope/container\n", NS: apart(4100, all...)},
		testkit.FakeProcess{PID: 23, PPID: 20, Comm: "podman", Cgroup: "0::/\n"}, // cleans up
		// A user's, who started a set-user-ID program by that name.
		testkit.FakeProcess{PID: 24, PPID: 1, Comm: "conmon", Cmdline: conmon(idApp, "forged"), Cgroup: "0::/\n", Extra: map[string]string{"status": statusOfSetuid}},
		testkit.FakeProcess{PID: 25, PPID: 24, Comm: "sleep", UID: 1000, Cgroup: "0::/\n", NS: apart(4800, all...)},
		// Root of a container of which no group tells: its PID namespace is its own.
		testkit.FakeProcess{PID: 26, PPID: 1, Comm: "conmon", Cmdline: conmon(idApp, "inside"), Cgroup: "0::/\n", NS: apart(4900, all...)},
		testkit.FakeProcess{PID: 27, PPID: 26, Comm: "sleep", Cgroup: "0::/\n", NS: apart(4950, all...)},
		// docker with another parent of its groups: only the shim knows.
		testkit.FakeProcess{PID: 30, PPID: 1, Comm: "containerd-shim", Cmdline: shim("moby", idCart), Cgroup: "0::/system.slice/containerd.service\n"},
		testkit.FakeProcess{PID: 31, PPID: 30, Comm: "node", UID: 1000, Cgroup: "0::/parent/" + idCart + "\n", NS: apart(4200, all...)},
		// A pod.
		testkit.FakeProcess{PID: 40, PPID: 1, Comm: "containerd-shim", Cmdline: shim("k8s.io", idPod), Cgroup: "0::/system.slice/containerd.service\n"},
		testkit.FakeProcess{PID: 41, PPID: 40, Comm: "pause", UID: 65535, Cgroup: "0::" + kube + "/" + idPod + "\n", NS: pod},
		testkit.FakeProcess{PID: 42, PPID: 40, Comm: "java", UID: 1000, Cgroup: "0::" + kube + "/" + idApp + "\n", NS: app},
		// alice's rootless podman has no group of its own; she says it is "web" too.
		testkit.FakeProcess{PID: 50, PPID: 1, Comm: "conmon", UID: 1000, Cmdline: conmon(idApp, "web"), Cgroup: "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-" + idApp + ".scope\n"},
		testkit.FakeProcess{PID: 51, PPID: 50, Comm: "python3", UID: 1000, Cgroup: "0::/\n", NS: apart(4300, all...)},
		// LXC, and a conmon that its root runs inside.
		testkit.FakeProcess{PID: 60, PPID: 1, Comm: "lxc-start", Cmdline: []string{"[lxc monitor] /var/lib/lxc legacy"}, Cgroup: "0::/lxc.monitor.legacy\n"},
		testkit.FakeProcess{PID: 61, PPID: 60, Comm: "init", Cgroup: "0::/lxc.payload.legacy\n", NS: apart(4400, all...)},
		testkit.FakeProcess{PID: 62, PPID: 61, Comm: "conmon", Cmdline: conmon(idPod, "web"), Cgroup: "0::/lxc.payload.legacy\n", NS: apart(4400, all...)},
		testkit.FakeProcess{PID: 63, PPID: 62, Comm: "redis", Cgroup: "0::/lxc.payload.legacy\n", NS: apart(4500, all...)},
		// Units and a session.
		testkit.FakeProcess{PID: 70, PPID: 1, Comm: "nginx", Cgroup: "0::/system.slice/nginx.service\n"},
		testkit.FakeProcess{PID: 71, PPID: 1, Comm: "logind", Cgroup: "0::/system.slice/systemd-logind.service\n", NS: apart(4600, "mnt")},
		testkit.FakeProcess{PID: 72, PPID: 1, Comm: "sshd", Cgroup: "0::/user.slice/user-1000.slice/session-2.scope\n"},
		// Nobody's, and one that is its own ancestor.
		testkit.FakeProcess{PID: 80, PPID: 1, Comm: "sleep", Cgroup: "0::/demo\n", NS: apart(4700, "net")},
		testkit.FakeProcess{PID: 90, PPID: 91, Comm: "a", Cgroup: "0::/\n"},
		testkit.FakeProcess{PID: 91, PPID: 90, Comm: "conmon", Cmdline: []string{"conmon"}, Cgroup: "0::/\n"},
	)
	root := filepath.Dir(proc)
	writeFile(t, filepath.Join(root, "var/lib/docker/containers", idCart, "config.v2.json"), `{"Name":"/cart","Config":{"Image":"node:20"}}`)
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0::/:\nalice:x:1000:1000::/:\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestNames: whose each process, set and namespace is.
func TestNames(t *testing.T) {
	testkit.CheckLeaks(t)
	m := namedMachine(t)
	s, err := m.Scan(t.Context(), Options{Details: AllDetails, Names: true, Sets: true})
	if err != nil {
		t.Fatal(err)
	}
	for pid, want := range map[int]string{
		1: "unit:init.scope", 2: "", 20: "", 23: "", 25: "podman(alice):forged", 26: "", 27: "", 21: "podman:web", 22: "podman:web",
		30: "unit:containerd", 31: "docker:cart",
		41: "pod:" + uidPod, 42: "ct:4444dddddddd",
		50: "", 51: "podman(alice):web",
		60: "", 61: "lxc:legacy", 62: "lxc:legacy", 63: "podman(lxc:legacy):web",
		70: "unit:nginx", 71: "unit:systemd-logind", 72: "session:2", 80: "", 90: "", 91: "",
	} {
		if got := target(s.Process(pid).Identity); got != want {
			t.Errorf("process %d: %q, want %q", pid, got, want)
		}
	}
	sets := map[int]string{}
	for _, set := range s.Sets {
		sets[set.Leader.PID] = target(set.Identity)
	}
	if sets[1] != "" || sets[21] != "podman:web" || sets[71] != "unit:systemd-logind" || sets[80] != "" {
		t.Errorf("sets: %v", sets)
	}
	for id, want := range map[ID]string{
		{Net, boot[Net]}: "", {Net, 5003}: "pod:" + uidPod, {Mnt, 5002}: "pod:" + uidPod, {Mnt, 5102}: "ct:4444dddddddd", {Net, 4103}: "podman:web", {Net, 4700}: "",
	} {
		if n := s.Namespace(id); n == nil || target(n.Identity) != want {
			t.Errorf("%s: %+v, want %q", id, n, want)
		}
	}
	// One alone, with its supervisor.
	s, match, err := m.Find(t.Context(), []string{"22"}, Options{Details: AllDetails, Names: true, Cgroups: true, ProcessesOnly: true})
	if err != nil || !slices.Equal(match.PIDs, []int{22}) || target(s.Process(22).Identity) != "podman:web" || s.Process(31) != nil || s.Process(20).Cmdline != nil {
		t.Errorf("%v, %+v", err, s)
	}
	// Of those alone that are asked about, and without it of none.
	if s, err = m.Scan(t.Context(), Options{Details: LeaderDetails, Names: true, Sets: true}); err != nil || target(s.Process(21).Identity) != "podman:web" || s.Process(22).Identity != nil {
		t.Errorf("%v, %v", s.Process(22).Identity, err)
	}
	if s, err = m.Scan(t.Context(), Options{Details: AllDetails}); err != nil || s.Process(21).Identity != nil {
		t.Errorf("%v, %v", s.Process(21).Identity, err)
	}
}

func target(id *identity.Identity) string {
	if id == nil {
		return ""
	}
	return id.Target()
}

// TestFindByName: a name is of one thing, and only a word that says whose it is names
// what a user or a container claims.
func TestFindByName(t *testing.T) {
	m := namedMachine(t)
	for word, want := range map[string][]int{
		"web": {21, 22}, "podman:web": {21, 22}, "ct:web": {21, 22}, "1111aa": {21, 22}, "ct:1111aaaa": {21, 22}, "docker:2222": {31}, "docker:cart": {31}, "cart": {31},
		"podman(alice):web": {51}, "podman(lxc:legacy):web": {63},
		"legacy": {61, 62}, "lxc:legacy": {61, 62},
		"pod:" + uidPod: {41, 42}, "pod:0f3a": {41, 42}, "4444dd": {42},
		"nginx": {70}, "unit:nginx": {70}, "nginx.service": {70}, "session:2": {72}, "unit:*": {1, 30, 40, 70, 71}, "podman:*": {21, 22},
	} {
		s, match, err := m.Find(t.Context(), []string{word}, Options{})
		if err != nil || !slices.Equal(match.PIDs, want) || len(match.Namespaces) == 0 {
			t.Errorf("%s: %v, %v; want %v", word, match, err, want)
		}
		if err == nil && !s.Complete {
			t.Errorf("%s: %+v", word, s.Unreadable)
		}
	}
	for word, want := range map[string]struct {
		is   error
		says string
	}{
		"wev": {ErrGone, `"wev" names nothing: no container`}, "docker:web": {ErrGone, "no container"}, "podman(bob):web": {ErrGone, "no container"},
		"container": {ErrGone, ""}, "conmon": {ErrGone, ""},
	} {
		if _, _, err := m.Find(t.Context(), []string{word}, Options{}); !errors.Is(err, want.is) || !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: %v", word, err)
		}
	}
	two := namedMachineWith(t, "web")
	for _, word := range []string{"web", "netns:web"} {
		_, _, err := two.Find(t.Context(), []string{word}, Options{})
		if word == "web" && (!errors.Is(err, ErrAmbiguous) || !strings.Contains(err.Error(), `"web" is 2 things: netns:web and podman:web (21): say which`)) {
			t.Errorf("%s: %v", word, err)
		}
		if word == "netns:web" && errors.Is(err, ErrAmbiguous) {
			t.Errorf("%s: %v", word, err)
		}
	}
	if _, err := two.Resolve(t.Context(), "web"); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("resolved: %v", err)
	}
}

// TestOneNameOfTwo: two containers of root's have one name, and so have two pods. Each is
// to be had by its ID.
func TestOneNameOfTwo(t *testing.T) {
	conmon := func(id, name string) []string { return []string{"conmon", "-c", id, "-n", name} }
	const other = "7f3a1b2c-1111-2222-3333-444455556666"
	apart := func(net uint64) map[string]uint64 { return map[string]uint64{"net": net} }
	proc := testkit.ProcTree(t,
		testkit.FakeProcess{PID: 1, Cgroup: "0::/\n"},
		testkit.FakeProcess{PID: 20, PPID: 1, Comm: "conmon", Cmdline: conmon(idWeb, "web"), Cgroup: "0::/\n"},
		testkit.FakeProcess{PID: 21, PPID: 20, Cgroup: "0::/\n", NS: apart(4100)},
		testkit.FakeProcess{PID: 22, PPID: 21, Cgroup: "0::/\n", NS: apart(4100)},
		testkit.FakeProcess{PID: 30, PPID: 1, Comm: "conmon", Cmdline: conmon(idCart, "web"), Cgroup: "0::/\n"},
		testkit.FakeProcess{PID: 31, PPID: 30, Cgroup: "0::/\n", NS: apart(4200)},
		testkit.FakeProcess{PID: 40, PPID: 1, Comm: "conmon", Cmdline: conmon(idApp, "k8s_app_cart_shop_"+uidPod+"_0"), Cgroup: "0::/\n"},
		testkit.FakeProcess{PID: 41, PPID: 40, Cgroup: "0::/\n", NS: apart(4300)},
		testkit.FakeProcess{PID: 42, PPID: 1, Comm: "conmon", Cmdline: conmon(idPod, "k8s_db_cart_shop_"+uidPod+"_0"), Cgroup: "0::/\n"},
		testkit.FakeProcess{PID: 43, PPID: 42, Cgroup: "0::/\n", NS: apart(4300)},
		testkit.FakeProcess{PID: 50, PPID: 1, Comm: "conmon", Cmdline: conmon("5555"+idPod[4:], "k8s_app_cart_shop_"+other+"_0"), Cgroup: "0::/\n"},
		testkit.FakeProcess{PID: 51, PPID: 50, Cgroup: "0::/\n", NS: apart(4400)},
	)
	m, err := Open(filepath.Dir(proc))
	if err != nil {
		t.Fatal(err)
	}
	for word, want := range map[string]string{
		"web":    `"web" is 2 things: podman:1111aaaaaaaa (21) and podman:2222bbbbbbbb (31): say which`,
		"ct:web": "podman:1111aaaaaaaa (21) and podman:2222bbbbbbbb (31)", "podman:web": "podman:1111aaaaaaaa (21) and podman:2222bbbbbbbb (31)",
		"pod:shop/cart": "pod:" + uidPod + " (41) and pod:" + other + " (51)", "pod:shop/cart/app": "cri-o:4444dddddddd (41) and cri-o:5555cccccccc (51)",
	} {
		if _, match, err := m.Find(t.Context(), []string{word}, Options{}); !errors.Is(err, ErrAmbiguous) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", word, match.PIDs, err)
		}
	}
	for word, want := range map[string][]int{
		"podman:1111aaaaaaaa": {21, 22}, "podman:2222bbbbbbbb": {31}, "podman:w*": {21, 22, 31}, "pod:" + uidPod: {41, 43}, "pod:" + other: {51},
		"ct:3333cccccccc": {43}, "ct:5555cccccccc": {51}, "ct:4444dddddddd": {41}, "pod:shop/cart/db": {43},
	} {
		if _, match, err := m.Find(t.Context(), []string{word}, Options{}); err != nil || !slices.Equal(match.PIDs, want) {
			t.Errorf("%s: %v, %v", word, match.PIDs, err)
		}
	}
}

func writeFile(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// namedMachineWith has a file for a network namespace besides.
func namedMachineWith(t *testing.T, netns string) Machine {
	t.Helper()
	m := namedMachine(t)
	dir := filepath.Join(m.Root(), "run/netns")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, netns), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestNamesBesideTheStuck: who calls himself a supervisor and does not answer is not
// waited for, if it is none of those who are asked about.
func TestNamesBesideTheStuck(t *testing.T) {
	testkit.CheckLeaks(t)
	stranger := testkit.RequireStuck(t, testkit.Config{Comm: "conmon"})
	defer stranger.Kill()
	own := testkit.Start(t, testkit.Config{})
	const timeout = 2 * time.Second
	start := time.Now()
	s, _, err := Machine{}.Find(t.Context(), []string{strconv.Itoa(own.PID)}, Options{Names: true, Details: LeaderDetails, CmdlineTimeout: timeout})
	if took := time.Since(start); err != nil || took > timeout/2 {
		t.Errorf("%v after %v", err, took)
	}
	if p := s.Process(stranger.PID); p == nil || p.Comm != "conmon" || p.Cmdline != nil {
		t.Errorf("the stranger: %+v", p)
	}
}

// Whose a process is that could not be read for want of descriptors nobody knows: that is
// no answer that nobody has a name.
func TestNoNameWithFewDescriptors(t *testing.T) {
	ref := Ref{Word: "podman:web", Kind: RefIdentity}
	few := &Snapshot{Processes: []Process{{PID: 7}}, Unreadable: []Unreadable{{7, "threads", "EMFILE"}}}
	if err := few.noName(ref); errors.Is(err, unix.EMFILE) || !errors.Is(err, ErrGone) {
		t.Errorf("threads have no names of their own: %v", err)
	}
	few.noteFew(7, []Unreadable{{0, "cmdline", "EMFILE"}, {0, "cmdline", "EMFILE"}, {0, "status", "EACCES"}})
	if want := []Unreadable{{7, "threads", "EMFILE"}, {7, "cmdline", "EMFILE"}}; !slices.Equal(few.Unreadable, want) {
		t.Errorf("%+v, want %+v", few.Unreadable, want)
	}
	few.Unreadable = append(few.Unreadable, Unreadable{8, "namespaces", "EMFILE"})
	err := few.noName(ref)
	if !errors.Is(err, unix.EMFILE) || !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "2 processes") {
		t.Errorf("%v", err)
	}
}
