package cgroupfs

import (
	"slices"
	"strconv"
	"strings"

	"nsx/cgroupfs/keys"
)

// writeOnly says whether a file cannot be read back.
func (s Step) writeOnly() bool { return s.control().writeOnly }

// onlyForWriter says that what is written is undone when the file is closed: resets
// of peaks, and triggers of pressure.
func (s Step) onlyForWriter() bool { return s.control().forWriter }

// device is the device that a value is for, if it is for one, and the rest.
func (s Step) device() (keys.Device, string, bool) {
	first, rest, ok := strings.Cut(s.Value, " ")
	if !ok || !s.control().perDevice {
		return keys.Device{}, "", false
	}
	d, ok := keys.ParseDeviceNumber(first)
	return d, strings.TrimSpace(rest), ok
}

// mine is the part of a file's text that a step is about.
func (s Step) mine(text string) string {
	if of := s.control().mine; of != nil {
		if part, ok := of(s, text); ok {
			return part
		}
	}
	if device, _, ok := s.device(); ok {
		return keys.ByDevice(text, device.String())
	}
	return strings.TrimSpace(text)
}

// compare says how a value read back differs from the one written.
func (s Step) compare(now string) string {
	c := s.control()
	if c.forWriter {
		return "ignored"
	}
	if c.change != nil {
		if change, ok := c.change(s, now); ok {
			return change
		}
	}
	wrote := s.Value
	if _, rest, ok := s.device(); ok {
		if strings.Contains(rest, "=") {
			return compareWords(rest, now)
		}
		wrote = rest
		if now == "" && wrote == "0" {
			return "" // a throttle taken off
		}
	}
	wrote = strings.TrimPrefix(wrote, c.prefix)
	if slices.Equal(strings.Fields(wrote), strings.Fields(now)) {
		return ""
	}
	return s.compareNumbers(wrote, now)
}

// compareWords is for values of several words KEY=VALUE, of which those that are
// not written stay, and the file shows all.
func compareWords(wrote, now string) string {
	have := strings.Fields(now)
	for word := range strings.FieldsSeq(wrote) {
		if !slices.Contains(have, word) && !slices.ContainsFunc(have, func(h string) bool { return sameWord(word, h) }) {
			return "changed"
		}
	}
	return ""
}

// sameWord compares KEY=NUMBER by the number: 95 and 95.00 are one.
func sameWord(a, b string) bool {
	key1, x, ok1 := strings.Cut(a, "=")
	key2, y, ok2 := strings.Cut(b, "=")
	return ok1 && ok2 && key1 == key2 && sameNumber(x, y)
}

func sameNumber(a, b string) bool {
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err1 == nil && err2 == nil && x == y
}

// compareNumbers does not look at what was there before: what is rounded or
// clamped stays so when it is written again.
func (s Step) compareNumbers(wrote, now string) string {
	a, ok1 := keys.ReadSize(wrote)
	if n, err := keys.ParseSize(wrote); !ok1 && err == nil {
		a, ok1 = n, true // the kernel takes 1M too
	}
	if n, ok := otherRadix(wrote); ok {
		a, ok1 = n, true
	}
	b, ok2 := keys.ReadSize(now)
	switch {
	case ok1 && ok2 && a == b:
		return "" // -1 and v1's number for it
	case sameNumber(wrote, now):
		return ""
	case ok1 && ok2 && b == keys.Unlimited:
		return "ignored"
	case ok1 && ok2 && b < a && a-b < s.page() && b%4096 == 0:
		return "rounded" // down to a page
	case ok1 && ok2:
		return "clamped"
	}
	return "changed"
}

// page is a page of the memory that the file is about, or more: one has 64 KiB at the
// most, a huge one what the file's name says. 0 is for what is no memory.
func (s Step) page() int64 {
	controller, rest, _ := strings.Cut(s.File, ".")
	switch controller {
	case "memory":
		return 64 << 10
	case "hugetlb":
		size, _, _ := strings.Cut(rest, ".")
		n, _ := keys.ParseSize(strings.TrimSuffix(size, "B"))
		return n
	}
	return 0
}

// otherRadix reads 0x100000 and 04000000 as the kernel does
// (_parse_integer_fixup_radix in lib/kstrtox.c).
func otherRadix(text string) (int64, bool) {
	digits, hex := strings.CutPrefix(strings.ToLower(text), "0x")
	base := 16
	if !hex {
		if digits, base = text, 8; len(text) < 2 || text[0] != '0' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(digits, base, 63)
	return int64(n), err == nil
}

// changeOfIOMax compares what was given for the device.
func (s Step) changeOfIOMax(now string) (string, bool) {
	device, _, ok := s.device()
	if !ok {
		return "", false
	}
	want, err := keys.ParseIOMax(s.Value)
	if err != nil {
		return "changed", true
	}
	is := keys.ReadIOMax(now, device)
	for _, f := range keys.IOMaxFields {
		a, b := *f.Of(&want), *f.Of(&is)
		if a != nil && (b == nil || *a != *b) {
			return "clamped", true
		}
	}
	return "", true
}

func (s Step) changeOfSubtree(now string) (string, bool) {
	have := strings.Fields(now)
	for word := range strings.FieldsSeq(s.Value) {
		if slices.Contains(have, word[1:]) != (word[0] == '+') {
			return "ignored", true
		}
	}
	return "", true
}
