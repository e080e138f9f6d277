package cgroupfs

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// IOMax is the throttles of one device, as in a line of io.max. A nil field
// leaves that one alone; Unlimited takes it off.
type IOMax struct {
	Device    Device `json:"device"`
	ReadBps   *int64 `json:"read_bytes_per_second"`
	WriteBps  *int64 `json:"write_bytes_per_second"`
	ReadIOPS  *int64 `json:"read_operations_per_second"`
	WriteIOPS *int64 `json:"write_operations_per_second"`
}

// ioMaxField ties v2's word to v1's file.
type ioMaxField struct {
	word, file string
	of         func(*IOMax) **int64
}

var ioMaxFields = []ioMaxField{
	{"rbps", "blkio.throttle.read_bps_device", func(m *IOMax) **int64 { return &m.ReadBps }},
	{"wbps", "blkio.throttle.write_bps_device", func(m *IOMax) **int64 { return &m.WriteBps }},
	{"riops", "blkio.throttle.read_iops_device", func(m *IOMax) **int64 { return &m.ReadIOPS }},
	{"wiops", "blkio.throttle.write_iops_device", func(m *IOMax) **int64 { return &m.WriteIOPS }},
}

// ParseIOMax reads "DEVICE rbps=10M wiops=100": any of rbps, wbps, riops and
// wiops, sizes as in ParseSize, devices as in ParseDevice. The kernel takes
// trailing words silently; here they are refused.
func ParseIOMax(text string) (IOMax, error) { return parseIOMax("/", text) }

func parseIOMax(root, text string) (IOMax, error) {
	words := strings.Fields(text)
	if len(words) < 2 {
		return IOMax{}, fmt.Errorf("io.max %s: want a device and rbps=, wbps=, riops= or wiops=: %w", quote(text), unix.EINVAL)
	}
	device, err := parseDevice(root, words[0])
	if err != nil {
		return IOMax{}, err
	}
	m := IOMax{Device: device}
	for _, word := range words[1:] {
		if err := m.set(word); err != nil {
			return IOMax{}, err
		}
	}
	return m, nil
}

func (m *IOMax) set(word string) error {
	key, value, _ := strings.Cut(word, "=")
	for _, f := range ioMaxFields {
		if f.word != key {
			continue
		}
		at := f.of(m)
		if *at != nil {
			return fmt.Errorf("io.max: %s is given twice: %w", key, unix.EINVAL)
		}
		n, err := parseThrottle(value)
		if err != nil {
			return fmt.Errorf("io.max: %s: %w", key, err)
		}
		*at = &n
		return nil
	}
	return fmt.Errorf("io.max: %s: want rbps=, wbps=, riops= or wiops=: %w", quote(word), unix.EINVAL)
}

// parseThrottle refuses 0, which would take a throttle off on v1 and is ERANGE
// on v2.
func parseThrottle(word string) (int64, error) {
	n, err := ParseSize(word)
	if err == nil && n == 0 {
		err = fmt.Errorf("0 would be no limit on v1 and is refused by v2; write max for no limit: %w", unix.ERANGE)
	}
	return n, err
}

// String is a line for io.max.
func (m IOMax) String() string {
	words := []string{m.Device.String()}
	for _, f := range ioMaxFields {
		if n := *f.of(&m); n != nil {
			words = append(words, f.word+"="+sizeFor(2, *n))
		}
	}
	return strings.Join(words, " ")
}

// readIOMax finds a device's line in the text of io.max; without one, nothing
// is limited.
func readIOMax(text string, device Device) IOMax {
	for line := range strings.Lines(text) {
		if m, err := parseIOMax("/", line); err == nil && m.Device == device {
			return m
		}
	}
	m := IOMax{Device: device}
	for _, f := range ioMaxFields {
		n := int64(Unlimited)
		*f.of(&m) = &n
	}
	return m
}

// keyedByDevice finds a device's value in a v1 file of lines "MAJOR:MINOR
// VALUE", or "".
func keyedByDevice(text string, device string) string {
	for line := range strings.Lines(text) {
		if first, rest, _ := strings.Cut(strings.TrimSpace(line), " "); first == device {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
