package inspect

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"nsx/cgroupfs"
)

// Comparison is how two processes differ in isolation, rights and limits.
type Comparison struct {
	Differences []Difference `json:"differences"`
	// Same are the aspects in which they do not, and Unknown those of which one side
	// could not be read.
	Same    []string `json:"same"`
	Unknown []string `json:"unknown"`
}

// Difference is one aspect, such as "net ns", "capabilities" or "memory limit", with
// what each side has of it; of a list, what the other has not. Empty is nothing.
type Difference struct {
	Aspect string `json:"aspect"`
	A      string `json:"a"`
	B      string `json:"b"`
}

// Compare compares the processes that two profiles are about.
func Compare(a, b *Profile) Comparison {
	c := Comparison{Differences: []Difference{}, Same: []string{}, Unknown: []string{}}
	for _, t := range Types {
		inodeA, inodeB := a.inode(t), b.inode(t)
		c.add(t.String()+" ns", number(inodeA), number(inodeB), inodeA != 0 && inodeB != 0)
	}
	c.addNamespaceFacts(a, b)
	c.addRights(a.Rights, b.Rights)
	c.addLimits(a.Limits, b.Limits)
	c.add("cgroup", a.groupPaths(), b.groupPaths(), a.groupPaths() != "" && b.groupPaths() != "")
	c.addFiles(a.Files, b.Files, a.inode(Mnt) != 0 && a.inode(Mnt) == b.inode(Mnt))
	return c
}

func (c *Comparison) add(aspect, a, b string, known bool) { c.addAs(aspect, a, b, a == b, known) }

// addAs is for texts that do not tell all.
func (c *Comparison) addAs(aspect, a, b string, same, known bool) {
	switch {
	case !known:
		c.Unknown = append(c.Unknown, aspect)
	case same:
		c.Same = append(c.Same, aspect)
	default:
		c.Differences = append(c.Differences, Difference{aspect, a, b})
	}
}

// addLists shows of lists only what the other has not.
func (c *Comparison) addLists(aspect string, a, b []string, known bool) {
	only := func(of, in []string) string {
		return strings.Join(slices.DeleteFunc(slices.Clone(of), func(s string) bool { return slices.Contains(in, s) }), " ")
	}
	c.add(aspect, only(a, b), only(b, a), known)
}

// inode is that of one of the process's namespaces, 0 if it is not known.
func (p *Profile) inode(t Type) uint64 {
	at := slices.IndexFunc(p.Namespaces, func(n NamespaceFacts) bool { return n.Type == t })
	if at < 0 {
		return 0
	}
	return p.Namespaces[at].Inode
}

func number(inode uint64) string { return strconv.FormatUint(inode, 10) }

// addNamespaceFacts compares what is in namespaces that are two: a host name, offsets of
// clocks, a map of users.
func (c *Comparison) addNamespaceFacts(a, b *Profile) {
	name := func(p *Profile) (string, bool) {
		for _, n := range p.Namespaces {
			if n.Type == UTS && n.Hostname != nil {
				return *n.Hostname, true
			}
		}
		return "", false
	}
	hostA, knownA := name(a)
	hostB, knownB := name(b)
	c.add("host name", hostA, hostB, knownA && knownB)
	offsets := func(p *Profile) (string, bool) {
		for _, n := range p.Namespaces {
			if n.Type == Time && n.Offsets != nil {
				return fmt.Sprintf("monotonic %+d boottime %+d ns", n.Offsets.MonotonicNsec, n.Offsets.BoottimeNsec), true
			}
		}
		return "", false
	}
	if a.inode(Time) != b.inode(Time) {
		timeA, knownA := offsets(a)
		timeB, knownB := offsets(b)
		c.add("clocks", timeA, timeB, knownA && knownB)
	}
	if a.inode(User) == b.inode(User) {
		return
	}
	if len(a.UserNamespaces) == 0 || len(b.UserNamespaces) == 0 {
		c.Unknown = append(c.Unknown, "uid map", "gid map")
		return
	}
	ownA, ownB := a.UserNamespaces[0], b.UserNamespaces[0]
	c.addMaps("uid map", ownA.UIDMap, ownB.UIDMap)
	c.addMaps("gid map", ownA.GIDMap, ownB.GIDMap)
}

// addMaps compares maps, of which the texts may be the beginning alone.
func (c *Comparison) addMaps(aspect string, a, b IDMap) {
	c.addAs(aspect, a.String(), b.String(), slices.Equal(a, b), a != nil && b != nil)
}

