package cgroupfs

import (
	"fmt"
	"strconv"
	"strings"

	"nsx/internal/words"
)

// PressureStat is pressure stall information (the kernel's
// Documentation/accounting/psi.rst): how long processes had to wait.
type PressureStat struct {
	CPU    *Pressure `json:"cpu"`
	Memory *Pressure `json:"memory"`
	IO     *Pressure `json:"io"`
	IRQ    *Pressure `json:"irq"`
}

// Pressure is that of one resource: Some is when at least one process waited,
// Full when all that were not idle did. Interrupts have only the second.
type Pressure struct {
	Some *PressureLine `json:"some"`
	Full *PressureLine `json:"full"`
}

// PressureLine is the share of time, over the last 10, 60 and 300 seconds, and
// the time in all.
type PressureLine struct {
	Avg10Percent  float64 `json:"avg10_percent"`
	Avg60Percent  float64 `json:"avg60_percent"`
	Avg300Percent float64 `json:"avg300_percent"`
	TotalUsec     int64   `json:"total_usec"`
}

// ParsePressure reads the text of cpu.pressure and its like:
//
//	some avg10=0.00 avg60=0.00 avg300=0.00 total=0
//	full avg10=0.00 avg60=0.00 avg300=0.00 total=0
func ParsePressure(text string) (Pressure, error) {
	var p Pressure
	for line := range strings.Lines(text) {
		parts := strings.Fields(line)
		if len(parts) != 5 {
			return p, fmt.Errorf("%s is no line of a pressure file", words.Quote(line))
		}
		var l PressureLine
		for _, word := range parts[1:] {
			key, value, _ := strings.Cut(word, "=")
			var err error
			switch key {
			case "avg10":
				l.Avg10Percent, err = strconv.ParseFloat(value, 64)
			case "avg60":
				l.Avg60Percent, err = strconv.ParseFloat(value, 64)
			case "avg300":
				l.Avg300Percent, err = strconv.ParseFloat(value, 64)
			case "total":
				l.TotalUsec, err = strconv.ParseInt(value, 10, 64)
			default:
				err = strconv.ErrSyntax
			}
			if err != nil {
				return p, fmt.Errorf("%s is no line of a pressure file", words.Quote(line))
			}
		}
		switch parts[0] {
		case "some":
			p.Some = &l
		case "full":
			p.Full = &l
		}
	}
	if p.Some == nil && p.Full == nil {
		return p, fmt.Errorf("%s is no pressure file", words.Quote(text))
	}
	return p, nil
}

// readPressures is nil where there is none: the kernel lacks it, or it is off.
func readPressures(f files) *PressureStat {
	var s PressureStat
	for _, of := range []struct {
		file string
		to   **Pressure
	}{{"cpu.pressure", &s.CPU}, {"memory.pressure", &s.Memory}, {"io.pressure", &s.IO}, {"irq.pressure", &s.IRQ}} {
		text, there, err := f.text(of.file)
		if !there || err != nil {
			continue
		}
		read, err := ParsePressure(text)
		if err != nil {
			_ = f.bad(of.file, text)
			continue
		}
		*of.to = &read
	}
	if s == (PressureStat{}) {
		return nil
	}
	return &s
}
