package cgroupfs

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/reason"
	"nsx/internal/words"
)

// Kinds of devices and of access, as v1 (security/device_cgroup.c) and BPF
// (BPF_DEVCG_* of include/uapi/linux/bpf.h) number them.
const (
	blockDevice = 1
	charDevice  = 2

	accessMknod = 1
	accessRead  = 2
	accessWrite = 4
	accessAll   = accessMknod | accessRead | accessWrite

	// anyDevice is a major or minor number that stands for all, as v1 has it.
	anyDevice = ^uint32(0)
)

// deviceRule is devices of one kind, and what is done with them.
type deviceRule struct {
	kind, major, minor uint32
	access             uint32
}

// String is "c 1:3 rwm", as v1 shows it.
func (r deviceRule) String() string {
	number := func(n uint32) string {
		if n == anyDevice {
			return "*"
		}
		return strconv.FormatUint(uint64(n), 10)
	}
	kind := map[uint32]string{blockDevice: "b", charDevice: "c"}[r.kind]
	var access []byte
	for i, bit := range accessBits {
		if r.access&bit != 0 {
			access = append(access, accessLetters[i])
		}
	}
	return fmt.Sprintf("%s %s:%s %s", kind, number(r.major), number(r.minor), access)
}

const accessLetters = "rwm"

var accessBits = [...]uint32{accessRead, accessWrite, accessMknod}

// sameDevices says that two rules are about exactly the same devices.
func (r deviceRule) sameDevices(o deviceRule) bool {
	return r.kind == o.kind && r.major == o.major && r.minor == o.minor
}

// covers says that all of o's devices are r's too.
func (r deviceRule) covers(o deviceRule) bool {
	return r.kind == o.kind && (r.major == anyDevice || r.major == o.major) && (r.minor == anyDevice || r.minor == o.minor)
}

// common is the devices and the access that are in both rules.
func (r deviceRule) common(o deviceRule) (deviceRule, bool) {
	if r.kind != o.kind {
		return r, false
	}
	both := func(a, b uint32) (uint32, bool) {
		if a == anyDevice {
			a = b
		}
		return a, b == anyDevice || a == b
	}
	var ok1, ok2 bool
	r.major, ok1 = both(r.major, o.major)
	r.minor, ok2 = both(r.minor, o.minor)
	r.access &= o.access
	return r, ok1 && ok2 && r.access != 0
}

// parseDeviceRule reads "c 1:3 rwm", or a file and what may be done with it:
// "/dev/null rw", "/dev/null". all stands for v1's "a", which is about every
// device.
func parseDeviceRule(root, text string) (r deviceRule, all bool, err error) {
	parts := strings.Fields(text)
	refuse := func() (deviceRule, bool, error) {
		return r, false, fmt.Errorf("device rule %s: want \"TYPE MAJOR:MINOR ACCESS\" such as \"c 1:3 rwm\" or \"b 8:* r\", a file such as \"/dev/null rw\", or \"a\" for all: %w", words.Quote(text), reason.ErrInvalid)
	}
	switch {
	case text == "a" || slices.Equal(parts, []string{"a", "*:*", "rwm"}):
		return r, true, nil
	case len(parts) == 0:
		return refuse()
	case strings.HasPrefix(parts[0], "/"):
		if r, err = deviceOf(root, parts[0]); err != nil {
			return r, false, err
		}
		if len(parts) == 1 {
			parts = append(parts, "rwm")
		}
		parts = parts[1:]
	case len(parts) == 3:
		r.kind = map[string]uint32{"b": blockDevice, "c": charDevice}[parts[0]]
		major, minor, colon := strings.Cut(parts[1], ":")
		var ok1, ok2 bool
		r.major, ok1 = parseDevicePart(major)
		r.minor, ok2 = parseDevicePart(minor)
		if r.kind == 0 || !colon || !ok1 || !ok2 {
			return refuse()
		}
		parts = parts[2:]
	}
	if len(parts) != 1 || len(parts[0]) > 3 { // so v1
		return refuse()
	}
	for _, letter := range parts[0] {
		i := strings.IndexRune(accessLetters, letter)
		if i < 0 {
			return refuse()
		}
		r.access |= accessBits[i]
	}
	return r, false, nil
}

func parseDevicePart(word string) (uint32, bool) {
	if word == "*" {
		return anyDevice, true
	}
	n, err := strconv.ParseUint(word, 10, 32)
	return uint32(n), err == nil
}

// deviceOf is the device that a file is, without any access.
func deviceOf(root, name string) (deviceRule, error) {
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(root, name), &st); err != nil {
		return deviceRule{}, fmt.Errorf("device %s: %w", words.Quote(name), err)
	}
	r := deviceRule{major: unix.Major(st.Rdev), minor: unix.Minor(st.Rdev)}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFBLK:
		r.kind = blockDevice
	case unix.S_IFCHR:
		r.kind = charDevice
	default:
		return r, fmt.Errorf("device %s: it is no device: %w", words.Quote(name), reason.ErrInvalid)
	}
	return r, nil
}

