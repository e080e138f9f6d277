package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nsx/cgroupfs"
	"nsx/identity"
	"nsx/inspect"
	"nsx/output"
)

var updateGolden = flag.Bool("update-golden", false, "write the golden files of the tables")

// madeUp is a machine with all that ls tells apart.
type madeUp struct {
	snapshot inspect.Snapshot
	inode    uint64
}

var bootNS = inspect.NSSet{1, 2, 3, 4, 5, 6, 7, 8}

// add puts processes there that are apart in some types.
func (m *madeUp) add(pid, procs int, uid uint32, user, command string, memory int64, id *identity.Identity, apart ...inspect.Type) {
	p := inspect.Process{PID: pid, StartTicks: uint64(pid), Comm: command, KernelThread: strings.HasPrefix(command, "[")}
	p.NS = bootNS
	for _, t := range apart {
		m.inode++
		p.NS[t] = m.inode
		m.snapshot.Namespaces = append(m.snapshot.Namespaces, inspect.Namespace{Type: t, Inode: m.inode, NProcs: inspect.Count(procs)})
	}
	set := inspect.Set{NS: p.NS, NProcs: inspect.Count(procs), PIDs: []int{pid}, Apart: append([]inspect.Type{}, apart...), Identity: id}
	set.Leader = &inspect.Leader{PID: pid, UID: &uid, User: user, Comm: command, Cmdline: strings.Fields(command)}
	if p.KernelThread {
		set.Leader.Comm, set.Leader.Cmdline = strings.Trim(command, "[]"), nil
	}
	if memory > 0 {
		set.MemoryBytes = cgroupfs.Number(memory)
	}
	m.snapshot.Processes = append(m.snapshot.Processes, p)
	m.snapshot.Sets = append(m.snapshot.Sets, set)
}

func (m *madeUp) hold(t inspect.Type, names []string, by ...inspect.Holder) {
	m.inode++
	no := false
	m.snapshot.Namespaces = append(m.snapshot.Namespaces, inspect.Namespace{Type: t, Inode: m.inode, Initial: &no, Names: names, HeldBy: by})
}

const (
	mib = 1 << 20
	gib = 1 << 30
)

func newMadeUp() *madeUp {
	m := &madeUp{inode: 4026532000}
	all := isolating
	butUser := slices.DeleteFunc(slices.Clone(all), func(t inspect.Type) bool { return t == inspect.User })
	without := func(types ...inspect.Type) []inspect.Type {
		return slices.DeleteFunc(slices.Clone(butUser), func(t inspect.Type) bool { return slices.Contains(types, t) })
	}
	docker := func(name string) *identity.Identity {
		return &identity.Identity{Kind: identity.Container, Runtime: identity.Docker, Name: name, Image: "ci:1"}
	}
	cart := &identity.PodName{Namespace: "shop", Name: "cart-7d4b9c6f5-x2x9k", UID: "9a18f0c2"}
	inCart := func(name string) *identity.Identity {
		return &identity.Identity{Kind: identity.Container, Runtime: identity.Containerd, Name: name, Pod: cart}
	}
	m.add(1, 297, 0, "root", "systemd", 98*gib/10, nil)
	m.add(2, 60, 0, "root", "[kthreadd]", 0, nil, inspect.Mnt)
	m.add(24117, 3, 1000, "alice", "node server.js --port 3000", 212*mib, docker("cart"), butUser...)
	for i := range 5 {
		m.add(30000+i, 2, 999, "systemd-coredump", "sh -e /run.sh", 64*mib, docker(fmt.Sprintf("ci-%d", i)), butUser...)
	}
	m.add(2101, 1, 65535, "65535", "agent --host", 36*mib, docker("agent"), without(inspect.PID, inspect.Net)...)
	m.add(3728640, 1, 65535, "65535", "/pause", 503*mib, &identity.Identity{Kind: identity.Pod, Pod: cart}, butUser...)
	m.add(3728701, 2, 1000, "alice", "tini -- java -Xmx400m -jar cart.jar", 453*mib, inCart("app"), butUser...)
	m.add(3728790, 1, 1337, "1337", "envoy -c /etc/envoy.yaml", 50*mib, inCart("envoy"), butUser...)
	lxc := &identity.Identity{Kind: identity.Container, Runtime: identity.LXC, Name: "legacy"}
	m.add(31004, 11, 0, "root", "/sbin/init", 93*mib, lxc, butUser...)
	m.add(31877, 1, 999, "999", "redis-server", 73*mib/10, &identity.Identity{
		Kind: identity.Container, Runtime: identity.Docker, ID: strings.Repeat("5f2c9a1e77b0", 6)[:64], Parents: []identity.Identity{*lxc},
	}, butUser...)
	m.add(40377, 2, 100999, "100999", "python3 notes.py", 44*mib, &identity.Identity{
		Kind: identity.Container, Runtime: identity.Podman, Name: "notes", OwnerUID: 1000, Owner: "alice",
	}, all...)
	m.add(40400, 1, 100999, "100999", "bwrap sh", 0, &identity.Identity{
		Kind: identity.Container, Runtime: identity.Podman, Name: "notes", OwnerUID: 1000, Owner: "alice",
	}, all...)
	m.add(60021, 1, 0, "root", "nc -lk -p 7777", 0, nil, inspect.Mnt, inspect.Net)
	m.snapshot.Namespaces[len(m.snapshot.Namespaces)-1].Names = []string{"blue"}
	m.add(70000, 1, 0, "root", "\x1b[31mevil "+strings.Repeat("é", 300), 0, nil, inspect.Time)
	for i, name := range []string{"logind", "udevd", "resolved", "timesyncd"} {
		m.add(800+i, 1, 0, "root", "systemd-"+name, 2*mib, &identity.Identity{Kind: identity.Unit, Name: "systemd-" + name + ".service"}, inspect.Mnt, inspect.UTS)
	}
	m.hold(inspect.Net, []string{"cni-4fd1a0c2-3b1e-7a52-9c0d-1f2e3d4c5b6a"}, inspect.Holder{Kind: inspect.HeldByBind, Path: "/run/netns/cni-4fd1a0c2-3b1e-7a52-9c0d-1f2e3d4c5b6a"})
	five := 5
	m.hold(inspect.Net, nil, inspect.Holder{Kind: inspect.HeldBySocket, PID: 23644, FD: &five})
	slices.SortFunc(m.snapshot.Processes, func(a, b inspect.Process) int { return a.PID - b.PID })
	slices.SortFunc(m.snapshot.Namespaces, func(a, b inspect.Namespace) int {
		if a.Type != b.Type {
			return int(a.Type) - int(b.Type)
		}
		return int(a.Inode) - int(b.Inode)
	})
	return m
}

