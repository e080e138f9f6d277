package cgroupfs

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ioWeight is blkio's 10…1000 and v2's 1…10000, for the group or a device; BFQ
// has 1…1000 on both.
func ioWeight(t *translator, in values) error {
	type given struct {
		key, device string
		n           int64
	}
	var list []given
	for _, key := range []string{"blkio.weight", "blkio.bfq.weight", "blkio.weight_device", "blkio.bfq.weight_device", "io.weight", "io.bfq.weight"} {
		for _, value := range in[key] {
			device, n, err := t.parseWeight(key, value)
			if err != nil {
				return err
			}
			for _, other := range list {
				if other.device == device {
					return fmt.Errorf("%s and %s both give the weight of %s: %w", other.key, key, quote(device), unix.EINVAL)
				}
			}
			list = append(list, given{key, device, n})
		}
	}
	for _, g := range list {
		if t.to == 2 {
			t.weight2(g.key, g.device, g.n)
		} else {
			t.weight1(g.key, g.device, g.n)
		}
	}
	return nil
}

// parseWeight reads "N", "default N" or "DEVICE N".
func (t *translator) parseWeight(key, value string) (device string, n int64, err error) {
	least, most := int64(1), int64(1000)
	switch {
	case key == "io.weight":
		most = maxWeight
	case !strings.Contains(key, "bfq"):
		least = 10
	}
	words := strings.Fields(value)
	perDevice := strings.HasSuffix(key, "_device") || KeyVersion(key) == 2
	switch {
	case len(words) == 1 && !strings.HasSuffix(key, "_device"):
	case len(words) == 2 && perDevice:
		if words[0] != "default" {
			d, err := parseDevice(t.root, words[0])
			if err != nil {
				return "", 0, err
			}
			device = d.String()
		}
	default:
		return "", 0, fmt.Errorf("%s %s: want a weight, or a device and its weight: %w", key, quote(value), unix.EINVAL)
	}
	if n, err = parseNumber("weight", words[len(words)-1], least, most); err != nil {
		return "", 0, err
	}
	return device, n, nil
}

// isBFQ says whether the group has BFQ's file and not the common one.
func (t *translator) isBFQ(common, bfq string) bool {
	_, hasCommon := t.live(common)
	_, hasBFQ := t.live(bfq)
	return hasBFQ && !hasCommon
}

func (t *translator) weight2(key, device string, n int64) {
	out := "io.weight"
	switch {
	case key == "io.bfq.weight" || strings.HasPrefix(key, "blkio.bfq."):
		out = "io.bfq.weight"
	case key != "io.weight" && t.isBFQ("io.weight", "io.bfq.weight"):
		out = "io.bfq.weight" // same scale as blkio.weight
	case key != "io.weight":
		exact := float64(n-10)*9999/990 + 1
		n = 1 + (n-10)*9999/990
		t.note("io.weight by 1+(weight-10)*9999/990%s", exactly(exact))
	case t.isBFQ("io.weight", "io.bfq.weight"):
		out = "io.bfq.weight"
		n = t.blkioScale("io.bfq.weight", n)
	}
	value := strconv.FormatInt(n, 10)
	if device != "" {
		value = device + " " + value
	}
	t.emit(out, value)
}

func (t *translator) weight1(key, device string, n int64) {
	bfq := strings.Contains(key, "bfq") || t.isBFQ("blkio.weight", "blkio.bfq.weight")
	out := "blkio.weight"
	if bfq {
		out = "blkio.bfq.weight"
	}
	if key == "io.weight" {
		n = t.blkioScale(out, n)
	}
	value := strconv.FormatInt(n, 10)
	if device != "" {
		out, value = out+"_device", device+" "+value
	}
	t.emit(out, value)
}

// blkioScale turns v2's weight into blkio's.
func (t *translator) blkioScale(key string, n int64) int64 {
	t.note("%s by 10+(weight-1)*990/9999%s", key, exactly(float64(n-1)*990/9999+10))
	return 10 + (n-1)*990/9999
}

func exactly(n float64) string {
	if n == math.Trunc(n) {
		return ""
	}
	return ": exactly it is " + strconv.FormatFloat(n, 'f', 2, 64)
}

// ioMax is the four throttles of each device.
func ioMax(t *translator, in values) error {
	var list []IOMax
	at := func(d Device) *IOMax {
		for i := range list {
			if list[i].Device == d {
				return &list[i]
			}
		}
		list = append(list, IOMax{Device: d})
		return &list[len(list)-1]
	}
	for _, text := range in["io.max"] {
		m, err := parseIOMax(t.root, text)
		if err != nil {
			return err
		}
		old := at(m.Device)
		for _, f := range ioMaxFields {
			if n := *f.of(&m); n != nil {
				if *f.of(old) != nil {
					return fmt.Errorf("%s of device %s is given twice: %w", f.word, m.Device, unix.EINVAL)
				}
				*f.of(old) = n
			}
		}
	}
	for _, f := range ioMaxFields {
		for _, text := range in[f.file] {
			d, n, err := t.parseThrottleLine(f.file, text)
			if err != nil {
				return err
			}
			old := f.of(at(d))
			if *old != nil {
				return fmt.Errorf("%s of device %s is given twice: %w", f.word, d, unix.EINVAL)
			}
			*old = &n
		}
	}
	for _, m := range list {
		if t.to == 2 {
			t.emit("io.max", m.String())
			continue
		}
		for _, f := range ioMaxFields {
			if n := *f.of(&m); n != nil {
				value := int64(0) // takes it off
				if *n != Unlimited {
					value = *n
				}
				t.emit(f.file, fmt.Sprintf("%s %d", m.Device, value))
			}
		}
	}
	return nil
}

// parseThrottleLine reads v1's "DEVICE N", where 0 is no limit. The kernel
// would take "254:0 1M" for one byte a second.
func (t *translator) parseThrottleLine(key, text string) (Device, int64, error) {
	words := strings.Fields(text)
	if len(words) != 2 {
		return Device{}, 0, fmt.Errorf("%s %s: want a device and a number: %w", key, quote(text), unix.EINVAL)
	}
	d, err := parseDevice(t.root, words[0])
	if err != nil {
		return Device{}, 0, err
	}
	n, err := ParseSize(words[1])
	if n == 0 && err == nil {
		n = Unlimited
	}
	return d, n, err
}
