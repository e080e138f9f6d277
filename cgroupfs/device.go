package cgroupfs

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/proc"
	"nsx/internal/reason"
	"nsx/internal/words"
)

// Disk is a block device with its name, "vda", empty where none is known.
type Disk struct {
	keys.Device
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
func (fs *FS) disk(d keys.Device) Disk {
	link := proc.Root(fs.root).Readlink("sys/dev/block/" + d.String())
	if link == "" {
		return Disk{Device: d}
	}
	return Disk{d, filepath.Base(link)}
}

// ParseIOMax is keys.ParseIOMax that takes devices as ParseDevice does.
func ParseIOMax(text string) (keys.IOMax, error) {
	return keys.ParseIOMaxOf(text, ParseDevice)
}

// ParseDevice reads a block device: "254:0", "/dev/vda" or "vda". Limits hold
// for whole disks only: a partition's name stands for its disk; a number is
// taken as it is, for the kernel to judge.
func ParseDevice(word string) (keys.Device, error) { return parseDevice("/", word) }

func parseDevice(root, word string) (keys.Device, error) {
	refuse := func(why string, errno unix.Errno) (keys.Device, error) {
		of := cmp.Or(map[unix.Errno]error{unix.EINVAL: ErrUsage, unix.ENOTBLK: ErrUsage}[errno], reasonOf(errno))
		return keys.Device{}, fmt.Errorf("device %s: %s: %w", words.Quote(word), why, reason.Errno{Errno: errno, Reason: of})
	}
	if d, ok := keys.ParseDeviceNumber(word); ok {
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
			errno, _ := errors.AsType[unix.Errno](err)
			return refuse("no such file", errno)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFBLK {
			return refuse("it is no block device", unix.ENOTBLK)
		}
		name = keys.Device{Major: unix.Major(st.Rdev), Minor: unix.Minor(st.Rdev)}.String()
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
	d, ok := keys.ParseDeviceNumber(strings.TrimSpace(string(text)))
	if !ok {
		return refuse("its number cannot be read", unix.ENODEV)
	}
	return d, nil
}
