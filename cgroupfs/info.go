package cgroupfs

import (
	"context"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/proc"
)

// Info is what a machine has in the way of cgroups.
type Info struct {
	// Mode is "v1", "v2" or "hybrid".
	Mode        string      `json:"mode"`
	Hierarchies []Hierarchy `json:"hierarchies"`
	// Controllers is each controller and where it is.
	Controllers []ControllerInfo `json:"controllers"`
	// Manager is "systemd" if that is process 1, or empty.
	Manager string `json:"manager"`
	// Features are those the kernel names in /sys/kernel/cgroup/features.
	Features []string `json:"features"`
	// DevicePrograms restrict devices in v2's groups, down to the second level.
	// nil is not known: without the capabilities of Group.DevicePrograms.
	DevicePrograms []DeviceProgram `json:"device_programs"`
}

// ControllerInfo is one controller.
type ControllerInfo struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	Mount   string `json:"mount"`
	// EnabledAt lists the v2 groups, down to the second level, whose children
	// it controls. A v1 controller controls all groups of its hierarchy.
	EnabledAt []string `json:"enabled_at"`
}

// Info describes the hierarchies, the controllers and who manages the tree.
func (fs *FS) Info(ctx context.Context) (Info, error) {
	info := Info{Mode: fs.Mode(), Hierarchies: fs.Hierarchies(), Controllers: []ControllerInfo{}, Features: []string{}}
	for _, name := range fs.Controllers() {
		if err := interrupted(ctx, "look at the hierarchies"); err != nil {
			return Info{}, err
		}
		h, err := fs.controller(name)
		if err != nil {
			continue
		}
		c := ControllerInfo{Name: name, Version: h.Version, Mount: h.Mount, EnabledAt: []string{}}
		if h.Version == 2 {
			c.EnabledAt = h.enabledAt(name)
		}
		info.Controllers = append(info.Controllers, c)
	}
	// sd_booted(3) looks for this directory, which systemd makes as process 1.
	root := proc.Root(fs.root)
	if at, err := root.Open("run/systemd/system", unix.O_PATH|unix.O_DIRECTORY); err == nil {
		unix.Close(at)
		info.Manager = "systemd"
	}
	if text, err := root.ReadFile("sys/kernel/cgroup/features", proc.MaxFile); err == nil {
		info.Features = strings.Fields(string(text))
	}
	info.DevicePrograms = fs.devicePrograms()
	return info, nil
}

// devicePrograms is nil if they are not known.
func (fs *FS) devicePrograms() []DeviceProgram {
	list := []DeviceProgram{}
	h := fs.v2()
	if h == nil || h.Problem != "" {
		return list
	}
	for _, group := range h.upper() {
		programs, err := h.devicePrograms(group)
		if err != nil && !isGone(err) {
			return nil
		}
		list = append(list, programs...)
	}
	return list
}

// upper lists the groups of the first two levels.
func (h *Hierarchy) upper() []string {
	groups := []string{h.MountRoot}
	names, _ := h.list(h.MountRoot, true)
	for _, name := range names {
		groups = append(groups, path.Join(h.MountRoot, name))
	}
	return groups
}

func (h *Hierarchy) enabledAt(controller string) []string {
	list := []string{}
	for _, group := range h.upper() {
		text, _ := h.read(group, "cgroup.subtree_control")
		if slices.Contains(strings.Fields(text), controller) {
			list = append(list, group)
		}
	}
	return list
}
