package enter

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/inspect"
)

// writeMaps gives a process's new user namespace its id maps: directly, where
// the kernel lets us, and otherwise through newuidmap(1) and newgidmap(1),
// which may map what /etc/subuid and /etc/subgid grant.
func (n *Unshare) writeMaps(pid int) error {
	setgroups := n.Setgroups
	if setgroups == "" && len(n.GIDs) > 0 && !holds(unix.CAP_SETGID) && single(n.GIDs, os.Getegid()) {
		// Without CAP_SETGID the kernel takes a map of the caller's own group only
		// after this; with it, setgroups(2) can stay allowed.
		setgroups = "deny"
	}
	if setgroups != "" {
		err := os.WriteFile(fmt.Sprintf("/proc/%d/setgroups", pid), []byte(setgroups), 0)
		if err != nil && (n.Setgroups != "" || !errors.Is(err, os.ErrNotExist)) { // Linux 3.19
			why := ""
			if setgroups == "allow" && errors.Is(err, unix.EPERM) {
				why = setgroupsDenied
			}
			return explained("writing setgroups "+setgroups, err, why)
		}
	}
	if len(n.GIDs) > 0 {
		if err := writeMap(pid, "gid_map", n.GIDs, "newgidmap", unix.CAP_SETGID, os.Getegid()); err != nil {
			return err
		}
	}
	if len(n.UIDs) > 0 {
		return writeMap(pid, "uid_map", n.UIDs, "newuidmap", unix.CAP_SETUID, os.Geteuid())
	}
	return nil
}

// setgroupsDenied is why setgroups(2) may not be allowed.
const setgroupsDenied = "a user namespace above denies it for good"

// single says that a map maps only our own id.
func single(m inspect.IDMap, own int) bool {
	return len(m) == 1 && m[0].Count == 1 && m[0].Outside == uint32(own)
}

func writeMap(pid int, file string, m inspect.IDMap, tool string, capability, own int) error {
	above, err := inspect.OwnIDMap(file)
	if err == nil {
		m = splitBy(m, above)
	}
	args := []string{strconv.Itoa(pid)}
	for _, r := range m {
		args = append(args, fmt.Sprint(r.Inside), fmt.Sprint(r.Outside), fmt.Sprint(r.Count))
	}
	if holds(capability) || single(m, own) {
		err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", pid, file), []byte(mapText(m)), 0)
		if err == nil {
			return nil
		}
		why := "the ids must not overlap, and those outside must exist in our own user namespace"
		if len(m) > maxMapLines || len(mapText(m)) >= os.Getpagesize() {
			why = fmt.Sprintf("a map has at most %d ranges, and all of it is shorter than %d bytes; this one has %d, and %d bytes", maxMapLines, os.Getpagesize(), len(m), len(mapText(m)))
		} else if id, missing := missingFrom(above, m); missing && errors.Is(err, unix.EPERM) {
			why = fmt.Sprintf("id %d does not exist in our own user namespace, which maps %s", id, above)
		} else if errors.Is(err, unix.EPERM) {
			why = "they must be ids of our own, the group's only with setgroups(2) denied, or it takes " + map[int]string{unix.CAP_SETGID: "CAP_SETGID", unix.CAP_SETUID: "CAP_SETUID"}[capability]
		}
		return explained(fmt.Sprintf("writing %s %q", file, strings.TrimSpace(mapText(m))), err, why)
	}
	path, err := exec.LookPath(tool)
	if err != nil {
		return refused(ErrNoNewuidmap, "mapping more than one's own id", unix.ENOENT, "it takes root or "+tool+"(1), which is not installed: install the package uidmap, or map your own id only")
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %s", tool, strings.Join(args[1:], " "), firstLine(out, err))
	}
	return nil
}

// maxMapLines is UID_GID_MAP_MAX_EXTENTS (include/linux/user_namespace.h), since
// Linux 4.15; map_write() takes less than a page.
const maxMapLines = 340

// mapText is a map as it is written to its file.
func mapText(m inspect.IDMap) string {
	var text strings.Builder
	for _, r := range m {
		fmt.Fprintf(&text, "%d %d %d\n", r.Inside, r.Outside, r.Count)
	}
	return text.String()
}

