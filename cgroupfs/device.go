package cgroupfs

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/proc"
)

// Device is the number of a block device.
type Device struct {
	Major uint32 `json:"major"`
	Minor uint32 `json:"minor"`
}

// String is "254:0", as in io.max.
func (d Device) String() string { return fmt.Sprintf("%d:%d", d.Major, d.Minor) }

func (d Device) compare(other Device) int {
	return cmp.Or(cmp.Compare(d.Major, other.Major), cmp.Compare(d.Minor, other.Minor))
}

// Disk is a block device with its name, "vda", empty where none is known.
type Disk struct {
	Device
	Name string `json:"name"`
}

// String is the name, or the number if there is none.
func (d Disk) String() string {
	if d.Name == "" {
		return d.Device.String()
	}
	return d.Name
}

// disk finds the name of a device in /sys/dev/block.
func (fs *FS) disk(d Device) Disk {
	link := proc.Root(fs.root).Readlink("sys/dev/block/" + d.String())
	if link == "" {
		return Disk{Device: d}
	}
	return Disk{d, filepath.Base(link)}
}

// parseDeviceNumber reads "MAJOR:MINOR".
func parseDeviceNumber(word string) (Device, bool) {
	major, minor, ok := strings.Cut(word, ":")
	// 12 and 20 bits: include/linux/kdev_t.h.
	a, err1 := strconv.ParseUint(major, 10, 12)
	b, err2 := strconv.ParseUint(minor, 10, 20)
	return Device{uint32(a), uint32(b)}, ok && err1 == nil && err2 == nil && isDigits(major+minor)
}

// ParseDevice reads a block device: "254:0", "/dev/vda" or "vda". Limits hold
// for whole disks only: a partition's name stands for its disk; a number is
// taken as it is, for the kernel to judge.
func ParseDevice(word string) (Device, error) { return parseDevice("/", word) }

func parseDevice(root, word string) (Device, error) {
	refuse := func(why string, errno error) (Device, error) {
		return Device{}, fmt.Errorf("device %s: %s: %w", quote(word), why, errno)
	}
	if d, ok := parseDeviceNumber(word); ok {
		return d, nil
	}
	name, below := word, proc.Root(root)
	if strings.HasPrefix(word, "/") {
		var st unix.Stat_t
		at, err := below.Open(word, unix.O_PATH)
		if err == nil {
			err = unix.Fstat(at, &st)
			unix.Close(at)
		}
		if err != nil {
			return refuse("no such file", bare(err))
		}
		if st.Mode&unix.S_IFMT != unix.S_IFBLK {
			return refuse("it is no block device", unix.ENOTBLK)
		}
		name = Device{unix.Major(st.Rdev), unix.Minor(st.Rdev)}.String()
		name = "sys/dev/block/" + name
	} else {
		if name == "" || strings.ContainsAny(name, "/") || name == "." || name == ".." {
			return refuse("want MAJOR:MINOR, a name such as vda, or a file such as /dev/vda", unix.EINVAL)
		}
		name = "sys/class/block/" + name
	}
	// The name is a link to the device's directory, and ".." from there is the
	// disk of a partition.
	if at, err := below.Open(name+"/partition", unix.O_PATH); err == nil {
		unix.Close(at)
		name += "/.."
	}
	text, err := below.ReadFile(name+"/dev", proc.MaxFile)
	if err != nil {
		return refuse("no block device of that name", unix.ENODEV)
	}
	d, ok := parseDeviceNumber(strings.TrimSpace(string(text)))
	if !ok {
		return refuse("its number cannot be read", unix.ENODEV)
	}
	return d, nil
}
