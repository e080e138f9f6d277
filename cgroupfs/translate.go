package cgroupfs

import (
	"os"
	"path/filepath"
	"strings"

	"nsx/cgroupfs/keys"
	"nsx/internal/proc"
)

// Translate is keys.Translate, with the disks of this machine.
func Translate(o keys.TranslateOptions, settings ...keys.Setting) (keys.Translation, error) {
	o.Machine = disks(proc.Root("/"))
	return keys.Translate(o, settings...)
}

// disks is what the files below a root say of devices.
func disks(root proc.Root) keys.Machine {
	return keys.Machine{
		Device: func(word string) (keys.Device, error) { return parseDevice(string(root), word) },
		DeviceRule: func(text string) (string, error) {
			rule, all, err := parseDeviceRule(string(root), text)
			if err != nil || all {
				return "a", err
			}
			return rule.String(), nil
		},
		Scheduler: func(device string) string { return scheduler(root.Join("sys/dev/block", device)) },
		Schedulers: func() (list []string) {
			dirs, _ := filepath.Glob(root.Join("sys/block/*"))
			for _, dir := range dirs {
				if s := scheduler(dir); s != "" {
					list = append(list, s)
				}
			}
			return list
		},
	}
}

// machine is what a translation for a group in a hierarchy asks.
func (g *Group) machine(h *Hierarchy) keys.Machine {
	m := disks(proc.Root(g.fs.root))
	m.Current = func(key string) (string, bool) {
		text, err := h.read(g.path, key)
		return text, err == nil
	}
	m.Top = func(key string) string {
		text, _ := h.read("/", key)
		return text
	}
	return m
}

// scheduler is the I/O scheduler of a disk by its directory in /sys, empty if it
// is not known: the one in brackets of "none [mq-deadline] bfq".
func scheduler(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, "queue/scheduler"))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(text), "[")
	name, _, _ := strings.Cut(rest, "]")
	return name
}
