package cgroupfs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nsx/cgroupfs"
	"nsx/internal/testkit"
)

// The examples do what they say, on a live kernel and with what is exported alone.
func TestExamples(t *testing.T) {
	testkit.RequireRoot(t)
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"memory", "pids"} {
		_, err := fs.Controller(name)
		testkit.Require(t, err == nil, "needs a controller: %v", err)
	}
	putBackRoot(t, fs)
	group, err := fs.Group(fmt.Sprintf("/nsx-test-%d-example", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cat", "/proc/self/cgroup")
	var where strings.Builder
	cmd.Stdout = &where
	if err := runLimited(t.Context(), group.Path(), cmd); err != nil || strings.Count(where.String(), group.Path()) == 0 {
		t.Errorf("%v, in %q", err, where.String())
	}
	if there, err := group.Exists(); there || err != nil {
		t.Errorf("the group is left: %v", err)
	}
	// What was there before stays.
	if _, err := group.Create(t.Context(), cgroupfs.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := runLimited(t.Context(), group.Path(), exec.Command("true")); err != nil {
		t.Error(err)
	}
	if there, err := group.Exists(); !there || err != nil {
		t.Errorf("a group of somebody else's was removed: %v", err)
	}
	if err := end(t.Context(), group); err != nil {
		t.Error(err)
	}
}

// putBackRoot takes away from the root of v2 what the test has enabled there.
func putBackRoot(t *testing.T, fs *cgroupfs.FS) {
	t.Helper()
	for _, h := range fs.Hierarchies() {
		if h.Version != 2 {
			continue
		}
		file := filepath.Join(h.Mount, "cgroup.subtree_control")
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			after, _ := os.ReadFile(file)
			for name := range strings.FieldsSeq(string(after)) {
				if !slices.Contains(strings.Fields(string(before)), name) {
					_ = os.WriteFile(file, []byte("-"+name), 0) // refused if others use it by now
				}
			}
		})
	}
}
