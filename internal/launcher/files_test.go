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

// TestDescriptors gives the helper descriptors that have to change places, and
// has more that it must not get.
func TestDescriptors(t *testing.T) {
	dir := t.TempDir()
	files := map[int]*os.File{}
	for fd := 40; fd < 60; fd++ {
		files[fd] = openAt(t, dir, fd)
	}
	bothWays(t, func(t *testing.T, way Way) {
		a := Attr{Way: way, Files: make([]*os.File, 50)}
		want := map[int]string{}
		for fd := 40; fd < 50; fd++ {
			a.Files[fd] = files[89-fd] // 49 to 40, …
			want[fd] = files[89-fd].Name()
		}
		for _, fd := range []int{0, 2, 5} {
			a.Files[fd], want[fd] = files[41], files[41].Name()
		}
		var p Program
		own := []*os.File{files[50], files[44], files[59]}
		for _, f := range own {
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
			got[fd] = name
		}
		for fd, name := range got {
			if strings.HasPrefix(name, "pipe:") { // 1, and the shell's for $(…)
				delete(got, fd)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v\nwant\n%v", got, want)
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
