package cgroupfs

import (
	"errors"
	"math"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
)

// files reads the files of a group in one hierarchy. What cannot be read or
// understood is an Unreadable, and goes to gaps if there are any to fill.
type files struct {
	h     *Hierarchy
	group string
	gaps  *gaps
}

// text is what a file holds. A file that is not there is no error, nor is one
// that the kernel has, but not for this group or not now (EOPNOTSUPP).
func (f files) text(file string) (text string, there bool, err error) {
	text, err = f.h.read(f.group, file)
	switch {
	case err == nil:
		return text, true, nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP):
		return "", false, nil
	}
	return "", false, f.unreadable(file, err)
}

// bad is about a file whose text is not understood.
func (f files) bad(file, text string) error { return f.unreadable(file, notUnderstood(text)) }

func (f files) unreadable(file string, err error) error {
	u := newUnreadable(f.group, path.Join(f.h.Dir(f.group), file), err)
	if f.gaps != nil {
		f.gaps.add(u)
	}
	return u
}

// number is a count, none if there is no such file.
func (f files) number(file string) Value[int64] {
	text, ok, err := f.text(file)
	if !ok {
		return Value[int64]{err: err}
	}
	n, ok := parseCount(text)
	if !ok {
		return NotKnown[int64](f.bad(file, text))
	}
	return Number(n)
}

// limit is a size or a number, none for "max" or if there is no such file.
func (f files) limit(file string) Value[int64] {
	text, ok, err := f.text(file)
	if !ok {
		return Value[int64]{err: err}
	}
	n, ok := keys.ReadSize(text)
	switch {
	case !ok:
		return NotKnown[int64](f.bad(file, text))
	case n == keys.Unlimited:
		return Value[int64]{}
	}
	return Number(n)
}

// protection is a size of which 0 is the least, and "max" is keys.Unlimited.
func (f files) protection(file string) Value[int64] {
	text, ok, err := f.text(file)
	if !ok {
		return Value[int64]{err: err}
	}
	n, ok := keys.ReadSize(text)
	if !ok {
		return NotKnown[int64](f.bad(file, text))
	}
	return Number(n)
}

// parseCount reads an unsigned number; what is more than an int64 holds is the
// largest of them.
func parseCount(text string) (int64, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	return int64(min(n, math.MaxInt64)), err == nil
}

// flat is a file of lines "KEY NUMBER".
type flat struct {
	numbers map[string]int64
	err     error
}

func (f files) flat(file string) flat {
	m, _ := f.flatIfThere(file)
	return m
}

// flatIfThere says too whether there is such a file, even if it cannot be read.
func (f files) flatIfThere(file string) (m flat, there bool) {
	text, there, err := f.text(file)
	m = flat{flatKeyed(text), err}
	if len(m.numbers) == 0 && strings.TrimSpace(text) != "" {
		m.err = f.bad(file, text)
	}
	return m, there || err != nil
}

// flatKeyed leaves out the lines that hold no number.
func flatKeyed(text string) map[string]int64 {
	m := map[string]int64{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, ok := parseCount(value); ok {
			m[key] = n
		}
	}
	return m
}

// get is none if there is no such line.
func (m flat) get(key string) Value[int64] {
	n, ok := m.numbers[key]
	return Value[int64]{n, ok, m.err}
}

// flag is nil if there is no such line.
func (m flat) flag(key string) *bool {
	n, ok := m.numbers[key]
	if !ok {
		return nil
	}
	flag := n != 0
	return &flag
}
