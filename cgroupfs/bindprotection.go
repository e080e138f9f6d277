package cgroupfs

import (
	"nsx/cgroupfs/keys"
)

// protections are what v2 spares of a group's memory, if anything on the way up asks
// for it. It is at most what each group above has of its own, and shared with the
// siblings there; where the file system is mounted with memory_recursiveprot, what a
// group above does not use up is the group's too, whatever it asks for itself
// (effective_protection in mm/page_counter.c).
func (w *way) protections() []Effective {
	var list []Effective
	if w.h.Version != 2 {
		return nil
	}
	for _, file := range []string{"memory.low", "memory.min"} {
		if e, asked := w.protection(file); asked {
			list = append(list, e)
		}
	}
	return list
}

func (w *way) protection(file string) (e Effective, asked bool) {
	e = Effective{Resource: file, Unit: "bytes", Version: 2, Known: true}
	least, first := int64(0), true
	for _, l := range w.levels {
		if l.hidden != nil {
			e.miss(*l.hidden)
			continue
		}
		f := files{h: w.h, group: l.group}
		v := f.protection(file)
		if err := v.Err(); err != nil {
			e.miss(err)
		}
		n, ok := v.Get()
		if !ok {
			continue
		}
		asked = asked || n > 0
		if l.group == w.group {
			e.Usage = toFloat(f.number("memory.current"))
		}
		if first || n < least || w.h.recursiveProtection {
			least = n
			e.setBy(w.h, l.group, file)
		}
		first = false
	}
	if e.Limit = Number(float64(least)); least == keys.Unlimited {
		e.Limit = Value[float64]{}
	}
	return e, asked
}
