package inspect

import (
	"fmt"
	"strconv"
	"strings"
)

// IDRange is one line of /proc/PID/uid_map or gid_map (user_namespaces(7)):
// Count ids from Inside on, in the user namespace, are those from Outside on,
// which is 4294967295 if that one does not exist in the reader's.
type IDRange struct {
	Inside, Outside, Count uint32
}

// noID is (uid_t)-1, which is nobody's id.
const noID = 1<<32 - 1

// IDMap is the whole file.
type IDMap []IDRange

// ParseIDMap reads a uid_map or gid_map file.
func ParseIDMap(text string) (IDMap, error) {
	var m IDMap
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

// Has says that an id exists in the mapped namespace.
func (m IDMap) Has(inside uint32) bool {
	for _, r := range m {
		if inside >= r.Inside && inside-r.Inside < r.Count {
			return true
		}
	}
	return false
}

// String is the map for people: "0-65535 from 100000".
func (m IDMap) String() string {
	if len(m) == 0 {
		return "nothing"
	}
	parts := make([]string, len(m))
	for i, r := range m {
		if r.Count == 1 {
			parts[i] = fmt.Sprintf("%d from %d", r.Inside, r.Outside)
		} else {
			parts[i] = fmt.Sprintf("%d-%d from %d", r.Inside, uint64(r.Inside)+uint64(r.Count)-1, r.Outside)
		}
	}
	return strings.Join(parts, ", ")
}

// IDMap reads the target's "uid_map" or "gid_map".
func (t *Target) IDMap(name string) (IDMap, error) {
	text, err := t.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return ParseIDMap(string(text))
}
