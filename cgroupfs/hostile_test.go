package cgroupfs

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nsx/internal/proc"
	"nsx/internal/testkit"
)

// A captured tree is data of somebody else's: no link of it leads out, and
// nothing in it blocks or never ends.
func TestHostileTree(t *testing.T) {
	testkit.CheckLeaks(t)
	out := testkit.Tree(t, map[string]string{
		"cg/cgroup.controllers": "memory\n", "cg/secret/cgroup.procs": "", "cg/secret/memory.max": "77\n",
	})
	table := func(root, point string) string {
		return "20 1 0:1 " + root + " / rw - ext4 /dev/vda rw\n25 20 0:2 / " + point + " rw - cgroup2 cgroup2 rw\n"
	}
	good := map[string]string{
		"sys/fs/cgroup/cgroup.controllers": "memory\n", "sys/fs/cgroup/cgroup.procs": "",
		"sys/fs/cgroup/a/cgroup.procs": "", "sys/fs/cgroup/a/cgroup.threads": "",
		"sys/fs/cgroup/a/memory.max": "5\n", "sys/fs/cgroup/cgroup.threads": "",
	}
	for name, c := range map[string]struct {
		files map[string]string
		open  bool // the tree can be opened
		group bool // and its group /secret or /a be read
	}{
		"as it should be":     {files: map[string]string{"proc/1/mountinfo": table("/", "/sys/fs/cgroup")}, open: true, group: true},
		"upwards":             {files: map[string]string{"proc/1/mountinfo": table("/", "/.."+strings.Repeat("/..", 20)+out+"/cg")}, open: true},
		"a link":              {files: map[string]string{"proc/1/mountinfo": table("/", "/link"), "link -> " + out + "/cg": ""}, open: true},
		"a table in a FIFO":   {files: map[string]string{"proc/1/mountinfo (fifo)": "", "proc/self/mountinfo (fifo)": ""}},
		"a table elsewhere":   {files: map[string]string{"proc/1/mountinfo -> /proc/self/mountinfo": ""}},
		"a table without end": {files: map[string]string{"proc/1/mountinfo -> /dev/zero": ""}},
		"a limit in a FIFO": {files: map[string]string{
			"proc/1/mountinfo": table("/", "/sys/fs/cgroup"), "sys/fs/cgroup/a/memory.max (fifo)": "",
		}, open: true},
		"a limit that is a device": {files: map[string]string{
			"proc/1/mountinfo": table("/", "/sys/fs/cgroup"), "sys/fs/cgroup/a/memory.max -> /dev/zero": "",
		}, open: true},
		"processes in a FIFO": {files: map[string]string{
			"proc/1/mountinfo": table("/", "/sys/fs/cgroup"), "sys/fs/cgroup/a/cgroup.procs (fifo)": "",
			"proc/7/stat (fifo)": "", "proc/7/status (fifo)": "", "proc/7/cgroup (fifo)": "",
		}, open: true, group: true},
	} {
		files := maps.Clone(good)
		for key := range c.files {
			delete(files, strings.TrimSuffix(strings.TrimSuffix(key, " (fifo)"), " -> /dev/zero"))
		}
		maps.Copy(files, c.files)
		root := testkit.Tree(t, files)
		done := make(chan struct{})
		go func() {
			defer close(done)
			fs, err := Open(Options{Root: root})
			if (err == nil) != c.open {
				t.Errorf("%s: %v", name, err)
			}
			if err != nil {
				return
			}
			for _, path := range []string{"/secret", "/a"} {
				g, err := fs.Group(path)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				_, _ = g.Members(t.Context())
				_, _ = fs.Memberships(7)
				_ = fs.name(7)
				values, err := g.Get(t.Context(), "memory.max")
				if got := err == nil && len(values) == 1; got != (c.group && path == "/a") {
					t.Errorf("%s: %s: %+v, %v", name, path, values, err)
				}
			}
		}()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: it hangs", name)
		}
	}
}

func TestOversizedFile(t *testing.T) {
	root := testkit.Tree(t, map[string]string{"big": ""})
	if err := os.Truncate(filepath.Join(root, "big"), 1<<40); err != nil {
		t.Fatal(err)
	}
	if _, err := proc.Root(root).ReadFile("big", proc.MaxFile); !errors.Is(err, unix.EFBIG) {
		t.Errorf("%v", err)
	}
}
