package keys

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"nsx/internal/words"
)

// weightScale is how a file counts shares of disk time. What is normal, and what
// every group has at first, is another number in each.
type weightScale struct{ least, normal, most int64 }

// scaleOf is the scale of a key: v2's, BFQ's on both versions, or that of CFQ,
// v1's scheduler until Linux 5.0.
func scaleOf(key string) weightScale {
	switch {
	case key == "io.weight":
		return weightScale{1, 100, maxWeight}
	case strings.Contains(key, "bfq"):
		return weightScale{1, 100, 1000}
	}
	return weightScale{10, 500, 1000}
}

// exact brings a weight to another scale: the normal one stays normal, the least
// the least and the greatest the greatest, and between them it is a line. From
// v2's to BFQ's this is systemd's BFQ_WEIGHT (src/core/cgroup.c).
func (s weightScale) exact(n int64, to weightScale) float64 {
	if n <= s.normal {
		return float64(to.least) + float64((n-s.least)*(to.normal-to.least))/float64(s.normal-s.least)
	}
	return float64(to.normal) + float64((n-s.normal)*(to.most-to.normal))/float64(s.most-s.normal)
}

// ScaleWeight spells a weight of the key from as the key to has it, with notes on
// what that did to it.
func ScaleWeight(from, to string, n int64) (m int64, notes []string) {
	t := &translator{}
	m = t.scaleWeight(from, to, n)
	return m, t.out.Notes
}

// scaleWeight spells a weight as another key has it, and says what that did to it.
func (t *translator) scaleWeight(from, to string, n int64) int64 {
	a, b := scaleOf(from), scaleOf(to)
	exact := a.exact(n, b)
	m := int64(exact)
	if to == "io.weight" {
		m = int64(exact + 0.5) // so that there and back is the same
	}
	if t.formula == FormulaOCI || t.formula == FormulaOCIOld {
		// As the container runtimes have it, which makes 4950 of CFQ's normal 500.
		switch cfq := scaleOf("blkio.weight"); {
		case a == cfq && to == "io.weight":
			exact = float64(n-10)*9999/990 + 1
		case from == "io.weight" && b == cfq:
			exact = float64(n-1)*990/9999 + 10
		case a == cfq || b == cfq:
			exact = float64(n) // BFQ's
		}
		m = int64(exact)
	}
	if m != n {
		t.note("%s: %d where %d is normal, %s: %d where %d is%s", from, n, a.normal, to, m, b.normal, exactly(exact))
	}
	return m
}

// ioWeight is the share of disk time, for the group or a device.
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
				// v2 has both, for different schedulers.
				apart := t.to == 2 && other.key == "io.weight" && key == "io.bfq.weight"
				if other.device == device && !apart {
					return fmt.Errorf("%s and %s both give the weight of %s: %w", other.key, key, words.Quote(device), invalid)
				}
			}
			list = append(list, given{key, device, n})
		}
	}
	for _, g := range list {
		files := t.weightFiles(g.key, g.device)
		for _, file := range files {
			bfqToo := slices.ContainsFunc(list, func(o given) bool { return o.key == "io.bfq.weight" && o.device == g.device })
			if file == "io.bfq.weight" && g.key != file && bfqToo {
				continue
			}
			value := strconv.FormatInt(t.scaleWeight(g.key, file, g.n), 10)
			switch {
			case g.device == "":
			case t.to == 1:
				file, value = file+"_device", g.device+" "+value
			default:
				value = g.device + " " + value
			}
			t.emit(file, value)
		}
		t.noteIdle(g.key, files)
	}
	return nil
}

// weightFiles are those that a weight belongs in. Where a group has that of BFQ
// and the common one, the disks' schedulers decide which of them counts.
func (t *translator) weightFiles(key, device string) []string {
	common, bfq := "io.weight", "io.bfq.weight"
	if t.to == 1 {
		common, bfq = "blkio.weight", "blkio.bfq.weight"
	}
	_, hasCommon := t.live(common)
	_, hasBFQ := t.live(bfq)
	switch {
	case strings.Contains(key, "bfq"), hasBFQ && !hasCommon:
		return []string{bfq}
	case !hasBFQ:
		return []string{common}
	case device == "":
		return []string{common, bfq}
	}
	if t.m.Scheduler != nil && t.m.Scheduler(device) == "bfq" {
		return []string{bfq}
	}
	return []string{common}
}

// noteIdle says if no disk is of the kind that goes by these files.
func (t *translator) noteIdle(key string, files []string) {
	if t.m.Current == nil || t.m.Top == nil || t.m.Schedulers == nil {
		return
	}
	schedulers := t.m.Schedulers()
	if len(schedulers) == 0 {
		return // not known
	}
	why := map[string]string{
		"io.weight":        "no disk has its costs reckoned (enable=1 in io.cost.qos of the root)",
		"io.bfq.weight":    "no disk has the scheduler bfq",
		"blkio.bfq.weight": "no disk has the scheduler bfq",
		"blkio.weight":     "no disk has the scheduler cfq",
	}
	var missing []string
	for _, file := range files {
		switch {
		case file == "io.weight" && strings.Contains(t.m.Top("io.cost.qos"), "enable=1"),
			strings.Contains(file, "bfq") && slices.Contains(schedulers, "bfq"),
			file == "blkio.weight" && slices.Contains(schedulers, "cfq"):
			return
		}
		missing = append(missing, why[file])
	}
	note := fmt.Sprintf("%s has no effect as long as %s", key, strings.Join(missing, " and "))
	if !slices.Contains(t.out.Notes, note) {
		t.out.Notes = append(t.out.Notes, note)
	}
}

// parseWeight reads "N", "default N" or "DEVICE N".
func (t *translator) parseWeight(key, value string) (device string, n int64, err error) {
	parts := strings.Fields(value)
	perDevice := strings.HasSuffix(key, "_device") || Version(key) == 2
	switch {
	case len(parts) == 1 && !strings.HasSuffix(key, "_device"):
	case len(parts) == 2 && perDevice:
		if parts[0] != "default" {
			d, err := t.disk(parts[0])
			if err != nil {
				return "", 0, err
			}
			device = d.String()
		}
	default:
		return "", 0, fmt.Errorf("%s %s: want a weight, or a device and its weight: %w", key, words.Quote(value), invalid)
	}
	scale := scaleOf(key)
	if n, err = parseNumber("weight", parts[len(parts)-1], scale.least, scale.most); err != nil {
		return "", 0, err
	}
	return device, n, nil
}
