package launcher

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nsx/internal/testkit"

	"golang.org/x/sys/unix"
)

// openAt opens a new file as the given descriptor, which a plain fork would
// inherit.
func openAt(t *testing.T, dir string, fd int) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, fmt.Sprint("file", fd)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Dup3(int(f.Fd()), fd, 0); err != nil {
		t.Fatal(err)
	}
	at := os.NewFile(uintptr(fd), f.Name())
	t.Cleanup(func() { at.Close() })
	return at
}

// descriptor2 is not os.Stderr, which is os.Stdout under go test -json.
var descriptor2 = os.NewFile(2, "descriptor 2")

// TestDescriptors gives the helper standard files that have to change places, and
// has more descriptors that the program gets only if they are to be kept open.
func TestDescriptors(t *testing.T) {
	dir := t.TempDir()
	files := map[int]*os.File{}
	for fd := 40; fd < 60; fd++ {
		files[fd] = openAt(t, dir, fd)
	}
	// Standard files that are one another.
	saved := [2]int{}
	for i, fd := range []int{0, 2} {
		var err error
		if saved[i], err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 100); err != nil {
			t.Fatal(err)
		}
		if err := unix.Dup3(int(files[50+fd].Fd()), fd, 0); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Dup3(saved[i], fd, 0); unix.Close(saved[i]) }()
	}
	bothWays(t, func(t *testing.T, way Way) {
		for _, keep := range []bool{false, true} {
			a := Attr{Way: way, KeepOpen: keep, Files: []*os.File{descriptor2, nil, os.Stdin}}
			want := map[int]string{0: files[52].Name(), 2: files[50].Name()}
			if keep {
				for fd, f := range files {
					want[fd] = f.Name()
				}
				for _, fd := range []int{50, 44, 59} {
					delete(want, fd) // the helper's
				}
			}
			var p Program
			for _, f := range []*os.File{files[50], files[44], files[59]} {
				p.Call("fcntl", unix.SYS_FCNTL, p.File(f), Int(unix.F_GETFD))
			}
			s := shell(&p, `for fd in /proc/$$/fd/*; do echo "${fd##*/} $(readlink $fd)"; done`)
			a.Argv, a.Env = s.Argv, s.Env
			text, _ := output(t, &p, a)
			got := map[int]string{}
			for _, line := range lines(text) {
				var fd int
				var name string
				if _, err := fmt.Sscan(line, &fd, &name); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				if strings.HasPrefix(name, dir) { // not a pipe, nor what the tests have been started with
					got[fd] = name
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("keep %v: %v\nwant\n%v", keep, got, want)
			}
		}
	})
}

func TestCloseFiles(t *testing.T) {
	bothWays(t, func(t *testing.T, way Way) {
		var p Program
		f, err := os.Open("/")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		fd := p.File(f)
		if again := p.File(f); again != fd {
			t.Errorf("%v and %v", fd, again)
		}
		p.Fchdir("fchdir", fd)
		p.CloseFiles()
		p.Fchdir("fchdir again", fd)
		failsAt(t, &p, Attr{Way: way}, "fchdir again", unix.EBADF)
	})
}

// TestClosedDescriptor0 leaves number 0 to whatever is opened next.
func TestClosedDescriptor0(t *testing.T) {
	saved, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(saved)
	bothWays(t, func(t *testing.T, way Way) {
		if err := unix.Close(0); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Dup2(saved, 0) }()
		for range 20 {
			var p Program
			a := shell(&p, "echo $(ls /proc/self/fd)")
			a.Way = way
			if text, _ := output(t, &p, a); !strings.HasPrefix(text, "0 1 2") && !strings.HasPrefix(text, "1 2 ") {
				t.Fatalf("descriptors %q", text)
			}
		}
	})
}

func TestSealed(t *testing.T) {
	testkit.CheckLeaks(t)
	var p Program
	var exe *os.File
	p.Parent("look", func(pid int) error {
		path := fmt.Sprintf("/proc/%d/exe", pid)
		if target, err := os.Readlink(path); err != nil || target != "/memfd:nsx (deleted)" {
			t.Errorf("exe is %q, %v", target, err)
		}
		if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
			f.Close()
			t.Error("opened for writing while it runs")
		}
		var err error
		exe, err = os.Open(path)
		return err
	})
	if _, state := output(t, &p, Attr{Way: Memfd}); exitStatus(state) != 0 {
		t.Error(state)
	}
	defer exe.Close()
	before, err := os.ReadFile(exe.Name())
	if err == nil {
		t.Errorf("still there: %d bytes", len(before))
	}
	// Nobody executes it any more, but it is sealed.
	path := fmt.Sprintf("/proc/self/fd/%d", exe.Fd())
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = w.Write([]byte("evil"))
		w.Close()
	}
	if err == nil {
		t.Error("it can be written")
	}
	if err := os.Truncate(path, 0); err == nil {
		t.Error("it can be truncated")
	}
	if seals, err := unix.FcntlInt(exe.Fd(), unix.F_GET_SEALS, 0); err != nil || seals&unix.F_SEAL_SEAL == 0 || seals&unix.F_SEAL_WRITE == 0 {
		t.Errorf("seals %#x, %v", seals, err)
	}
}
