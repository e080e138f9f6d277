package doctor

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"nsx/cgroupfs"
)

// groups opens the cgroups, or is the finding that says why not.
func (p *patient) groups(ctx context.Context) (cgroupfs.Info, *Finding) {
	fs, err := cgroupfs.Open(cgroupfs.Options{Root: p.root.Join()})
	var info cgroupfs.Info
	if err == nil {
		info, err = fs.Info(ctx)
	}
	if err == nil && len(info.Hierarchies) > 0 {
		return info, nil
	}
	f := no("no cgroups are mounted")
	if err != nil {
		f.Cause = err.Error()
	}
	f.Next = "mount -t cgroup2 -o nsdelegate none /sys/fs/cgroup"
	return info, &f
}

func cgroupLayout(ctx context.Context, p *patient) Finding {
	info, failed := p.groups(ctx)
	if failed != nil {
		return *failed
	}
	var places []string
	for _, h := range info.Hierarchies {
		if h.Version == 2 {
			places = append(places, "v2 at "+p.below(h.Mount))
		}
	}
	switch info.Mode {
	case "v2":
		return p.nsdelegate(places[0])
	case "hybrid":
		return note("hybrid: v1's controllers, and %s", strings.Join(places, " ")).because(
			"Freezing, killing and pressure are v2's, limits those of the version that has the controller. Runtimes that want v2 alone do not start.",
			"boot with cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1 for v2 alone")
	}
	return note("v1 alone").because(
		"There is no pressure (PSI) of groups, and nothing can be delegated safely. systemd 258 and later do not start there.",
		"boot with cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1 for v2 alone")
}

// below is a path as seen from the root.
func (p *patient) below(file string) string {
	return "/" + strings.TrimPrefix(strings.TrimPrefix(file, p.root.Join()), "/")
}

// nsdelegate says whether groups are borders for who has cgroup namespaces
// (Documentation/admin-guide/cgroup-v2.rst, "Model of Delegation").
func (p *patient) nsdelegate(place string) Finding {
	for _, name := range []string{"proc/self/mountinfo", "proc/1/mountinfo"} {
		mounts, err := p.root.ReadMounts(name, "cgroup2")
		if err != nil {
			continue
		}
		if strings.Contains(string(mounts), "nsdelegate") {
			return fine("%s; nsdelegate", place)
		}
		return note("%s, without nsdelegate", place).
			because("A container with a cgroup namespace and root of the host's may move processes out of its groups.", "mount -o remount,nsdelegate /sys/fs/cgroup")
	}
	return fine("%s", place)
}

// wanted are the controllers that limits of containers and services are made with.
var wanted = []string{"cpu", "memory", "pids"}

func controllers(ctx context.Context, p *patient) Finding {
	info, failed := p.groups(ctx)
	if failed != nil {
		return *failed
	}
	var names, missing []string
	for _, c := range info.Controllers {
		names = append(names, c.Name)
	}
	for _, name := range wanted {
		if !slices.Contains(names, name) {
			missing = append(missing, name)
		}
	}
	if !slices.Contains(names, "io") && !slices.Contains(names, "blkio") {
		missing = append(missing, "io")
	}
	if len(missing) == 0 {
		return fine("%s", strings.Join(names, " "))
	}
	cause, next := "The kernel is built without them, or was booted without.", "see /proc/cgroups and /proc/cmdline"
	if line, _ := p.text("proc/cmdline"); strings.Contains(line, "cgroup_disable=") {
		cause, next = "The kernel was booted with cgroup_disable=.", "boot without that word"
	}
	return no("not there: %s", strings.Join(missing, " ")).because(cause+" Limits of them cannot be set.", next)
}

// delegation looks at the users' managers that run (systemd, user@.service).
func delegation(ctx context.Context, p *patient) Finding {
	info, failed := p.groups(ctx)
	if failed != nil {
		return *failed
	}
	at := slices.IndexFunc(info.Hierarchies, func(h cgroupfs.Hierarchy) bool { return h.Version == 2 })
	if at < 0 {
		return note("v1 delegates nothing").because("Rootless containers have no limits.", "cgroups of v2 alone")
	}
	top := path.Join(p.below(info.Hierarchies[at].Mount), "user.slice")
	entries, err := p.root.ReadDir(top, maxNames)
	if err != nil {
		return fine("no user's manager runs")
	}
	users, less := 0, ""
	for _, slice := range entries {
		uid := strings.TrimSuffix(strings.TrimPrefix(slice, "user-"), ".slice")
		list, known := p.text(path.Join(top, slice, "user@"+uid+".service", "cgroup.controllers"))
		if !known {
			continue
		}
		users++
		has := strings.Fields(list)
		var lacks []string
		for _, name := range []string{"cpu", "io", "cpuset", "memory", "pids"} {
			if !slices.Contains(has, name) {
				lacks = append(lacks, name)
			}
		}
		if len(lacks) > 0 && less == "" {
			less = fmt.Sprintf("uid %s has %s; not %s", uid, strings.Join(has, " "), strings.Join(lacks, " "))
		}
	}
	switch {
	case users == 0:
		return fine("no user's manager runs")
	case less == "":
		return fine("users have cpu io cpuset memory pids")
	}
	return note("%s", less).because("Limits of rootless containers by what is missing have no effect.",
		"systemctl edit user@.service, there: [Service] Delegate=cpu cpuset io memory pids")
}

func devicePrograms(ctx context.Context, p *patient) Finding {
	info, failed := p.groups(ctx)
	switch {
	case failed != nil:
		return *failed
	case info.Mode == "v1":
		return fine("not needed: v1 has files for device rules")
	case info.DevicePrograms == nil:
		return note("device rules of v2 may not be read").
			because("They are BPF programs, which take CAP_SYS_ADMIN and CAP_NET_ADMIN, or CAP_BPF, to be asked for: bpf(2).", "run nsx as root")
	}
	return fine("device rules of v2 can be read")
}
