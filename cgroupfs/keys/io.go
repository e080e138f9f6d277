package keys

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"nsx/internal/words"
)

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
		m, err := ParseIOMaxOf(text, t.disk)
		if err != nil {
			return err
		}
		old := at(m.Device)
		for _, f := range IOMaxFields {
			if n := *f.Of(&m); n != nil {
				if *f.Of(old) != nil {
					return fmt.Errorf("%s of device %s is given twice: %w", f.Word, m.Device, invalid)
				}
				*f.Of(old) = n
			}
		}
	}
	for _, f := range IOMaxFields {
		for _, text := range in[f.File] {
			d, n, err := t.parseThrottleLine(f.File, text)
			if err != nil {
				return err
			}
			old := f.Of(at(d))
			if *old != nil {
				return fmt.Errorf("%s of device %s is given twice: %w", f.Word, d, invalid)
			}
			*old = &n
		}
	}
	for _, m := range list {
		if t.to == 2 {
			t.emit("io.max", m.String())
			continue
		}
		for _, f := range IOMaxFields {
			if n := *f.Of(&m); n != nil {
				value := int64(0) // takes it off
				if *n != Unlimited {
					value = *n
				}
				t.emit(f.File, fmt.Sprintf("%s %d", m.Device, value))
			}
		}
	}
	return nil
}

// parseThrottleLine reads v1's "DEVICE N", where 0 is no limit. The kernel
// would take "254:0 1M" for one byte a second.
func (t *translator) parseThrottleLine(key, text string) (Device, int64, error) {
	parts := strings.Fields(text)
	if len(parts) != 2 {
		return Device{}, 0, fmt.Errorf("%s %s: want a device and a number: %w", key, words.Quote(text), invalid)
	}
	d, err := t.disk(parts[0])
	if err != nil {
		return Device{}, 0, err
	}
	n, err := ParseSize(parts[1])
	if n == 0 && err == nil {
		n = Unlimited
	}
	return d, n, err
}
