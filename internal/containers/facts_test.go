//go:build containers

package containers

import "testing"

// factsScript tells what a command knows of itself.
var factsScript = []string{"sh", "-c", `cat /proc/self/status
echo "cgroup:" $(cat /proc/self/cgroup)
echo "cwd: $(pwd)"
echo "oom_score_adj: $(cat /proc/self/oom_score_adj)"
echo "nofile: $(ulimit -n) $(ulimit -Hn)"
cd /proc/$$/fd; echo "descriptors:" * # in the shell itself: $(...) opens a pipe
echo "session:" $(cut -d' ' -f6 /proc/$$/stat | sed "s/^$$\$/own/")
echo "PATH: $PATH"
echo "HOME: $HOME"
echo "environment:" $(env | cut -d= -f1 | sort)`}

// facts is what a command knows of itself.
func facts(t *testing.T, argv []string) map[string]string {
	t.Helper()
	out := run(t, argv...)
	m := map[string]string{}
	for _, name := range append([]string{"cgroup", "cwd", "oom_score_adj", "nofile", "descriptors", "session", "PATH", "HOME", "environment"}, rightsOf...) {
		m[name] = field(out, name)
	}
	return m
}