func (c *Comparison) addRights(a, b *Rights) {
	known := a != nil && b != nil
	if !known {
		a, b = cmp.Or(a, &Rights{}), cmp.Or(b, &Rights{})
	}
	ids := func(n [4]uint32) string {
		if n[0] == n[1] && n[0] == n[2] && n[0] == n[3] {
			return strconv.FormatUint(uint64(n[0]), 10)
		}
		return strings.Trim(fmt.Sprint(n), "[]")
	}
	groups := func(list []uint32) (texts []string) {
		for _, gid := range list {
			texts = append(texts, strconv.FormatUint(uint64(gid), 10))
		}
		return texts
	}
	c.add("user", ids(a.UIDs), ids(b.UIDs), known)
	c.add("group", ids(a.GIDs), ids(b.GIDs), known)
	c.addLists("more groups", groups(a.Groups), groups(b.Groups), known)
	c.addLists("capabilities", a.Effective, b.Effective, known)
	c.addLists("bounding set", a.Bounding, b.Bounding, known)
	c.addLists("ambient set", a.Ambient, b.Ambient, known)
	c.add("no_new_privs", yesNo(a.NoNewPrivs), yesNo(b.NoNewPrivs), known)
	seccomp := func(r *Rights) string {
		if r.SeccompFilters != nil && *r.SeccompFilters > 0 {
			return fmt.Sprintf("%s, %d", r.Seccomp, *r.SeccompFilters)
		}
		return r.Seccomp
	}
	c.add("seccomp", seccomp(a), seccomp(b), known)
	c.add("label", a.Label, b.Label, known)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// addLimits compares the limits that bind, whosever they are.
func (c *Comparison) addLimits(a, b *cgroupfs.Binding) {
	if a == nil || b == nil {
		c.Unknown = append(c.Unknown, "limits")
		return
	}
	type pair struct{ a, b *cgroupfs.Effective }
	pairs := map[string]*pair{}
	collect := func(list []cgroupfs.Effective, side func(*pair) **cgroupfs.Effective) {
		for i := range list {
			key := list[i].Resource
			if list[i].Device != nil {
				key += " of " + list[i].Device.Name
			}
			if pairs[key] == nil {
				pairs[key] = &pair{}
			}
			*side(pairs[key]) = &list[i]
		}
	}
	collect(a.Limits, func(p *pair) **cgroupfs.Effective { return &p.a })
	collect(b.Limits, func(p *pair) **cgroupfs.Effective { return &p.b })
	names := make([]string, 0, len(pairs))
	for name := range pairs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p := pairs[name]
		textA, knownA := limitText(p.a)
		textB, knownB := limitText(p.b)
		c.add(name+" limit", textA, textB, knownA && knownB)
	}
}

// limitText is a limit in its unit; a resource of which nothing is said has none.
func limitText(e *cgroupfs.Effective) (text string, known bool) {
	switch {
	case e == nil:
		return "", true
	case !e.Known:
		return "", false
	case e.List != nil:
		return *e.List, true
	}
	n, limited := e.Limit.Get()
	if !limited {
		return "", e.Limit.Err() == nil
	}
	return strings.TrimSpace(strconv.FormatFloat(n, 'f', -1, 64) + " " + strings.ReplaceAll(e.Unit, "_", " ")), true
}

func (p *Profile) groupPaths() string {
	paths := make([]string, len(p.Groups))
	for i := range p.Groups {
		paths[i] = p.Groups[i].Path
	}
	return strings.Join(paths, " ")
}

// addFiles compares roots, and what is mounted otherwise than on the host.
func (c *Comparison) addFiles(a, b *Files, oneNamespace bool) {
	if a == nil || b == nil {
		c.Unknown = append(c.Unknown, "root", "mounts")
		return
	}
	root := func(f *Files) (string, bool) {
		if f.Root == nil {
			return "", false
		}
		where := cmp.Or(f.Root.HostPath, f.Root.FSType+" "+f.Root.Source+" "+f.Root.Root)
		if f.Layers != nil {
			where = cmp.Or(f.Layers.Upper, strings.Join(f.Layers.Lower, " "))
		}
		if f.RootDirectory != "/" {
			where += " at " + f.RootDirectory
		}
		return where, true
	}
	rootA, knownA := root(a)
	rootB, knownB := root(b)
	c.add("root", rootA, rootB, knownA && knownB)
	points := func(f *Files) (list []string) {
		for _, m := range f.Mounts {
			if !slices.Contains(list, m.Mountpoint) {
				list = append(list, m.Mountpoint)
			}
		}
		return list
	}
	c.addLists("mounts", points(a), points(b), a.Compared && b.Compared || oneNamespace)
}
