package cgroupfs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestExplainWrite: what a refusal means depends on the file, not on the errno
// alone.
func TestExplainWrite(t *testing.T) {
	fs, root := layout(t, "v2-systemd")
	const group = "/system.slice/nginx.service"
	for file, text := range map[string]string{
		"sys/dev/block/8:0/queue/scheduler":               "none [mq-deadline] bfq\n",
		"sys/dev/block/8:16/queue/scheduler":              "none [bfq]\n",
		"sys/fs/cgroup" + group + "/cgroup.type":          "domain\n",
		"sys/fs/cgroup/system.slice/cgroup.type":          "domain\n",
		"sys/fs/cgroup" + group + "/cpuset.cpus":          "0-1\n",
		"sys/fs/cgroup/system.slice/a/cpuset.cpus":        "1-2\n",
		"sys/fs/cgroup" + group + "/cpuset.cpu_exclusive": "0\n",
	} {
		name := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		file, value string
		errno       unix.Errno
		says, not   string
	}{
		{"io.weight", "8:0 200", unix.EOPNOTSUPP, "io.cost.qos", "domain"},
		{"io.weight", "8:16 200", unix.EOPNOTSUPP, "io.bfq.weight", "domain"},
		{"io.bfq.weight", "8:0 200", unix.EOPNOTSUPP, "[mq-deadline]", "domain"},
		{"memory.reclaim", "1073741824", unix.EAGAIN, "less than that could be reclaimed", "does not take"},
		{"cgroup.type", "threaded", unix.EOPNOTSUPP, "memory is on for the children of /system.slice", "hugetlb"},
		{"cpuset.cpu_exclusive", "1", unix.EINVAL, "other groups have some of its cpus: /system.slice/a has 1-2", "has only"},
		{"cpuset.sched_relax_domain_level", "99", unix.EINVAL, "from -1", "has only"},
		{"cpuset.cpus", "9", unix.EINVAL, `the machine has only "0-7"`, "share"},
	} {
		err := fs.explainWrite(Step{Path: fs.v2().Dir(group), File: tc.file, Value: tc.value, group: group, h: fs.v2()}, tc.errno)
		if text := err.Error(); !errors.Is(err, tc.errno) || !strings.Contains(text, tc.says) || strings.Contains(text, tc.not) {
			t.Errorf("%s: %s; want %q and no %q", tc.file, text, tc.says, tc.not)
		}
	}
}
