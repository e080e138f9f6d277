package keys

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"nsx/internal/words"
)

// CPUMax is how much processor time a group gets: Quota in each Period, both
// in microseconds. The kernel takes from 1000 up, and periods up to 1000000.
type CPUMax struct {
	QuotaUsec  int64 `json:"quota_usec"` // or Unlimited
	PeriodUsec int64 `json:"period_usec"`
}

// The kernel's bounds (kernel/sched/core.c, min_cfs_quota_period).
const (
	StandardPeriod = 100000
	minQuota       = 1000
	minPeriod      = 1000
	maxPeriod      = 1000000
)

// ParseCPUs reads a number of CPUs such as "1.5", for a period of 100 ms, or
// "max". "500m" is thousandths as in Kubernetes, "50%" a share of one CPU as in
// systemd. The smallest is 0.01, the steps are 0.00001.
func ParseCPUs(word string) (CPUMax, error) {
	refuse := func(why string) (CPUMax, error) {
		return CPUMax{}, fmt.Errorf("CPUs %s: %s: %w", words.Quote(word), why, invalid)
	}
	if word == "max" || word == "-1" {
		return CPUMax{Unlimited, StandardPeriod}, nil
	}
	digits, unit := word, int64(StandardPeriod)
	if thousandths, ok := strings.CutSuffix(word, "m"); ok {
		digits, unit = thousandths, StandardPeriod/1000
	} else if percent, ok := strings.CutSuffix(word, "%"); ok {
		digits, unit = percent, StandardPeriod/100
	}
	whole, fraction, point := strings.Cut(digits, ".")
	if point && fraction == "" || !isDigits(whole+fraction) || len(digits) > 40 {
		return refuse("want a number such as 1.5, 500m, 50% or max")
	}
	n, _ := new(big.Rat).SetString(digits)
	n.Mul(n, big.NewRat(unit, 1))
	if !n.IsInt() {
		return refuse("the kernel counts in microseconds of 100 ms: at most 5 decimal places")
	}
	if !n.Num().IsInt64() || n.Num().Int64() > 1<<43 {
		return refuse("no machine has that many")
	}
	if n.Num().Int64() < minQuota {
		return refuse("the kernel's smallest quota is 1 ms in 100 ms, 0.01 CPUs")
	}
	return CPUMax{n.Num().Int64(), StandardPeriod}, nil
}

// CPUs is the quota as a number of CPUs; 0 if there is no limit.
func (c CPUMax) CPUs() float64 {
	if c.QuotaUsec == Unlimited || c.PeriodUsec == 0 {
		return 0
	}
	return float64(c.QuotaUsec) / float64(c.PeriodUsec)
}

func (c CPUMax) String() string {
	return SpellSize(2, c.QuotaUsec) + " " + strconv.FormatInt(c.PeriodUsec, 10)
}

// ParseCPUMax reads the text of cpu.max: "QUOTA PERIOD", "QUOTA" or "max".
// A missing period is 0.
func ParseCPUMax(text string) (CPUMax, error) {
	parts := strings.Fields(text)
	if len(parts) == 0 || len(parts) > 2 {
		return CPUMax{}, fmt.Errorf("cpu.max %s: want QUOTA [PERIOD] in microseconds, QUOTA may be max: %w", words.Quote(text), invalid)
	}
	quota, err := parseQuota(parts[0])
	if err != nil {
		return CPUMax{}, err
	}
	c := CPUMax{QuotaUsec: quota}
	if len(parts) == 2 {
		if c.PeriodUsec, err = parsePeriod(parts[1]); err != nil {
			return CPUMax{}, err
		}
	}
	return c, nil
}

func parseQuota(word string) (int64, error) {
	if word == "max" || word == "-1" {
		return Unlimited, nil
	}
	n, err := parseNumber("quota", word, 0, 1<<44)
	if err == nil && n < minQuota {
		err = fmt.Errorf("quota %s: the kernel's smallest is %d microseconds; max is no limit: %w", words.Quote(word), minQuota, invalid)
	}
	return n, err
}

func parsePeriod(word string) (int64, error) {
	return parseNumber("period in microseconds", word, minPeriod, maxPeriod)
}

// parseNumber reads a plain decimal number within bounds.
func parseNumber(what, word string, least, most int64) (int64, error) {
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil || !isDigits(word) || n < least || n > most {
		return 0, fmt.Errorf("%s %s: want a number from %d to %d: %w", what, words.Quote(word), least, most, invalid)
	}
	return n, nil
}

// mostCPUs bounds the numbers in a list, far above any kernel's NR_CPUS.
const mostCPUs = 1 << 16

// ParseCPUList reads a list of CPUs or memory nodes in the kernel's format:
// "0-3,5" or "0 1", with "0-31:2/8" for two of each eight (bitmap_parselist in
// lib/bitmap-str.c). It comes back sorted, without doubles; an empty word is an
// empty list. "all" and "N", the last one, are for the machine to say: see
// Group.Plan.
func ParseCPUList(word string) ([]int, error) { return ParseCPUListUpTo(word, -1) }

// ParseCPUListUpTo is ParseCPUList on a machine whose last CPU has the number n; -1:
// not known.
func ParseCPUListUpTo(word string, n int) ([]int, error) {
	bad := fmt.Errorf("list %s: want numbers and ranges such as 0-3,5: %w", words.Quote(word), invalid)
	list := []int{}
	separates := func(r rune) bool { return r == ',' || unicode.IsSpace(r) }
	for item := range strings.FieldsFuncSeq(word, separates) {
		span, stride, strided := strings.Cut(item, ":")
		if len(span) == 3 && strings.EqualFold(span, "all") {
			span = "0-N"
		}
		first, last, ranged := strings.Cut(span, "-")
		if !ranged {
			last = first
		}
		if n >= 0 && first == "N" {
			first = strconv.Itoa(n)
		}
		if n >= 0 && last == "N" {
			last = strconv.Itoa(n)
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		used, group := 1, 1
		var err3, err4 error
		if strided {
			u, g, ok := strings.Cut(stride, "/")
			used, err3 = strconv.Atoi(u)
			group, err4 = strconv.Atoi(g)
			if !ok || !ranged || !isDigits(u+g) {
				return nil, bad
			}
		}
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil || !isDigits(first+last) ||
			from > to || to >= mostCPUs || used < 1 || group < used {
			return nil, bad
		}
		for n := from; n <= to; n++ {
			if (n-from)%group < used {
				list = append(list, n)
			}
		}
		if len(list) > 4*mostCPUs {
			return nil, bad
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// FormatCPUList writes a sorted list as the kernel shows it: "0-3,5".
func FormatCPUList(list []int) string {
	var b strings.Builder
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(list[i]))
		if j > i {
			b.WriteString("-" + strconv.Itoa(list[j]))
		}
		i = j + 1
	}
	return b.String()
}
