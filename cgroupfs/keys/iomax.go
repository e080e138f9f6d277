package keys

import (
	"fmt"
	"strings"

	"nsx/internal/words"
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

// IOMaxField ties v2's word to v1's file.
type IOMaxField struct {
	Word, File string
	Of         func(*IOMax) **int64
}

// IOMaxFields are the four throttles of a disk, in the order of io.max.
var IOMaxFields = []IOMaxField{
	{"rbps", "blkio.throttle.read_bps_device", func(m *IOMax) **int64 { return &m.ReadBps }},
	{"wbps", "blkio.throttle.write_bps_device", func(m *IOMax) **int64 { return &m.WriteBps }},
	{"riops", "blkio.throttle.read_iops_device", func(m *IOMax) **int64 { return &m.ReadIOPS }},
	{"wiops", "blkio.throttle.write_iops_device", func(m *IOMax) **int64 { return &m.WriteIOPS }},
}

// ParseIOMax reads "DEVICE rbps=10M wiops=100": any of rbps, wbps, riops and
// wiops, sizes as in ParseSize, a device as MAJOR:MINOR. The kernel takes
// trailing words silently; here they are refused.
func ParseIOMax(text string) (IOMax, error) {
	return ParseIOMaxOf(text, (&translator{}).disk)
}

// ParseIOMaxOf is ParseIOMax where disk finds the device.
func ParseIOMaxOf(text string, disk func(string) (Device, error)) (IOMax, error) {
	parts := strings.Fields(text)
	if len(parts) < 2 {
		return IOMax{}, fmt.Errorf("io.max %s: want a device and rbps=, wbps=, riops= or wiops=: %w", words.Quote(text), invalid)
	}
	device, err := disk(parts[0])
	if err != nil {
		return IOMax{}, err
	}
	m := IOMax{Device: device}
	for _, word := range parts[1:] {
		if err := m.set(word); err != nil {
			return IOMax{}, err
		}
	}
	return m, nil
}

func (m *IOMax) set(word string) error {
	key, value, _ := strings.Cut(word, "=")
	for _, f := range IOMaxFields {
		if f.Word != key {
			continue
		}
		at := f.Of(m)
		if *at != nil {
			return fmt.Errorf("io.max: %s is given twice: %w", key, invalid)
		}
		n, err := parseThrottle(value)
		if err != nil {
			return fmt.Errorf("io.max: %s: %w", key, err)
		}
		*at = &n
		return nil
	}
	return fmt.Errorf("io.max: %s: want rbps=, wbps=, riops= or wiops=: %w", words.Quote(word), invalid)
}

// parseThrottle refuses 0, which would take a throttle off on v1 and is ERANGE
// on v2.
func parseThrottle(word string) (int64, error) {
	n, err := ParseSize(word)
	if err == nil && n == 0 {
		err = fmt.Errorf("0 would be no limit on v1 and is refused by v2; write max for no limit: %w", outOfRange)
	}
	return n, err
}

// String is a line for io.max.
func (m IOMax) String() string {
	parts := []string{m.Device.String()}
	for _, f := range IOMaxFields {
		if n := *f.Of(&m); n != nil {
			parts = append(parts, f.Word+"="+SpellSize(2, *n))
		}
	}
	return strings.Join(parts, " ")
}

// ReadIOMax finds a device's line in the text of io.max; without one, nothing
// is limited.
func ReadIOMax(text string, device Device) IOMax {
	for line := range strings.Lines(text) {
		if m, err := ParseIOMax(line); err == nil && m.Device == device {
			return m
		}
	}
	m := IOMax{Device: device}
	for _, f := range IOMaxFields {
		n := int64(Unlimited)
		*f.Of(&m) = &n
	}
	return m
}

// ByDevice finds a device's value in a v1 file of lines "MAJOR:MINOR
// VALUE", or "".
func ByDevice(text string, device string) string {
	for line := range strings.Lines(text) {
		if first, rest, _ := strings.Cut(strings.TrimSpace(line), " "); first == device {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
