package inspect

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
	"nsx/internal/testkit"
)

func TestHeldByDescriptor(t *testing.T) {
	testkit.CheckLeaks(t)
	types := []string{"net", "uts", "ipc", "mnt", "cgroup", "user"}
	testkit.RequireNS(t, types...)
	p := startIn(t, testkit.Config{New: withUser(), Mode: testkit.FDHolder, Apart: types})
	if s := scan(t, Options{Relations: true}); s.Namespace(held(t, p, Net)) != nil {
		t.Error("it is found without looking at descriptors")
	}
	s := scan(t, Options{Relations: true, Holders: true})
	for _, name := range types {
		typ, _ := ParseType(name)
		n := namespace(t, s, held(t, p, typ))
		fd := p.HeldFD[name]
		if !slices.ContainsFunc(n.HeldBy, func(h Holder) bool {
			return reflect.DeepEqual(h, Holder{Kind: HeldByFD, PID: p.PID, FD: &fd})
		}) {
			t.Errorf("%s is held by %+v, want descriptor %d of %d", n.ID(), n.HeldBy, fd, p.PID)
		}
		if n.Owner == nil {
			t.Errorf("%s: its owner is not known", n.ID())
		}
	}
}

func TestHeldBySocket(t *testing.T) {
	testkit.RequireRoot(t) // SIOCGSKNS asks for CAP_NET_ADMIN over the namespace
	testkit.CheckLeaks(t)
	p := startIn(t, testkit.Config{New: []string{"net"}, Mode: testkit.SocketHolder})
	s := scan(t, Options{Relations: true, Holders: true})
	// No process and no link tells which one it is: the socket does.
	fd := p.HeldFD["net"]
	want := Holder{Kind: HeldBySocket, PID: p.PID, FD: &fd}
	i := slices.IndexFunc(s.Namespaces, func(n Namespace) bool {
		return n.Type == Net && slices.ContainsFunc(n.HeldBy, func(h Holder) bool { return reflect.DeepEqual(h, want) })
	})
	if i < 0 {
		t.Fatalf("nothing is held by socket %d of %d", fd, p.PID)
	}
	if n := namespace(t, s, held(t, p, Net)); n != &s.Namespaces[i] || n.Owner == nil {
		t.Errorf("%+v", n)
	}
}

func TestHeldByBindInAnotherMountNamespace(t *testing.T) {
	testkit.CheckLeaks(t)
	types := withUser("net", "uts")
	testkit.RequireNS(t, types...)
	p := startIn(t, testkit.Config{New: withUser("mnt"), Mode: testkit.BindHolder, Apart: types})
	if s := scan(t, Options{Relations: true, Binds: true}); s.Namespace(held(t, p, Net)) != nil {
		t.Error("it is found without looking at other mount namespaces")
	}
	s := scan(t, Options{Relations: true, Holders: true})
	for _, name := range []string{"net", "uts"} {
		typ, _ := ParseType(name)
		n := namespace(t, s, held(t, p, typ))
		want := Holder{Kind: HeldByBind, Path: p.HeldPath[name], Mnt: p.NS("mnt")}
		if !reflect.DeepEqual(n.HeldBy, []Holder{want}) {
			t.Errorf("%s is held by %+v, want %+v", n.ID(), n.HeldBy, want)
		}
		if n.Owner == nil {
			t.Errorf("%s was not opened: its owner is not known", n.ID())
		}
	}
}

// apartFromMachine runs f on a thread in a mount namespace of its own, whose
// mounts go nowhere else. The thread ends with it.
func apartFromMachine(t *testing.T, f func() error) {
	t.Helper()
	testkit.RequireRoot(t)
	done := make(chan error)
	linux.OnThread(func() {
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
				return os.NewSyscallError("unshare", err)
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return os.NewSyscallError("mount", err)
			}
			return f()
		}()
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestBinds has a namespace bound in the caller's own mount namespace, twice
// at one place and once behind something that covers it.
func TestBinds(t *testing.T) {
	testkit.CheckLeaks(t)
	testkit.RequireRoot(t)
	root := t.TempDir()
	netns := filepath.Join(root, "run/netns")
	if err := os.MkdirAll(netns, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"blue", "covered"} {
		if err := os.WriteFile(filepath.Join(netns, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := startIn(t, testkit.Config{New: []string{"net"}})
	id := ID{Net, p.NS("net")}
	var s *Snapshot
	var own uint64
	apartFromMachine(t, func() (err error) {
		if err := unix.Mount("/proc", filepath.Join(root, "proc"), "", unix.MS_BIND, ""); err != nil {
			return err
		}
		for _, name := range []string{"blue", "blue", "covered"} {
			if err := unix.Mount(p.Path("ns", "net"), filepath.Join(netns, name), "", unix.MS_BIND, ""); err != nil {
				return err
			}
		}
		if err := unix.Mount("/dev/null", filepath.Join(netns, "covered"), "", unix.MS_BIND, ""); err != nil {
			return err
		}
		p.Kill()
		if own, err = testkit.ReadNS("/proc/thread-self/ns/mnt"); err != nil {
			return err
		}
		// One worker, for others are on threads in the machine's mount namespace;
		// the bind mounts are looked at by this thread.
		s, err = at(root).Scan(t.Context(), Options{Binds: true, Relations: true, Workers: 1})
		return err
	})
	n := namespace(t, s, id)
	if !slices.Equal(n.Names, []string{"blue", "covered"}) {
		t.Errorf("names %q", n.Names)
	}
	want := []Holder{
		{Kind: HeldByBind, Path: filepath.Join(netns, "blue"), Mnt: own},
		{Kind: HeldByBind, Path: filepath.Join(netns, "covered"), Mnt: own},
	}
	if !reflect.DeepEqual(n.HeldBy, want) || n.Owner == nil {
		t.Errorf("%+v", n)
	}
}

// TestFlippingDescriptors: what was a namespace when it was looked at is a FIFO
// when it is opened, and nobody will ever write to that.
func TestFlippingDescriptors(t *testing.T) {
	startIn(t, testkit.Config{Mode: testkit.Flipping})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		for range 20 {
			if _, err := Scan(ctx, Options{Holders: true}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-ctx.Done():
		t.Fatal("the scan hangs")
	}
}
