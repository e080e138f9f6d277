package inspect

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/words"
)

// IDRange is one line of /proc/PID/uid_map or gid_map (user_namespaces(7)):
// Count ids from Inside on, in the user namespace, are those from Outside on,
// which is 4294967295 if that one does not exist in the reader's.
type IDRange struct {
	Inside  uint32 `json:"inside"`
	Outside uint32 `json:"outside"`
	Count   uint32 `json:"count"`
}

// noID is (uid_t)-1, which is nobody's id.
const noID = 1<<32 - 1

// IDMap is the whole file.
type IDMap []IDRange

// ParseIDMap reads a uid_map or gid_map file. The map of an empty one is not nil: it has
// been read, and maps nothing.
func ParseIDMap(text string) (IDMap, error) {
	m := IDMap{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return nil, fmt.Errorf("%q is no line of an id map: want INSIDE OUTSIDE COUNT", strings.TrimSpace(line))
		}
		var n [3]uint32
		for i, field := range fields {
			v, err := strconv.ParseUint(field, 10, 32)
			if err != nil {
				return nil, fmt.Errorf("%q is no line of an id map: %w", strings.TrimSpace(line), err)
			}
			n[i] = uint32(v)
		}
		// The kernel takes no such map (map_write in kernel/user_namespace.c).
		if uint64(n[0])+uint64(n[2]) > noID || n[2] == 0 {
			return nil, fmt.Errorf("%q is no line of an id map: it maps nothing, or ids above %d", strings.TrimSpace(line), uint32(noID-1))
		}
		m = append(m, IDRange{n[0], n[1], n[2]})
	}
	return m, nil
}

// Inside is what an id of the reader's user namespace is called in the mapped
// one.
func (m IDMap) Inside(outside uint32) (uint32, bool) {
	for _, r := range m {
		if r.Outside != noID && outside >= r.Outside && outside-r.Outside < r.Count {
			return r.Inside + (outside - r.Outside), true
		}
	}
	return 0, false
}

// Outside is what an id of the mapped user namespace is called in the reader's.
func (m IDMap) Outside(inside uint32) (uint32, bool) {
	for _, r := range m {
		if r.Outside != noID && inside >= r.Inside && inside-r.Inside < r.Count {
			return r.Outside + (inside - r.Inside), true
		}
	}
	return 0, false
}

// Has says that an id exists in the mapped namespace.
func (m IDMap) Has(inside uint32) bool {
	for _, r := range m {
		if inside >= r.Inside && inside-r.Inside < r.Count {
			return true
		}
	}
	return false
}

// String is the map for people: "0-65535 from 100000". A map may have 340 lines,
// of which it has the first few.
func (m IDMap) String() string {
	const most = 6
	if len(m) == 0 {
		return "nothing"
	}
	var parts []string
	for _, r := range m[:min(len(m), most)] {
		if r.Count == 1 {
			parts = append(parts, fmt.Sprintf("%d from %d", r.Inside, r.Outside))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d from %d", r.Inside, uint64(r.Inside)+uint64(r.Count)-1, r.Outside))
		}
	}
	if len(m) > most {
		parts = append(parts, "and "+words.Count(len(m)-most, "range more", "ranges more"))
	}
	return strings.Join(parts, ", ")
}

// Around is a range without the one id that single maps already, inside and outside:
// the ids that are left are mapped in their order, as unshare(1) does it.
func (r IDRange) Around(single IDRange) IDMap {
	return inOrder(without(r.Inside, r.Count, single.Inside), without(r.Outside, r.Count, single.Outside))
}

// Beside is Around where it matters only which ids outside are mapped: those inside
// make room for single's, so that none outside is left over for its sake.
func (r IDRange) Beside(single IDRange) IDMap {
	room := min(r.Count, noID-1-r.Inside) + 1
	return inOrder(without(r.Inside, room, single.Inside), without(r.Outside, r.Count, single.Outside))
}

// inOrder maps ids in their order until one side has no more.
func inOrder(inside, outside []idSpan) (m IDMap) {
	for len(inside) > 0 && len(outside) > 0 {
		n := min(inside[0].count, outside[0].count)
		if n > 0 {
			m = append(m, IDRange{Inside: inside[0].first, Outside: outside[0].first, Count: n})
		}
		inside, outside = behind(inside, n), behind(outside, n)
	}
	return m
}

type idSpan struct{ first, count uint32 }

// without is the ids from first on except one.
func without(first, count, id uint32) []idSpan {
	if id < first || id-first >= count {
		return []idSpan{{first, count}}
	}
	return []idSpan{{first, id - first}, {id + 1, first + count - id - 1}}
}

// behind is the spans without the first n ids, which are of one span.
func behind(spans []idSpan, n uint32) []idSpan {
	if n == spans[0].count {
		return spans[1:]
	}
	spans[0].first, spans[0].count = spans[0].first+n, spans[0].count-n
	return spans
}

// OwnIDMap reads "uid_map" or "gid_map" of our own user namespace.
func OwnIDMap(name string) (IDMap, error) {
	text, err := os.ReadFile("/proc/self/" + name)
	if err != nil {
		return nil, err
	}
	return ParseIDMap(string(text))
}

// IDMap reads the target's "uid_map" or "gid_map".
func (t *Target) IDMap(name string) (IDMap, error) {
	text, err := t.ReadFile(name)
	if errors.Is(err, unix.EINVAL) { // it has been reaped: proc_id_map_open in fs/proc/base.c
		err = &os.PathError{Op: "open", Path: fmt.Sprintf("/proc/%d/%s", t.PID, name), Err: unix.ESRCH}
	}
	if err != nil {
		return nil, err
	}
	return ParseIDMap(string(text))
}
