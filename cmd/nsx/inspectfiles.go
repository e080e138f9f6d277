package main

import (
	"fmt"
	"slices"
	"strings"

	"nsx/inspect"
	"nsx/internal/words"
	"nsx/output"
)

// filesFacts are the root, with its layers, and what is mounted otherwise than on the
// host.
func filesFacts(d *profileDoc) (facts []output.Fact) {
	f := d.Files
	if f == nil {
		return nil
	}
	if f.RootDirectory != "" && f.RootDirectory != "/" {
		facts = append(facts, line(output.Text("root directory"), output.Text(f.RootDirectory)))
	}
	if f.SharedWithHost != nil && *f.SharedWithHost {
		return facts // the line about the namespaces says so
	}
	if f.Root != nil {
		facts = append(facts, line(output.Text("root"), output.Text(rootText(f))))
	}
	if l := f.Layers; l != nil {
		if l.Upper != "" {
			facts = append(facts, line(output.Text("written to"), output.Text(l.Upper)))
		}
		for i, lower := range l.Lower[:min(len(l.Lower), d.most(1))] {
			name := "layers"
			if i > 0 {
				name = ""
			}
			if more := len(l.Lower) - d.most(1); more > 0 {
				lower += fmt.Sprintf(" and %d below it", more)
			}
			facts = append(facts, line(output.Text(name), output.Text(lower)))
		}
	}
	facts = append(facts, mountFacts(d, f)...)
	if !f.Compared && f.NMounts > 0 {
		facts = append(facts, line(output.Text("host"), output.Text("? (its mounts are not to be seen: these are all)")))
	}
	if n := len(f.Missing); n > 0 {
		facts = append(facts, line(output.Text("not here"), output.Text(firstOf(f.Missing, d.most(6)))))
	}
	if len(facts) == 1 && f.Compared && f.Root != nil && len(f.Mounts) == 0 {
		facts = append(facts, line(output.Text("mounts"), output.Text("as the host's")))
	}
	return facts
}

func rootText(f *inspect.Files) string {
	text := f.Root.FSType
	switch {
	case f.Layers != nil:
		text += ", " + words.Count(len(f.Layers.Lower), "layer", "layers")
		if f.Layers.Upper == "" {
			text += ", nothing can be written"
		}
	case f.Root.HostPath != "" && f.Root.HostPath != "/":
		text += ", the host's " + f.Root.HostPath
	case f.Root.HostPath == "/" || f.Compared && !slices.ContainsFunc(f.Mounts, func(m inspect.Mount) bool { return m.Mountpoint == "/" }):
		text += ", the host's"
	default:
		text += " of " + f.Root.Source
	}
	if slices.Contains(strings.Split(f.Root.Options, ","), "ro") {
		text += ", read-only"
	}
	if f.Root.Propagation != "private" {
		text += ", " + f.Root.Propagation
	}
	return text
}

// kernelTypes are file systems that show the kernel and hold no data.
var kernelTypes = []string{"proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2", "securityfs", "debugfs", "tracefs", "bpf", "pstore", "configfs", "fusectl", "hugetlbfs", "efivarfs", "nsfs", "binfmt_misc", "autofs"}

// enginesOwn are what most engines mount over files of the image.
var enginesOwn = []string{"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/shm", "/run/.containerenv", "/run/secrets", "/dev/termination-log"}

// mountFacts are the mounts that hold data, and how many there are besides.
func mountFacts(d *profileDoc, f *inspect.Files) (facts []output.Fact) {
	most := d.most(10)
	var rest []string
	more := 0
	for i := range f.Mounts {
		m := &f.Mounts[i]
		if m.Mountpoint == "/" && !d.all {
			continue
		}
		plain := slices.Contains(kernelTypes, m.FSType) || m.FSType == "tmpfs" && m.HostPath == "" || slices.Contains(enginesOwn, m.Mountpoint)
		if !d.all && (plain || len(facts) == most) {
			more++
			if len(rest) < 12 && !slices.Contains(rest, m.FSType) {
				rest = append(rest, m.FSType)
			}
			continue
		}
		facts = append(facts, line(output.Text("mount"), output.Text(mountText(m))))
	}
	if more > 0 {
		besides := "mounts"
		if len(facts) > 0 {
			besides = "more"
		}
		facts = append(facts, line(output.Text(besides), output.Text(fmt.Sprintf("%d: %s", more, strings.Join(rest, " ")))))
	}
	return facts
}

// mountText is "/srv/site on /usr/share/nginx/html, ro, private".
func mountText(m *inspect.Mount) string {
	what := m.HostPath
	if what == "" {
		what = m.FSType
		if m.Source != "" && m.Source != m.FSType && m.Source != "none" {
			what += " " + m.Source
		}
		if m.Root != "/" {
			what += " " + m.Root
		}
	}
	text := what + " on " + m.Mountpoint
	if slices.Contains(strings.Split(m.Options, ","), "ro") {
		text += ", ro"
	}
	return text + ", " + m.Propagation
}
