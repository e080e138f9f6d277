package cgroupfs

import (
	"maps"
	"slices"
	"strings"

	"nsx/cgroupfs/keys"
)

// CountStat is a resource that is counted and has a name: of misc ("sev_es"), or of
// an RDMA device ("mlx4_0.hca_handle").
type CountStat struct {
	Resource string       `json:"resource"`
	Current  Value[int64] `json:"current"`
	Peak     Value[int64] `json:"peak"`
	Limit    Value[int64] `json:"limit"`
	// MaxEvents counts how often the limit was hit, in the group and those below.
	MaxEvents Value[int64] `json:"max_events"`
}

// RegionStat is memory of devices, of a region such as "drm/0000:03:00.0/vram0".
type RegionStat struct {
	Region     string       `json:"region"`
	UsageBytes Value[int64] `json:"usage_bytes"`
	LimitBytes Value[int64] `json:"limit_bytes"`
	LowBytes   Value[int64] `json:"low_bytes"` // protected, as MinBytes is
	MinBytes   Value[int64] `json:"min_bytes"`
}

// fillKeyed reads the controllers whose files have a line for each resource or
// device, alike on both versions ("Misc", "RDMA" and "DMEM" in the kernel's
// cgroup-v2.rst).
func (f files) fillKeyed(s *Stat) {
	current, peak, limit, events := f.keyed("misc.current"), f.keyed("misc.peak"), f.keyed("misc.max"), f.keyed("misc.events")
	for _, name := range current.names() {
		s.Misc = append(s.Misc, CountStat{name, current.get(name), peak.get(name), limit.get(name), events.get(name + ".max")})
	}
	current, limit = f.keyed("rdma.current"), f.keyed("rdma.max")
	for _, name := range current.names() {
		s.RDMA = append(s.RDMA, CountStat{Resource: name, Current: current.get(name), Limit: limit.get(name)})
	}
	current, limit = f.keyed("dmem.current"), f.keyed("dmem.max")
	low, least := f.keyed("dmem.low"), f.keyed("dmem.min")
	for _, name := range current.names() {
		s.Dmem = append(s.Dmem, RegionStat{name, current.get(name), limit.get(name), low.get(name), least.get(name)})
	}
}

// keyed is a file of lines "NAME NUMBER" or "DEVICE NAME=NUMBER …", where a number
// may be "max".
type keyed struct {
	values map[string]Value[int64]
	err    error
}

func (f files) keyed(file string) keyed {
	text, _, err := f.text(file)
	k := keyed{map[string]Value[int64]{}, err}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		for _, word := range words[1:] {
			name, value := words[0], word
			if key, of, pair := strings.Cut(word, "="); pair {
				name, value = name+"."+key, of
			}
			switch n, ok := keys.ReadSize(value); {
			case !ok:
				k.values[name] = NotKnown[int64](f.bad(file, line))
			case n == keys.Unlimited:
				k.values[name] = Value[int64]{}
			default:
				k.values[name] = Number(n)
			}
		}
	}
	return k
}

func (k keyed) names() []string { return slices.Sorted(maps.Keys(k.values)) }

// get is none if there is no such line.
func (k keyed) get(name string) Value[int64] {
	if k.err != nil {
		return NotKnown[int64](k.err)
	}
	return k.values[name]
}
