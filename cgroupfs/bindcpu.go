package cgroupfs

import (
	"slices"
	"strconv"
	"strings"

	"nsx/cgroupfs/keys"
)

// cpu is the smallest quota in CPUs, since each group may have its own period.
func (w *way) cpu() []Effective {
	file := map[int]string{1: "cpu.cfs_quota_us", 2: "cpu.max"}[w.h.Version]
	if !slices.Contains(w.names, file) && !slices.Contains(w.h.Controllers, "cpu") {
		return nil
	}
	e := Effective{Resource: "cpu", Unit: "cpus", Version: w.h.Version, Known: true}
	for _, l := range w.levels {
		if l.hidden != nil {
			e.miss(*l.hidden)
			continue
		}
		limit := files{h: w.h, group: l.group}.cpus()
		if err := limit.Err(); err != nil {
			e.miss(err)
			continue
		}
		n, limited := limit.Get()
		if least, already := e.Limit.Get(); limited && (!already || n < least) {
			e.Limit = limit
			e.setBy(w.h, l.group, file)
		}
	}
	e.settle()
	return []Effective{e}
}

// cpus is a group's quota as a number of CPUs.
func (f files) cpus() Value[float64] {
	file, quota, period := "cpu.max", "", strconv.Itoa(keys.StandardPeriod)
	if f.h.Version == 2 {
		text, ok, err := f.text(file)
		if err != nil || !ok {
			return Value[float64]{err: err}
		}
		// "QUOTA PERIOD"; some kernels add the burst, and a period that is
		// not told is the usual one.
		words := append(strings.Fields(text), "", "")
		quota = words[0]
		if words[1] != "" {
			period = words[1]
		}
	} else {
		file = "cpu.cfs_quota_us"
		text, ok, err := f.text(file)
		if err != nil || !ok {
			return Value[float64]{err: err}
		}
		if quota = text; strings.HasPrefix(quota, "-") {
			quota = "max"
		}
		if quota != "max" {
			if text, ok, err = f.text("cpu.cfs_period_us"); err != nil {
				return Value[float64]{err: err}
			}
			if ok {
				period = text
			}
		}
	}
	if quota == "max" {
		return Value[float64]{}
	}
	q, err := strconv.ParseUint(quota, 10, 63)
	p, err2 := strconv.ParseUint(period, 10, 63)
	if err != nil || err2 != nil || q == 0 || p == 0 {
		return NotKnown[float64](f.bad(file, strings.TrimSpace(quota+" "+period)))
	}
	return Number(float64(q) / float64(p))
}

// cpusets are the CPUs and memory nodes that the kernel lets a group have. It
// says so where the controller is enabled, and that counts for all below.
func (w *way) cpusets() []Effective {
	var list []Effective
	for _, kind := range []string{"cpus", "mems"} {
		files := []string{"cpuset." + kind + ".effective"}
		if w.h.Version == 1 { // Linux 3.17 has the second
			files = []string{"cpuset.effective_" + kind, "cpuset." + kind}
		}
		i := slices.IndexFunc(files, func(f string) bool { return slices.Contains(w.names, f) })
		if i < 0 && (w.allNames || !slices.Contains(w.h.Controllers, "cpuset")) {
			continue
		}
		e := w.cpuset(kind, files[max(i, 0)])
		if e.List != nil || !e.Known {
			list = append(list, e)
		}
	}
	return list
}

// cpuset reads the nearest group that has the file. Whose doing it is: the
// uppermost group's that has no more than that.
func (w *way) cpuset(kind, file string) Effective {
	e := Effective{Resource: "cpuset." + kind, Unit: "list", Version: w.h.Version, Known: true}
	for _, l := range w.levels {
		if l.hidden != nil {
			if e.List != nil {
				break
			}
			e.miss(*l.hidden)
			continue
		}
		f := files{h: w.h, group: l.group}
		text, ok, err := f.text(file)
		text = strings.TrimSpace(text)
		if ok {
			if _, bad := keys.ParseCPUList(text); bad != nil {
				err = f.bad(file, text)
			}
		}
		switch {
		case !ok && err == nil:
			continue
		case err != nil && e.List != nil, err == nil && e.List != nil && *e.List != text:
			return e
		case err != nil:
			e.miss(err)
			continue
		}
		e.List = &text
		e.setBy(w.h, l.group, file)
	}
	return e
}
