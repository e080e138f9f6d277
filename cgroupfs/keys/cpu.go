package keys

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The kernel's ranges: v1 clamps shares (MIN_SHARES, MAX_SHARES in
// kernel/sched/core.c), v2 refuses other weights (CGROUP_WEIGHT_MIN, _MAX).
const (
	minShares = 2
	maxShares = 262144
	minWeight = 1
	maxWeight = 10000
)

func cpuWeight(t *translator, in values) error {
	shares, hasShares, err1 := in.one("cpu.shares")
	weight, hasWeight, err2 := in.one("cpu.weight")
	if err := errors.Join(err1, err2, onlyOne("cpu.shares", hasShares, "cpu.weight", hasWeight)); err != nil {
		return err
	}
	if hasShares {
		n, err := parseNumber("shares", shares, 0, math.MaxInt64)
		if err != nil {
			return err
		}
		if t.to == 1 {
			t.emit("cpu.shares", strconv.FormatInt(n, 10))
			return nil
		}
		w := t.weightOf(n)
		t.emit("cpu.weight", strconv.FormatInt(w, 10))
		return nil
	}
	n, err := parseNumber("weight", weight, minWeight, maxWeight)
	if err != nil {
		return err
	}
	if t.to == 2 {
		t.emit("cpu.weight", weight)
		return nil
	}
	t.emit("cpu.shares", strconv.FormatInt(t.sharesOf(n), 10))
	return nil
}

// weightOf turns shares into a weight by the chosen formula.
func (t *translator) weightOf(shares int64) int64 {
	s := min(max(shares, minShares), maxShares)
	if s != shares {
		t.note("cpu.shares %d is clamped to %d, as v1's kernel does", shares, s)
	}
	switch t.formula {
	case FormulaOCI:
		t.note("cpu.weight by the runtimes' curve (oci): ceil(10^((l²+125l)/612-7/34)), l = log2 shares")
		return ociWeight(s)
	case FormulaOCIOld:
		t.note("cpu.weight by 1+(shares-2)*9999/262142 (oci-old)")
		return 1 + (s-2)*9999/262142
	}
	w := min(max(100*s/1024, minWeight), maxWeight)
	note := "cpu.weight by 100*shares/1024 (ratio)"
	if w*1024 != 100*s {
		note += fmt.Sprintf(": exactly it is %s", strconv.FormatFloat(float64(100*s)/1024, 'f', -1, 64))
	}
	t.note("%s", note)
	return w
}

// sharesOf turns a weight into shares. The curve and the old line are not the
// same for two shares' every pair, so the smallest shares of that weight count.
func (t *translator) sharesOf(weight int64) int64 {
	back := func(forth func(int64) int64) int64 {
		low, high := int64(minShares), int64(maxShares)
		for low < high {
			if mid := (low + high) / 2; forth(mid) >= weight {
				high = mid
			} else {
				low = mid + 1
			}
		}
		return low
	}
	switch t.formula {
	case FormulaOCI:
		t.note("cpu.shares are the least that the runtimes' curve (oci) makes this weight of")
		return back(ociWeight)
	case FormulaOCIOld:
		t.note("cpu.shares by 2+(weight-1)*262142/9999 (oci-old)")
		return 2 + (weight-1)*262142/9999
	}
	s := min(max(weight*1024/100, minShares), maxShares)
	note := "cpu.shares by weight*1024/100 (ratio)"
	if s*100 != weight*1024 {
		note += ": exactly it is " + strconv.FormatFloat(float64(weight*1024)/100, 'f', -1, 64)
	}
	t.note("%s", note)
	return s
}

// ociWeight is the curve that the runtimes agreed on in 2025: through 2→1,
// 1024→100 and 262144→10000.
func ociWeight(shares int64) int64 {
	switch {
	case shares <= minShares:
		return minWeight
	case shares >= maxShares:
		return maxWeight
	}
	l := math.Log2(float64(shares))
	return int64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}

