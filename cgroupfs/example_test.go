package cgroupfs_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"nsx/cgroupfs"
	"nsx/cgroupfs/keys"
)

// A command that may use 64 MiB of memory and 20 processes, in a group of its own that
// is gone afterwards. It takes root, or a group that is delegated to us.
func Example() {
	if err := runLimited(context.Background(), "/nsx-example", exec.Command("make", "-j")); err != nil {
		log.Fatal(err)
	}
}

func runLimited(ctx context.Context, path string, cmd *exec.Cmd) (err error) {
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	if err != nil {
		return err
	}
	group, err := fs.Group(path)
	if err != nil {
		return err
	}
	memory, tasks := int64(64<<20), int64(20)
	report, err := group.Create(ctx, cgroupfs.CreateOptions{Limits: cgroupfs.Limits{Memory: &memory, PIDs: &tasks}})
	if err != nil {
		return err
	}
	if report.Created {
		defer func() { err = errors.Join(err, end(context.WithoutCancel(ctx), group)) }()
	}
	for _, adjusted := range report.Adjusted() { // what the kernel made of the limits
		log.Print(adjusted)
	}
	if err := group.Start(cmd); err != nil { // it never runs a moment elsewhere
		return err
	}
	return cmd.Wait()
}

// All processes of a group are killed, then it is removed with those below it. Both
// wait until it is so, and name who is in the way if it is not in time.
func ExampleGroup_Kill() {
	fs, err := cgroupfs.Open(cgroupfs.Options{})
	if err != nil {
		log.Fatal(err)
	}
	group, err := fs.Group("/nsx-example")
	if err != nil {
		log.Fatal(err)
	}
	if err := end(context.Background(), group); err != nil && !errors.Is(err, cgroupfs.ErrGone) {
		log.Fatal(err)
	}
}

func end(ctx context.Context, group *cgroupfs.Group) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := group.Kill(ctx); err != nil {
		return err
	}
	return group.Remove(ctx, true)
}

// Whose is a group? The path says it, with what systemd has delegated.
func ExampleGroup_Owner() {
	fs, done := captured()
	defer done()
	for _, path := range []string{"/system.slice/nginx.service", "/machine.slice/libpod-" + id + ".scope", "/demo"} {
		group, err := fs.Group(path)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(group.Owner())
	}
	// Output:
	// systemd unit nginx.service
	// podman container 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
	// nobody known
}

// Of the limits on the way up from a group, the one with the least left binds.
func ExampleGroup_Effective() {
	fs, done := captured()
	defer done()
	group, err := fs.Group("/system.slice/nginx.service")
	if err != nil {
		log.Fatal(err)
	}
	binding, err := group.Effective(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, limit := range binding.Limits {
		if limit.Resource == "memory" {
			fmt.Println(limit.Limit, limit.Unit, "by", limit.Group)
			fmt.Println("left:", limit.Headroom)
		}
	}
	// Output:
	// 1073741824 bytes by /system.slice
	// left: 73741824
}

// What would be written, where the controller really is, before anything is.
func ExampleGroup_Plan() {
	fs, done := captured()
	defer done()
	group, err := fs.Group("/demo")
	if err != nil {
		log.Fatal(err)
	}
	setting, err := keys.ParseSetting("memory.limit_in_bytes=512M") // v1's spelling, on v2
	if err != nil {
		log.Fatal(err)
	}
	plan, err := group.Plan(context.Background(), cgroupfs.Limits{Settings: []keys.Setting{setting}}, cgroupfs.PlanOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range plan.Steps {
		fmt.Println(step.File, step.Value)
	}
	// Output: memory.max 536870912
}

// A refusal has a reason, its owner's own way, and what would help.
func ExampleError() {
	fs, done := captured()
	defer done()
	group, err := fs.Group("/system.slice/nginx.service")
	if err != nil {
		log.Fatal(err)
	}
	tasks := int64(10)
	_, err = group.Set(context.Background(), cgroupfs.Limits{PIDs: &tasks}, cgroupfs.PlanOptions{})
	if refused, ok := errors.AsType[*cgroupfs.Error](err); ok && errors.Is(err, cgroupfs.ErrOwned) {
		fmt.Println(refused.Owner, "|", refused.Command)
	}
	if group, err = fs.Group("/nosuch"); err != nil {
		log.Fatal(err)
	}
	_, err = group.Stat(context.Background())
	if refused, ok := errors.AsType[*cgroupfs.Error](err); ok && errors.Is(err, cgroupfs.ErrGone) {
		fmt.Println(refused.Remedy.Verb, refused.Remedy.Group)
	}
	// Output:
	// systemd unit nginx.service | systemctl set-property nginx.service MemoryMax=… CPUQuota=…
	// create /nosuch
}

// A captured tree is read as a live one is. Groups go away while one walks, and what
// cannot be read is said in the summary.
func ExampleGroup_Walk() {
	fs, done := captured()
	defer done()
	top, err := fs.Group("/system.slice")
	if err != nil {
		log.Fatal(err)
	}
	err = top.Walk(context.Background(), func(s cgroupfs.Summary) error {
		fmt.Println(s.Group.Path(), s.MemoryBytes, s.MemoryLimit)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// /system.slice 1000000000 1073741824
	// /system.slice/nginx.service 4096 none
}

const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// captured is a machine with cgroup v2 and systemd, as it is copied for support, and what
// removes the copy.
func captured() (fs *cgroupfs.FS, done func()) {
	root, err := os.MkdirTemp("", "nsx-example")
	if err != nil {
		log.Fatal(err)
	}
	for name, text := range map[string]string{
		"proc/1/mountinfo":                                                   "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
		"sys/fs/cgroup/cgroup.controllers":                                   "memory pids\n",
		"sys/fs/cgroup/cgroup.subtree_control":                               "memory pids\n",
		"sys/fs/cgroup/system.slice/cgroup.procs":                            "",
		"sys/fs/cgroup/system.slice/cgroup.threads":                          "",
		"sys/fs/cgroup/system.slice/memory.current":                          "1000000000\n",
		"sys/fs/cgroup/system.slice/memory.max":                              "1073741824\n",
		"sys/fs/cgroup/system.slice/cgroup.subtree_control":                  "memory pids\n",
		"sys/fs/cgroup/system.slice/nginx.service/cgroup.procs":              "",
		"sys/fs/cgroup/system.slice/nginx.service/cgroup.threads":            "",
		"sys/fs/cgroup/system.slice/nginx.service/memory.current":            "4096\n",
		"sys/fs/cgroup/system.slice/nginx.service/memory.max":                "max\n",
		"sys/fs/cgroup/demo/memory.current":                                  "0\n",
		"sys/fs/cgroup/demo/memory.max":                                      "max\n",
		"sys/fs/cgroup/machine.slice/libpod-" + id + ".scope/memory.current": "0\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	fs, err = cgroupfs.Open(cgroupfs.Options{Root: root})
	if err != nil {
		log.Fatal(err)
	}
	return fs, func() { os.RemoveAll(root) }
}
