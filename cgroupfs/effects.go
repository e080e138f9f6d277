package cgroupfs

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"nsx/cgroupfs/keys"
)

// besides is what a write may change besides its own file: partitions of CPUs,
// which another's cpuset can make invalid, and the limits of controllers that a
// threaded group does not have. By the path of the file.
func (s Step) besides() map[string]string {
	seen := map[string]string{}
	note := func(group, file string) {
		if text, err := s.h.read(group, file); err == nil {
			seen[path.Join(group, file)] = strings.TrimSpace(text)
		}
	}
	if of := s.control().besides; of != nil && s.h.Version == 2 {
		of(s, note)
	}
	return seen
}

// besidesCpuset is the partitions of the groups above, beside and below.
func (s Step) besidesCpuset(note func(group, file string)) {
	groups := append(ancestors(s.group), s.group)
	for _, parent := range []string{path.Dir(s.group), s.group} {
		names, _ := s.h.list(parent, true)
		for _, name := range names[:min(len(names), 100)] {
			groups = append(groups, path.Join(parent, name))
		}
	}
	for _, at := range groups {
		note(at, "cpuset.cpus.partition")
	}
}

// besidesType is the limits that a group has now.
func (s Step) besidesType(note func(group, file string)) {
	names, _ := s.h.list(s.group, false)
	for _, name := range names {
		if isLimitFile(name) {
			note(s.group, name)
		}
	}
}

// isLimitFile tells the files of v2 that hold a limit or a share.
func isLimitFile(name string) bool {
	if strings.HasPrefix(name, "cgroup.") {
		return false
	}
	return slices.Contains([]string{".max", ".high", ".low", ".min", ".weight"}, path.Ext(name))
}

// effects says what became of those files, other than the step's own.
func (s Step) effects(before map[string]string) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(before)) {
		was, group, file := before[name], path.Dir(name), path.Base(name)
		if group == s.group && file == s.File {
			continue
		}
		text, err := s.h.read(group, file)
		now := strings.TrimSpace(text)
		switch {
		case isGone(err) && was != "max" && was != "0" && was != "":
			list = append(list, fmt.Sprintf("%s is gone, and with it the limit %s", path.Join(s.h.Dir(group), file), was))
		case err == nil && now != was && strings.Contains(now, "invalid"):
			list = append(list, fmt.Sprintf("%s is now %s; it was %s", path.Join(s.h.Dir(group), file), now, was))
		}
	}
	return list
}

// noteProtection says that memory is not protected, or not all of it, where a group
// above protects none, or less: "Effective low boundary is limited by memory.low values of all ancestor
// cgroups" (cgroup-v2.rst).
func (g *Group) noteProtection(p *Plan, h *Hierarchy, s keys.Setting) {
	if h.Version != 2 || s.Key != "memory.low" && s.Key != "memory.min" || s.Value == "0" {
		return
	}
	asked, ok := keys.ReadSize(s.Value)
	if !ok {
		asked = keys.Unlimited
	}
	least, of := asked, ""
	for _, at := range ancestors(g.path)[1:] {
		if at == "/" || at == h.MountRoot {
			break
		}
		text, err := h.read(at, s.Key)
		if isGone(err) {
			text, err = "0", nil
		}
		if n, ok := keys.ReadSize(text); err == nil && ok && n < least {
			least, of = n, at
		}
	}
	switch {
	case of == "":
	case least == 0:
		p.Notes = append(p.Notes, fmt.Sprintf("%s of %s is 0, so nothing is protected here: set it there, too", s.Key, of))
	default:
		p.Notes = append(p.Notes, fmt.Sprintf("%s of %s is %s, so no more than that is protected here", s.Key, of, keys.FormatSize(least)))
	}
}