// cpuMax is quota, period and burst, which the kernel checks against each
// other: burst <= quota, and on v1 quota/period <= the parent's.
func cpuMax(t *translator, in values) error {
	quota, hasQuota, err1 := in.one("cpu.cfs_quota_us")
	period, hasPeriod, err2 := in.one("cpu.cfs_period_us")
	both, hasBoth, err3 := in.one("cpu.max")
	burst1, hasBurst1, err4 := in.one("cpu.cfs_burst_us")
	burst2, hasBurst2, err5 := in.one("cpu.max.burst")
	if err := errors.Join(
		err1, err2, err3, err4, err5, onlyOne("cpu.max", hasBoth, "cpu.cfs_quota_us", hasQuota || hasPeriod),
		onlyOne("cpu.max.burst", hasBurst2, "cpu.cfs_burst_us", hasBurst1),
	); err != nil {
		return err
	}
	burst, hasBurst := burst1+burst2, hasBurst1 || hasBurst2
	if hasBurst {
		if _, err := parseNumber("burst in microseconds", burst, 0, 1<<44); err != nil {
			return err
		}
	}
	var c CPUMax
	var err error
	if hasBoth {
		if c, err = ParseCPUMax(both); err != nil {
			return err
		}
		hasQuota, hasPeriod = true, c.PeriodUsec != 0
	} else {
		if hasQuota {
			if c.QuotaUsec, err = parseQuota(quota); err != nil {
				return err
			}
		}
		if hasPeriod {
			if c.PeriodUsec, err = parsePeriod(period); err != nil {
				return err
			}
		}
	}
	burstFirst := hasBurst && t.burstShrinks(burst)
	if burstFirst {
		t.emitBurst(burst)
	}
	if t.to == 2 {
		err = t.emitMax2(c, hasQuota, hasPeriod)
	} else {
		t.emitMax1(c, hasQuota, hasPeriod)
	}
	if err == nil && hasBurst && !burstFirst {
		t.emitBurst(burst)
	}
	return err
}

// Burst is the key of a quota's burst on a version.
func Burst(version int) string {
	if version == 1 {
		return "cpu.cfs_burst_us"
	}
	return "cpu.max.burst"
}

func (t *translator) emitBurst(burst string) { t.emit(Burst(t.to), burst) }

func (t *translator) burstShrinks(burst string) bool {
	now, ok := t.liveSize(Burst(t.to))
	n, _ := strconv.ParseInt(burst, 10, 64)
	return ok && n < now
}

// emitMax2 writes cpu.max, where the kernel keeps the period if only a quota
// is given, but cannot be given a period alone.
func (t *translator) emitMax2(c CPUMax, hasQuota, hasPeriod bool) error {
	if !hasQuota && !hasPeriod {
		return nil
	}
	text, ok := t.live("cpu.max")
	now, err := ParseCPUMax(text)
	ok = ok && err == nil
	switch {
	case !hasQuota && !ok:
		return fmt.Errorf("cpu.max holds quota and period together: give cpu.cfs_quota_us too: %w", invalid)
	case !hasQuota:
		c.QuotaUsec = now.QuotaUsec
	case !hasPeriod && ok:
		c.PeriodUsec = now.PeriodUsec
	case !hasPeriod:
		t.emit("cpu.max", SpellSize(2, c.QuotaUsec))
		return nil
	}
	t.emit("cpu.max", c.String())
	return nil
}

// emitMax1 orders v1's two writes so that, in between, the quota's share of
// the period is smaller than before and after, never larger.
func (t *translator) emitMax1(c CPUMax, hasQuota, hasPeriod bool) {
	quota := Setting{"cpu.cfs_quota_us", SpellSize(1, c.QuotaUsec)}
	period := Setting{"cpu.cfs_period_us", strconv.FormatInt(c.PeriodUsec, 10)}
	text, _ := t.live("cpu.cfs_period_us")
	now, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	list := []Setting{period, quota}
	if err == nil && c.PeriodUsec < now {
		list = []Setting{quota, period}
	}
	for _, s := range list {
		if s == quota && hasQuota || s == period && hasPeriod {
			t.emit(s.Key, s.Value)
		}
	}
}
