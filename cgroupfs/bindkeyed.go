package cgroupfs

import (
	"maps"
	"slices"
	"strings"

	"nsx/cgroupfs/keys"
)

// limitKey tells the limits of one file apart: by disk, by device or resource,
// and by what of it is limited.
type limitKey struct {
	device keys.Device
	name   string
}

// keyedSource is a file of many limits.
type keyedSource struct {
	controller, resource, file string
	parse                      func(text string) (map[limitKey]float64, bool)
	// alone says that only the group's own binds.
	alone bool
}

// keyedSources: on v1 the throttles of a group do not hold for those below it
// (throtl_pd_init in block/blk-throttle.c gives a group no parent there; the
// kernel's cgroup-v1/blkio-controller.rst, "Hierarchical Cgroups").
func (w *way) keyedSources() []keyedSource {
	list := []keyedSource{{"io", "io", "io.max", parseIOLimits, false}}
	if w.h.Version == 1 {
		list = nil
		for _, f := range keys.IOMaxFields {
			parse := func(text string) (map[limitKey]float64, bool) { return parseThrottles(text, f.Word) }
			list = append(list, keyedSource{"blkio", "io", f.File, parse, true})
		}
	}
	return append(list,
		keyedSource{"rdma", "rdma", "rdma.max", parseNested, false},
		keyedSource{"misc", "misc", "misc.max", parseNamed, false},
		keyedSource{"dmem", "dmem", "dmem.max", parseNamed, false})
}

// keyed are the limits that stand many in a file: one for each that is set, and
// of disks at least one that says that there is none.
func (w *way) keyed(fs *FS) []Effective {
	var list []Effective
	var unknown []Effective
	io := false
	for _, s := range w.keyedSources() {
		if !slices.Contains(w.names, s.file) && !slices.Contains(w.h.Controllers, s.controller) {
			continue
		}
		io = io || s.resource == "io"
		found, rest := w.leastOf(fs, s)
		list = append(list, found...)
		if !rest.Known {
			unknown = append(unknown, rest)
		}
	}
	slices.SortStableFunc(list, func(a, b Effective) int {
		if a.Device == nil || b.Device == nil {
			return 0
		}
		return a.Device.Compare(b.Device.Device)
	})
	if len(unknown) > 0 {
		return append(list, merge(unknown)...)
	}
	if io && !slices.ContainsFunc(list, func(e Effective) bool { return e.Device != nil }) {
		list = append(list, Effective{Resource: "io", Unit: "bytes_per_second", Version: w.h.Version, Known: true})
	}
	return list
}

// merge makes one of several limits of a resource that are not known.
func merge(list []Effective) []Effective {
	var merged []Effective
	for _, e := range list {
		i := slices.IndexFunc(merged, func(m Effective) bool { return m.Resource == e.Resource })
		if i < 0 {
			merged = append(merged, e)
			continue
		}
		for _, u := range e.Gaps {
			merged[i].note(u)
		}
	}
	return merged
}

// leastOf finds the least limit of each key on the way up; rest tells what could
// not be read, and so may limit any key.
func (w *way) leastOf(fs *FS, s keyedSource) (found []Effective, rest Effective) {
	rest = Effective{Resource: s.resource, Unit: "units", Version: w.h.Version, Known: true}
	if s.resource == "io" {
		rest.Unit = "bytes_per_second"
	}
	least := map[limitKey]Effective{}
	for i, l := range w.levels {
		if i > 0 && s.alone {
			break
		}
		if l.hidden != nil {
			rest.miss(*l.hidden)
			continue
		}
		f := files{h: w.h, group: l.group}
		text, _, err := f.text(s.file)
		limits, understood := s.parse(text)
		if err == nil && !understood {
			err = f.bad(s.file, text)
		}
		if err != nil {
			rest.miss(err)
		}
		for key, n := range limits {
			if before, ok := least[key]; ok && before.Limit.number <= n {
				continue
			}
			e := Effective{Resource: s.resource + "." + key.name, Unit: rest.Unit, Version: w.h.Version, Limit: Number(n)}
			if s.resource == "io" {
				disk := fs.disk(key.device)
				e.Device = &disk
				if strings.HasSuffix(key.name, "iops") {
					e.Unit = "operations_per_second"
				}
			}
			e.setBy(w.h, l.group, s.file)
			least[key] = e
		}
	}
	rest.settle()
	for _, key := range slices.SortedFunc(maps.Keys(least), limitKey.compare) {
		e := least[key]
		e.Known, e.Gaps = rest.Known, rest.Gaps
		found = append(found, e)
	}
	return found, rest
}

func (k limitKey) compare(other limitKey) int {
	if n := k.device.Compare(other.device); n != 0 {
		return n
	}
	return strings.Compare(k.name, other.name)
}

// parseIOLimits reads io.max, lines "8:16 rbps=2097152 wbps=max riops=max
// wiops=120". What else a line may say is no limit of these. The limits that it
// understood come back in any case.
func parseIOLimits(text string) (map[limitKey]float64, bool) {
	limits, understood := map[limitKey]float64{}, true
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		device, ok := keys.ParseDeviceNumber(words[0])
		understood = understood && ok
		for _, word := range words[1:] {
			key, value, _ := strings.Cut(word, "=")
			known := slices.ContainsFunc(keys.IOMaxFields, func(f keys.IOMaxField) bool { return f.Word == key })
			if !ok || !known {
				continue
			}
			understood = limitInto(limits, limitKey{device, key}, value) && understood
		}
	}
	return limits, understood
}

// parseThrottles reads a v1 file of lines "8:16 1048576".
func parseThrottles(text, field string) (map[limitKey]float64, bool) {
	limits, understood := map[limitKey]float64{}, true
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		device, ok := keys.ParseDeviceNumber(words[0])
		if !ok || len(words) != 2 {
			understood = false
			continue
		}
		understood = limitInto(limits, limitKey{device, field}, words[1]) && understood
	}
	return limits, understood
}

// parseNamed reads lines "NAME LIMIT", as misc.max and dmem.max have them.
func parseNamed(text string) (map[limitKey]float64, bool) {
	limits, understood := map[limitKey]float64{}, true
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) != 2 {
			understood = understood && len(words) == 0
			continue
		}
		understood = limitInto(limits, limitKey{name: words[0]}, words[1]) && understood
	}
	return limits, understood
}

// parseNested reads rdma.max, lines "mlx4_0 hca_handle=2 hca_object=max".
func parseNested(text string) (map[limitKey]float64, bool) {
	limits, understood := map[limitKey]float64{}, true
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		for i, word := range words {
			key, value, ok := strings.Cut(word, "=")
			if i == 0 {
				continue
			}
			understood = ok && limitInto(limits, limitKey{name: words[0] + "." + key}, value) && understood
		}
	}
	return limits, understood
}

// limitInto notes a limit unless it is "max"; false if it is no number.
func limitInto(limits map[limitKey]float64, key limitKey, value string) bool {
	n, ok := keys.ReadSize(value)
	if !ok || n == keys.Unlimited {
		return ok
	}
	limits[key] = float64(n)
	return true
}