// splitBy splits the ranges of a map where those of the map above end: the kernel
// takes none that reaches over several (map_id_range_down in
// kernel/user_namespace.c).
func splitBy(m, above inspect.IDMap) (split inspect.IDMap) {
	for _, r := range m {
		for r.Count > 0 {
			n := r.Count // also if it is not mapped at all, which the kernel refuses
			for _, a := range above {
				if r.Outside >= a.Inside && r.Outside-a.Inside < a.Count {
					n = min(n, a.Count-(r.Outside-a.Inside))
				}
			}
			split = append(split, inspect.IDRange{Inside: r.Inside, Outside: r.Outside, Count: n})
			r.Inside, r.Outside, r.Count = r.Inside+n, r.Outside+n, r.Count-n
		}
	}
	return split
}

// missingFrom finds an id that a map wants and that the map above does not have.
// The map is split by that one, but where nothing is mapped.
func missingFrom(above, m inspect.IDMap) (uint32, bool) {
	for _, r := range m {
		if !above.Has(r.Outside) {
			return r.Outside, true
		}
	}
	return 0, false
}

func firstLine(out []byte, err error) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if line == "" {
		return err.Error()
	}
	return line
}

// unmappedOwner is "user" or "group" if ours does not exist in our own user
// namespace: create_user_ns() in kernel/user_namespace.c checks both.
func unmappedOwner() string {
	for _, who := range []struct {
		name, file string
		id         int
	}{{"user", "uid_map", os.Geteuid()}, {"group", "gid_map", os.Getegid()}} {
		if m, err := inspect.OwnIDMap(who.file); err == nil && !m.Has(uint32(who.id)) {
			return who.name
		}
	}
	return ""
}

// ErrNoSubIDs says that a user was granted no subordinate ids.
var ErrNoSubIDs = errors.New("no subordinate ids")

// SubIDs is the first range that a file in the format of subuid(5) grants to a
// user, by name or number.
func SubIDs(path, user string, uid int) (inspect.IDRange, error) {
	f, err := os.Open(path)
	if err != nil {
		return inspect.IDRange{}, fmt.Errorf("%w for %s: %w", ErrNoSubIDs, user, err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Split(strings.TrimSpace(lines.Text()), ":")
		if len(fields) != 3 || fields[0] != user && fields[0] != strconv.Itoa(uid) {
			continue
		}
		first, err1 := strconv.ParseUint(fields[1], 10, 32)
		count, err2 := strconv.ParseUint(fields[2], 10, 32)
		if err1 == nil && err2 == nil && count > 0 {
			return inspect.IDRange{Outside: uint32(first), Count: uint32(count)}, nil
		}
	}
	return inspect.IDRange{}, fmt.Errorf("%w for %s in %s: add a line %s:100000:65536 (usermod --add-subuids, --add-subgids)", ErrNoSubIDs, user, path, user)
}

// explainNewUser says why a user namespace could not be made.
func explainNewUser(errno unix.Errno) (string, error) {
	if errno != unix.EPERM {
		return explainUnshare(inspect.User)(errno)
	}
	if who := unmappedOwner(); who != "" {
		return "our own " + who + " is not mapped in this user namespace, and so cannot own another", ErrPermission
	}
	return "this process is in a chroot, or user namespaces are restricted: see /proc/sys/kernel/unprivileged_userns_clone and apparmor_restrict_unprivileged_userns", ErrPermission
}

// explainUnshare says why namespaces of the types could not be made.
func explainUnshare(types ...inspect.Type) func(unix.Errno) (string, error) {
	return func(errno unix.Errno) (string, error) {
		switch errno {
		case unix.EPERM:
			return "it takes CAP_SYS_ADMIN: run as root, or make a user namespace too", ErrUnshare
		case unix.ENOSPC, unix.EUSERS:
			return limitReached(types), ErrLimit
		}
		return "", nil
	}
}

// limitReached says which limits new namespaces of the types have met, in user
// namespaces from ours up (inc_ucount in kernel/ucount.c). We see ours.
func limitReached(types []inspect.Type) string {
	var limits []string
	for _, t := range types {
		path := fmt.Sprintf("/proc/sys/user/max_%s_namespaces", t)
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		value := strings.TrimSpace(string(text))
		if value == "0" {
			return path + " is 0: no such namespace may be made here"
		}
		limits = append(limits, path+" is "+value)
	}
	why := "a limit on namespaces is reached, which counts for each user, here or in a user namespace above: " + strings.Join(limits, ", ")
	if slices.Contains(types, inspect.User) || slices.Contains(types, inspect.PID) {
		why += "; and no user or PID namespace is more than 32 deep"
	}
	return why
}
