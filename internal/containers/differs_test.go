//go:build containers

package containers

// reasons is why a command of nsx's is not the same inside as one of a runtime's.
// docs/containers.md has this list for readers.
var reasons = map[string]string{
	"cgroup":        "lxc-attach makes a group .lxc for its commands",
	"environment":   "nsx takes that of the container's first process, and the caller's TERM",
	"PATH":          "lxc-attach sets one of its own",
	"session":       "lxc-attach leaves its command in the caller's session",
	"nofile":        "nsx leaves a command the caller's resource limits",
	"oom_score_adj": "nsx leaves a command the caller's",
	"Seccomp":       "an ordinary user may not read the filters of a process, and goes without",

	"Seccomp_filters": "an ordinary user may not read the filters of a process, and goes without",
	"Groups":          "docker puts root's own group among the others too",
	"CapInh":          "the runtime makes capabilities inheritable",
	"cwd":             "the runtime has a working directory of its own",
}

// execDiffers is the list of a runtime whose commands differ in what is named.
func execDiffers(names ...string) map[string]string {
	list := map[string]string{}
	for _, name := range names {
		list[name] = reasons[name]
	}
	return list
}