// TestLsLook holds the table of ls against golden files, at several widths.
func TestLsLook(t *testing.T) {
	m := newMadeUp()
	for _, width := range []int{0, 40, 60, 80, 200} {
		for _, folded := range []bool{true, false} {
			roots := isolatedTree(&m.snapshot, isolatedRows(&m.snapshot, inspect.Match{All: true}))
			if folded {
				roots, _ = fold(roots)
			}
			var plain, colored strings.Builder
			o := output.Options{Format: output.Table, Width: width}
			must(t, isolatedView.PrintTree(&plain, roots, o))
			o.Color = true
			must(t, isolatedView.PrintTree(&colored, roots, o))
			if stripped := stripStyles(colored.String()); stripped != plain.String() {
				t.Errorf("with colours it says something else:\n%s\n%s", stripped, plain.String())
			}
			if strings.Contains(plain.String(), "\x1b") {
				t.Error("an escape reached the terminal")
			}
			name := filepath.Join("testdata/look", fmt.Sprintf("ls-%d-%v.txt", width, folded))
			if *updateGolden {
				must(t, os.WriteFile(name, []byte(plain.String()), 0o644))
			}
			want, err := os.ReadFile(name)
			must(t, err)
			if plain.String() != string(want) {
				t.Errorf("%s:\n%s\nwant\n%s", name, plain.String(), want)
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func stripStyles(s string) string {
	for {
		start := strings.Index(s, "\x1b[")
		if start < 0 {
			return s
		}
		end := strings.IndexByte(s[start:], 'm')
		s = s[:start] + s[start+end+1:]
	}
}

// TestApartWords: what containers usually have is said shortest.
func TestApartWords(t *testing.T) {
	ct := &identity.Identity{Kind: identity.Container}
	all := isolating
	for _, c := range []struct {
		types []inspect.Type
		id    *identity.Identity
		want  string
		data  string // what filters see
	}{
		{nil, ct, "?", ""},
		{[]inspect.Type{}, nil, "-", ""},
		{[]inspect.Type{}, ct, "SHARES pid net mnt ipc uts", "-"},
		{all, ct, "all", "cgroup,ipc,mnt,net,pid,user,uts"},
		{inspect.Types[:], ct, "all +time", "cgroup,ipc,mnt,net,pid,time,user,uts"},
		{[]inspect.Type{inspect.Time}, nil, "time", "time"},
		{[]inspect.Type{inspect.Net, inspect.Time, inspect.UTS}, nil, "net uts +time", "net,time,uts"},
		{all[:6], nil, "all but uts", "cgroup,ipc,mnt,net,pid,user"},
		{all[:5], nil, "all but user uts", "cgroup,ipc,mnt,net,pid"},
		{all[:4], nil, "cgroup ipc mnt net", "cgroup,ipc,mnt,net"},
	} {
		cell := apartCell(c.types, c.id)
		if cell.String() != c.want {
			t.Errorf("%v: %q, want %q", c.types, cell.String(), c.want)
		}
		view := output.View[output.Cell]{Columns: []output.Column[output.Cell]{{Name: "apart", Value: func(c *output.Cell) output.Cell { return *c }}}}
		if rows, err := view.Select([]output.Cell{cell}, output.Options{Filter: fmt.Sprintf("apart == %q", c.data)}); err != nil || len(rows) != 1 && c.types != nil {
			t.Errorf("%v: a filter does not see %q: %v", c.types, c.data, err)
		}
	}
}
