package inspect

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"nsx/internal/proc"
)

// Files is what is mounted in a process's mount namespace, below its root directory.
type Files struct {
	// SharedWithHost says that the mount namespace is the boot's.
	SharedWithHost *bool `json:"shared_with_host"`
	// RootDirectory is where the process's root lies in its mount namespace ("/", unless
	// it has called chroot(2)), empty if that is not known.
	RootDirectory string `json:"root_directory"`
	// Root is what is mounted there, nil if nothing is: see chroot(2).
	Root *Mount `json:"root"`
	// Layers are the overlay's, if it is one.
	Layers *Layers `json:"layers,omitempty"`
	// NMounts counts all mounts. Mounts are those that the host does not have in the same
	// way: other, elsewhere, or with other options. With a root of its own that is all.
	NMounts int     `json:"nmounts"`
	Mounts  []Mount `json:"mounts"`
	// Missing are the mount points of the host's that it lacks, if it has the host's root.
	Missing []string `json:"missing"`
	// Compared says that the host's mounts could be read.
	Compared bool `json:"compared"`
}

// Layers are the directories of an overlay, as they were named when it was mounted:
// paths in the mount namespace of who did that, mostly the host's.
type Layers struct {
	Lower []string `json:"lower"` // the topmost first
	Upper string   `json:"upper"` // what is written lies here; empty: nothing can be
	Work  string   `json:"work"`
}

// Mount is a line of a mount table (proc_pid_mountinfo(5)).
type Mount struct {
	Mountpoint string `json:"mountpoint"`
	// Root is what of the file system is mounted; HostPath is where the host has that,
	// empty if it has not.
	Root     string `json:"root"`
	HostPath string `json:"host_path"`
	Device   string `json:"device"` // "8:1"
	FSType   string `json:"fs_type"`
	Source   string `json:"source"`
	Options  string `json:"options"` // of the mount: "ro,nosuid"
	// Propagation is "private", "shared:1", "slave:1", "shared:2,slave:1" or
	// "unbindable": mount_namespaces(7).
	Propagation string `json:"propagation"`

	superOptions string
	id, parent   int
}

func newMount(m *mountinfo.Info) Mount {
	return Mount{
		Mountpoint: m.Mountpoint, Root: m.Root, Device: strconv.Itoa(m.Major) + ":" + strconv.Itoa(m.Minor), FSType: m.FSType, Source: m.Source,
		Options: m.Options, Propagation: propagation(m.Optional), superOptions: m.VFSOptions, id: m.ID, parent: m.Parent,
	}
}

// propagation reads the optional fields: "shared:1 master:2".
func propagation(optional string) string {
	var list []string
	for field := range strings.FieldsSeq(optional) {
		switch name, peers, _ := strings.Cut(field, ":"); name {
		case "shared":
			list = append(list, field)
		case "master":
			list = append(list, "slave:"+peers)
		case "unbindable":
			list = append(list, field)
		}
	}
	return cmp.Or(strings.Join(list, ","), "private")
}

// mounts compares the process's mount table with the host's.
func (l *look) mounts() {
	f := &Files{Mounts: []Mount{}, Missing: []string{}, RootDirectory: l.files.readlink("root")}
	if n := l.snapshot.Namespace(ID{Mnt, l.own[Mnt]}); n != nil {
		f.SharedWithHost = n.Initial
	} else if l.process.PID == 1 && l.snapshot.isBoots() {
		its := true
		f.SharedWithHost = &its
	}
	own, err := l.files.mounts()
	if err != nil {
		l.missing("mounts", err)
		if len(own) == 0 {
			l.profile.Files = f
			return
		}
	}
	f.NMounts = len(own)
	for i := range own { // a later mount at the same place covers the earlier ones
		if own[i].Mountpoint == "/" {
			f.Root = &own[i]
		}
	}
	if f.Root != nil && f.Root.FSType == "overlay" {
		f.Layers = overlayLayers(f.Root.superOptions)
	}
	l.profile.Files = f
	if f.SharedWithHost != nil && *f.SharedWithHost {
		return
	}
	if !l.snapshot.isBoots() {
		f.Mounts = own // the first process here is some container's
		return
	}
	host, err := l.hostMounts()
	if err != nil {
		l.profile.miss(1, "mounts", err)
		f.Mounts = own
		return
	}
	f.compare(own, host)
}

// isBoots says that the PID namespace of this /proc is the boot's, which alone has
// kthreadd: its first process is the machine's.
func (s *Snapshot) isBoots() bool {
	return slices.ContainsFunc(s.Processes, func(p Process) bool { return p.KernelThread && p.PPID == 0 })
}

// hostMounts are those of the first process.
func (l *look) hostMounts() ([]Mount, error) {
	first, err := l.machine.openProcess(1, 0, l.live)
	if err != nil {
		return nil, err
	}
	defer first.close()
	return first.mounts()
}

