package keys

import (
	"fmt"
	"strconv"
	"strings"

	"nsx/internal/words"
)

// ParseHugetlb reads "2M=64M": a page size, and how much memory of such pages.
// The page size comes back by the kernel's name, "2MB".
func ParseHugetlb(word string) (page string, limit int64, err error) {
	left, right, ok := strings.Cut(word, "=")
	if !ok {
		return "", 0, fmt.Errorf("hugetlb limit %s: want PAGESIZE=LIMIT such as 2M=64M: %w", words.Quote(word), invalid)
	}
	size, err := ParseSize(strings.TrimSuffix(left, "B"))
	if err == nil && (size == Unlimited || size < 1024 || size&(size-1) != 0) {
		err = fmt.Errorf("huge page size %s: want a power of two such as 2M: %w", words.Quote(left), invalid)
	}
	if err != nil {
		return "", 0, err
	}
	limit, err = ParseSize(right)
	return hugetlbName(size), limit, err
}

// hugetlbName is mem_fmt of mm/hugetlb_cgroup.c.
func hugetlbName(size int64) string {
	switch {
	case size >= 1<<30:
		return strconv.FormatInt(size>>30, 10) + "GB"
	case size >= 1<<20:
		return strconv.FormatInt(size>>20, 10) + "MB"
	}
	return strconv.FormatInt(size>>10, 10) + "KB"
}