// deviceList is what v1 keeps for a group: whether devices are allowed, and the
// exceptions from that, in their order. What is an exception differs: all that
// is done must be in one rule to be allowed by it, and a rule that any of it is
// in denies it.
type deviceList struct {
	allow      bool
	exceptions []deviceRule
}

// allowAll is the list of a group that nobody has restricted.
var allowAll = deviceList{allow: true}

func (l deviceList) restricts() bool { return !l.allow || len(l.exceptions) > 0 }

func (l deviceList) equal(o deviceList) bool {
	return l.allow == o.allow && slices.Equal(l.exceptions, o.exceptions)
}

// String is for plans and messages: "deny all but c 1:3 rwm, c 1:5 r".
func (l deviceList) String() string {
	all := map[bool]string{false: "deny all", true: "allow all"}[l.allow]
	if len(l.exceptions) == 0 {
		return all
	}
	return all + " but " + joinRules(l.exceptions, ", ")
}

// list is what v1's devices.list says, which hides exceptions from "all".
func (l deviceList) list() string {
	if l.allow {
		return "a *:* rwm"
	}
	return joinRules(l.exceptions, "\n")
}

func joinRules(rules []deviceRule, sep string) string {
	parts := make([]string, len(rules))
	for i, r := range rules {
		parts[i] = r.String()
	}
	return strings.Join(parts, sep)
}

// add is v1's dev_exception_add.
func (l deviceList) add(r deviceRule) deviceList {
	l.exceptions = slices.Clone(l.exceptions)
	for i := range l.exceptions {
		if l.exceptions[i].sameDevices(r) {
			l.exceptions[i].access |= r.access
			return l
		}
	}
	l.exceptions = append(l.exceptions, r)
	return l
}

// remove is v1's dev_exception_rm: only from the rule about the same devices.
func (l deviceList) remove(r deviceRule) deviceList {
	var rest []deviceRule
	for _, have := range l.exceptions {
		if have.sameDevices(r) {
			have.access &^= r.access
		}
		if have.access != 0 {
			rest = append(rest, have)
		}
	}
	l.exceptions = rest
	return l
}

// touches says that an exception is about some of what r is about.
func (l deviceList) touches(r deviceRule) bool {
	return slices.ContainsFunc(l.exceptions, func(have deviceRule) bool {
		_, ok := have.common(r)
		return ok
	})
}

// contains says that one exception is about all that r is about.
func (l deviceList) contains(r deviceRule) bool {
	return slices.ContainsFunc(l.exceptions, func(have deviceRule) bool {
		return have.covers(r) && r.access&^have.access == 0
	})
}

// change is what v1's devices.allow or devices.deny does to a list, below a
// group with the list above (devcgroup_update_access). ok is false where v1
// says EPERM, for a group never has more than the one above.
func (l deviceList) change(allow bool, r deviceRule, all bool, above deviceList) (changed deviceList, ok bool) {
	switch {
	case all && allow:
		return deviceList{true, above.exceptions}, above.allow
	case all:
		return deviceList{}, true
	case allow && l.allow:
		return l.remove(r), !above.allow || !above.touches(r)
	case allow && above.allow:
		return l.add(r), !above.touches(r)
	case allow:
		return l.add(r), above.contains(r)
	case l.allow:
		return l.add(r), true
	}
	return l.remove(r), true
}

// within is what two lists allow that both have to be passed. rest is denied
// besides: what no list of rules can say, such as all but one of the devices of a
// rule.
func (l deviceList) within(above deviceList) (both deviceList, rest []deviceRule) {
	switch {
	case l.allow && above.allow:
		both = above
		for _, r := range l.exceptions {
			both = both.add(r)
		}
		return both, nil
	case l.allow:
		return above.without(l.exceptions)
	case above.allow:
		return l.without(above.exceptions)
	}
	for _, r := range l.exceptions {
		for _, o := range above.exceptions {
			c, ok := r.common(o)
			if !ok || both.contains(c) {
				continue
			}
			both.exceptions = slices.DeleteFunc(both.exceptions, func(have deviceRule) bool {
				return c.covers(have) && have.access&^c.access == 0
			})
			both.exceptions = append(both.exceptions, c)
		}
	}
	return both, nil
}

// without takes from a list that denies the rest what others deny.
func (l deviceList) without(denied []deviceRule) (less deviceList, rest []deviceRule) {
	for _, r := range l.exceptions {
		for _, d := range denied {
			if d.covers(r) {
				r.access &^= d.access
			}
		}
		if r.access == 0 {
			continue
		}
		less.exceptions = append(less.exceptions, r)
		for _, d := range denied {
			if c, ok := d.common(r); ok && !slices.Contains(rest, c) {
				rest = append(rest, c)
			}
		}
	}
	return less, rest
}