// mounts reads the mount table. EFBIG comes with those of a part of it.
func (f *processFiles) mounts() ([]Mount, error) {
	file, err := f.open("mountinfo")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return parseMounts(file)
}

func parseMounts(file io.Reader) ([]Mount, error) {
	text, err := proc.Mounts(file)
	if err != nil && !errors.Is(err, unix.EFBIG) {
		return nil, err
	}
	table, bad := mountinfo.GetMountsFromReader(bytes.NewReader(text), nil)
	list := make([]Mount, len(table))
	for i, m := range table {
		list[i] = newMount(m)
	}
	return list, cmp.Or(bad, err)
}

// place is what a mount shows: a directory of a file system.
type place struct{ device, root string }

// mountKey is what makes two mounts the same to whoever looks at one.
type mountKey struct{ point, device, root, fsType, options string }

func (m *Mount) key() mountKey { return mountKey{m.Mountpoint, m.Device, m.Root, m.FSType, m.Options} }

// compare fills in what differs. No mount is compared with each of the others: a
// hostile table may have as many as fs.mount-max allows, which is 100,000.
func (f *Files) compare(own, host []Mount) {
	f.Compared = true
	at := map[place]string{}     // where the host has something, the first of them
	points := map[string]Mount{} // the host's, the topmost at each place
	theirs := map[mountKey]bool{}
	for i := range host {
		m := host[i]
		theirs[m.key()] = true
		if key := (place{m.Device, m.Root}); at[key] == "" {
			at[key] = m.Mountpoint
		}
		points[m.Mountpoint] = m
	}
	has := map[string]bool{}
	for i := range own {
		m := &own[i]
		has[m.Mountpoint] = true
		if theirs[m.key()] {
			continue
		}
		m.HostPath = hostPath(at, m)
		f.Mounts = append(f.Mounts, *m)
	}
	if root := points["/"]; f.Root == nil || f.Root.Device != root.Device || f.Root.Root != root.Root {
		return
	}
	for _, m := range host {
		if !has[m.Mountpoint] {
			has[m.Mountpoint] = true
			f.Missing = append(f.Missing, m.Mountpoint)
		}
	}
}

// hostPath is where the host has what is mounted: below the innermost directory that is
// mounted there.
func hostPath(at map[place]string, m *Mount) string {
	for root := m.Root; ; root = path.Dir(root) {
		if point := at[place{m.Device, root}]; point != "" {
			return path.Join(point, strings.TrimPrefix(m.Root, root))
		}
		if root == "/" || !strings.HasPrefix(root, "/") {
			return ""
		}
	}
}

// overlayLayers reads an overlay's options: lowerdir=A:B,upperdir=C,workdir=D, where
// a colon in a name is "\:" and since Linux 6.5 each layer may be an option of its own
// ("lowerdir+=A"). The kernel writes commas, blanks and backslashes as octal numbers.
func overlayLayers(options string) *Layers {
	l := &Layers{Lower: []string{}}
	for option := range strings.SplitSeq(options, ",") {
		name, value, _ := strings.Cut(option, "=")
		value = unescapeOctal(value)
		switch name {
		case "lowerdir":
			l.Lower = append(l.Lower, splitLayers(value)...)
		case "lowerdir+", "datadir+":
			l.Lower = append(l.Lower, value)
		case "upperdir":
			l.Upper = value
		case "workdir":
			l.Work = value
		}
	}
	return l
}

// splitLayers splits at single colons: "::" is before layers that hold data alone.
func splitLayers(value string) (list []string) {
	var layer strings.Builder
	for i := 0; i < len(value); i++ {
		switch {
		case value[i] == '\\' && i+1 < len(value):
			i++
			layer.WriteByte(value[i])
		case value[i] == ':':
			if layer.Len() > 0 {
				list = append(list, layer.String())
				layer.Reset()
			}
		default:
			layer.WriteByte(value[i])
		}
	}
	if layer.Len() > 0 {
		list = append(list, layer.String())
	}
	return list
}

// unescapeOctal reads what seq_escape of the kernel wrote: "\054" is a comma.
func unescapeOctal(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// descriptors lists the namespaces that the process has open.
func (l *look) descriptors() {
	if !l.live {
		return
	}
	if dir, err := unix.Openat(l.files.dir, "fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err == nil {
		unix.Close(dir)
	} else {
		l.missing("descriptors", err)
		return
	}
	s := &holderSearch{machine: l.machine, nsfs: nsfsDevice(), samePIDs: l.machine.samePIDs()}
	s.room.Store(maxOpen)
	for _, f := range s.descriptors(l.process) {
		l.profile.Descriptors = append(l.profile.Descriptors, OpenNamespace{f.id, f.holder})
	}
	for _, u := range s.refused {
		u.Error = fmt.Sprintf("more than %d", maxOpen)
		l.profile.Unreadable = append(l.profile.Unreadable, u)
	}
}

// maxOpen is how many descriptors of namespaces are listed.
const maxOpen = 4096
