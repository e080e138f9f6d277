//go:build containers

package containers

// reasons is why a command of nsx's is not the same inside as one of a runtime's.
// docs/containers.md has this list for readers.
var reasons = map[string]string{
	"cgroup":        "nsx leaves a command in the caller's cgroups, unless -c",
	"environment":   "nsx passes the caller's environment on, as nsenter does, unless -e",
	"PATH":          "part of the environment",
	"HOME":          "part of the environment",
	"nofile":        "nsx leaves a command the caller's resource limits",
	"oom_score_adj": "nsx leaves a command the caller's",
	"Seccomp":       "an ordinary user may not read the filters of a process",
	"Groups":        "docker puts root's own group among the others too",
	"CapInh":        "the runtime makes capabilities inheritable",
	"cwd":           "the runtime has a working directory of its own",
}

// execDiffers is the list of a runtime whose commands differ as all do, and in
// what else is named.
func execDiffers(more ...string) map[string]string {
	list := map[string]string{}
	for _, name := range append([]string{"cgroup", "environment", "PATH", "HOME"}, more...) {
		list[name] = reasons[name]
	}
	return list
}
