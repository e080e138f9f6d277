package cgroupfs

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/proc"
)

// KeyValue is what a control file holds.
type KeyValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	// File is where it was read. A key of the other version's is translated
	// from there, and Notes say what that does to it.
	File  string   `json:"file"`
	Notes []string `json:"notes,omitempty"`
}

// Get reads control files by their names, in either version's spelling, or
// without any name all that can be read.
func (g *Group) Get(ctx context.Context, keys ...string) ([]KeyValue, error) {
	op := "read " + g.path
	list, err := g.need(op)
	if err != nil {
		return nil, err
	}
	values := []KeyValue{}
	if len(keys) == 0 {
		values, _, err = g.GetAll(ctx)
		return values, err
	}
	for _, key := range keys {
		if err := interrupted(ctx, op); err != nil {
			return nil, err
		}
		v, err := g.get(list, key)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

func (g *Group) get(list []*Hierarchy, key string) (KeyValue, error) {
	if err := keys.Check(key); err != nil {
		return KeyValue{}, err
	}
	h, err := g.hierarchyFor(key)
	if err == nil && g.isDevices(h, key) {
		return g.getDevices(h, key)
	}
	if keys.NoLimit(key) != nil {
		// May be looked at all the same.
		h, err = list[0], nil
	}
	// Files such as cpu.pressure and cpu.stat are in v2's core, whatever
	// hierarchy the controller is on.
	if err != nil || !h.has(g.path, key) {
		for _, other := range list {
			if other.has(g.path, key) {
				h, err = other, nil
			}
		}
	}
	if err != nil {
		return KeyValue{}, err
	}
	text, err := h.read(g.path, key)
	if err == nil {
		v := KeyValue{Key: key, Value: text, File: path.Join(h.Dir(g.path), key)}
		if key == "devices.list" {
			v.Notes = g.besidesV1()
		}
		return v, nil
	}
	if errors.Is(err, unix.ENOENT) && h.has(g.path, "") {
		for _, other := range []func(*Hierarchy, string) (KeyValue, bool){g.getWeight, g.getTranslated} {
			if v, ok := other(h, key); ok {
				return v, nil
			}
		}
		if v, ok := g.getCounter(h, key); ok {
			return v, nil
		}
	}
	return KeyValue{}, g.explainRead(h, key, err)
}

func (g *Group) explainRead(h *Hierarchy, key string, err error) error {
	e := &Error{Op: "read " + g.path, Group: g.path, File: path.Join(h.Dir(g.path), key), Err: bare(err)}
	switch {
	case e.errno() == unix.EOPNOTSUPP:
		e.Cause = h.typeChain(g.path)
	case g.fs.common(e, h, g.path, key):
	case e.errno() == unix.ENOENT:
		g.fs.explainNoFile(e, h, g.path, key)
	case e.errno() == unix.EINVAL:
		e.Reason, e.Cause = ErrUnsupported, "the file can only be written"
	}
	return e
}

// getTranslated reads the files of the controller's version and spells them as
// the key's.
func (g *Group) getTranslated(h *Hierarchy, key string) (KeyValue, bool) {
	v1, v2 := keys.Spellings(key)
	to := keys.Version(key)
	if to == 0 || to == h.Version {
		return KeyValue{}, false
	}
	from := map[int][]string{1: v2, 2: v1}[to]
	var settings []keys.Setting
	var file string
	empty := len(from) > 0 // a list of disks without any
	for _, name := range from {
		text, err := h.read(g.path, name)
		empty = empty && err == nil && text == ""
		if err != nil || text == "" {
			continue
		}
		if file == "" {
			file = path.Join(h.Dir(g.path), name)
		}
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if name == "freezer.state" && line == "FREEZING" {
				line = "FROZEN"
			}
			// The kernel's own words for "all" and "none" of a device file.
			if line == "" || strings.HasPrefix(line, "default ") && strings.HasSuffix(name, "_device") {
				continue
			}
			settings = append(settings, keys.Setting{Key: name, Value: line})
		}
	}
	if empty {
		return KeyValue{Key: key, File: path.Join(h.Dir(g.path), from[0])}, true
	}
	out, err := keys.Translate(keys.TranslateOptions{To: to, Machine: disks(proc.Root(g.fs.root))}, settings...)
	if file == "" || err != nil {
		return KeyValue{}, false
	}
	var lines []string
	for _, s := range out.Settings {
		if s.Key == key {
			lines = append(lines, s.Value)
		}
	}
	if len(lines) == 0 {
		return KeyValue{}, false
	}
	return KeyValue{key, strings.Join(lines, "\n"), file, out.Notes}, true
}

// GetAll reads all control files but the lists of members and what can only be
// written, and says which could not be read.
func (g *Group) GetAll(ctx context.Context) ([]KeyValue, []Unreadable, error) {
	op := "read " + g.path
	list, err := g.need(op)
	if err != nil {
		return nil, nil, err
	}
	skip := []string{"cgroup.procs", "cgroup.threads", "tasks"}
	values, missing := []KeyValue{}, &gaps{list: []Unreadable{}}
	for _, h := range list {
		f := files{h, g.path, missing}
		names, err := h.list(g.path, false)
		if err != nil {
			_ = f.unreadable("", err)
		}
		for _, name := range names {
			if err := interrupted(ctx, op); err != nil {
				return nil, nil, err
			}
			if slices.Contains(skip, name) {
				continue
			}
			text, err := h.read(g.path, name)
			switch {
			case err == nil:
				values = append(values, KeyValue{Key: name, Value: text, File: path.Join(h.Dir(g.path), name)})
			case isGone(err), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP), h.onlyWritten(g.path, name):
			default:
				_ = f.unreadable(name, err)
			}
		}
	}
	return append(values, g.allDevices()...), missing.list, nil
}

// onlyWritten says that nobody may read a file.
func (h *Hierarchy) onlyWritten(group, name string) bool {
	f, err := h.openat(group, name, unix.O_PATH)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	return err == nil && info.Mode()&0o444 == 0
}
