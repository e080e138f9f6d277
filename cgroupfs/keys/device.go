package keys

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Device is the number of a block device.
type Device struct {
	Major uint32 `json:"major"`
	Minor uint32 `json:"minor"`
}

// String is "254:0", as in io.max.
func (d Device) String() string { return fmt.Sprintf("%d:%d", d.Major, d.Minor) }

// Compare orders devices by their numbers.
func (d Device) Compare(other Device) int {
	return cmp.Or(cmp.Compare(d.Major, other.Major), cmp.Compare(d.Minor, other.Minor))
}

// ParseDeviceNumber reads "MAJOR:MINOR".
func ParseDeviceNumber(word string) (Device, bool) {
	major, minor, ok := strings.Cut(word, ":")
	// 12 and 20 bits: include/linux/kdev_t.h.
	a, err1 := strconv.ParseUint(major, 10, 12)
	b, err2 := strconv.ParseUint(minor, 10, 20)
	return Device{uint32(a), uint32(b)}, ok && err1 == nil && err2 == nil
}
