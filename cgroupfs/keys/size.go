package keys

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"nsx/internal/words"
)

// Unlimited is the value of a limit that is none: "max" on v2, -1 on v1.
const Unlimited = math.MaxInt64

// sizeUnits are powers of 1024.
var sizeUnits = map[string]uint{"": 0, "B": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}

// ParseSize reads a number of bytes: "512M", "1.5GiB", "512Mi", ".5G", "max". K M
// G T P E are powers of 1024. A size that is no whole number of bytes is refused,
// and KB, which some take for 1000 bytes. "max" and "-1" are Unlimited, and so are
// the numbers up to 2^64-1 that the kernel takes for it.
func ParseSize(word string) (int64, error) {
	refuse := func(why string) (int64, error) {
		return 0, fmt.Errorf("size %s: %s: %w", words.Quote(word), why, invalid)
	}
	if word == "max" || word == "-1" {
		return Unlimited, nil
	}
	digits := strings.TrimRight(word, "BbEeGgKkMmPpTtIi")
	unit := strings.ToUpper(word[len(digits):])
	if len(unit) == 2 && strings.HasSuffix(unit, "B") {
		return refuse(fmt.Sprintf("%s may mean 1000 or 1024; write %s or %siB for powers of 1024", unit, unit[:1], unit[:1]))
	}
	if short, ok := strings.CutSuffix(strings.TrimSuffix(unit, "B"), "I"); ok && short != "" && short != "B" {
		unit = short // KiB, Ki
	}
	shift, known := sizeUnits[unit]
	whole, fraction, point := strings.Cut(digits, ".")
	if !known || point && fraction == "" || !isDigits(whole+fraction) || len(digits) > 40 {
		if strings.HasSuffix(word, "%") {
			return refuse("a share of what? Write the number of bytes, such as 512M")
		}
		return refuse("want a number of bytes such as 512M, 1.5G or max")
	}
	n, _ := new(big.Rat).SetString(digits)
	n.Mul(n, new(big.Rat).SetInt(new(big.Int).Lsh(big.NewInt(1), shift)))
	if !n.IsInt() {
		return refuse("it is no whole number of bytes")
	}
	if !n.Num().IsUint64() {
		return refuse("it is more than the kernel can count; write max for no limit")
	}
	return noLimit(int64(min(n.Num().Uint64(), math.MaxInt64))), nil
}

// noLimit is Unlimited for the numbers by which v1 means it: LONG_MAX rounded
// down to a page (PAGE_COUNTER_MAX in include/linux/page_counter.h), of 4 KiB
// to 64 KiB.
func noLimit(n int64) int64 {
	if n >= math.MaxInt64-(64<<10)+1 {
		return Unlimited
	}
	return n
}

// ReadSize reads what the kernel shows for a size.
func ReadSize(text string) (int64, bool) {
	text = strings.TrimSpace(text)
	if text == "max" || text == "-1" {
		return Unlimited, true
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, false
	}
	return noLimit(int64(min(n, math.MaxInt64))), true
}

// SpellSize spells a size for a version.
func SpellSize(version int, n int64) string {
	switch {
	case n != Unlimited:
		return strconv.FormatInt(n, 10)
	case version == 1:
		return "-1"
	}
	return "max"
}

// FormatSize is a size for reading: "512M", "1.5G", "max"; exact, so that
// ParseSize gives the same number.
func FormatSize(n int64) string {
	if n == Unlimited {
		return "max"
	}
	units := "BKMGTPE"
	for i := len(units) - 1; i > 0; i-- {
		// Shown with one decimal place, if that is exact.
		unit := int64(1) << (10 * i)
		if n < unit {
			continue
		}
		if n%unit == 0 {
			return fmt.Sprintf("%d%c", n/unit, units[i])
		}
		if rest := n % unit; rest*10/10 == rest && rest <= math.MaxInt64/10 && rest*10%unit == 0 {
			return fmt.Sprintf("%d.%d%c", n/unit, rest*10/unit, units[i])
		}
	}
	return strconv.FormatInt(n, 10)
}

func isDigits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}
