package keys

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// memoryMax is memory and swap. v1 bounds memory, and memory and swap
// together; v2 bounds each of the two.
func memoryMax(t *translator, in values) error {
	limit, err1 := in.size("memory.limit_in_bytes")
	memsw, err2 := in.size("memory.memsw.limit_in_bytes")
	most, err3 := in.size("memory.max")
	swap, err4 := in.size("memory.swap.max")
	if err := errors.Join(
		err1, err2, err3, err4, onlyOne("memory.limit_in_bytes", limit != nil, "memory.max", most != nil),
		onlyOne("memory.memsw.limit_in_bytes", memsw != nil, "memory.swap.max", swap != nil),
	); err != nil {
		return err
	}
	if t.to == 2 {
		return t.memory2(firstOf(limit, most), memsw, swap)
	}
	if most != nil && memsw == nil && swap == nil {
		memsw = t.keepSwap(*most)
	}
	return t.memory1(firstOf(limit, most), memsw, swap)
}

func firstOf(a, b *int64) *int64 {
	if a != nil {
		return a
	}
	return b
}

func (t *translator) memory2(limit, memsw, swap *int64) error {
	if limit != nil {
		t.emit("memory.max", SpellSize(2, *limit))
	}
	switch {
	case swap != nil:
		t.emit("memory.swap.max", SpellSize(2, *swap))
	case memsw != nil && *memsw == Unlimited:
		t.emit("memory.swap.max", "max")
	case memsw != nil:
		base, known := t.base(limit, "memory.max")
		switch {
		case !known:
			return fmt.Errorf("memory.memsw.limit_in_bytes counts memory and swap together, memory.swap.max swap alone: give memory.limit_in_bytes too: %w", invalid)
		case *memsw < base:
			return belowMemory(*memsw, base)
		}
		t.emit("memory.swap.max", SpellSize(2, *memsw-base))
	}
	return nil
}

// belowMemory is for a limit of both that is below the one of memory.
func belowMemory(memsw, limit int64) error {
	return fmt.Errorf("memory.memsw.limit_in_bytes counts memory and swap together, so it cannot be below the memory limit (%s < %s): %w",
		FormatSize(memsw), FormatSize(limit), invalid)
}

// base is the memory limit that a limit of memory and swap is reckoned from.
func (t *translator) base(given *int64, key string) (int64, bool) {
	if given != nil {
		return *given, true
	}
	return t.liveSize(key)
}

func (t *translator) memory1(limit, memsw, swap *int64) error {
	const limitKey, memswKey = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
	if swap != nil {
		sum, err := t.memswFor(limit, *swap)
		if err != nil {
			return err
		}
		memsw = &sum
	}
	if limit != nil && memsw != nil && *memsw < *limit {
		return belowMemory(*memsw, *limit)
	}
	// memsw >= limit holds at every moment: raise memsw first, lower it last.
	now, known := t.liveSize(memswKey)
	memswFirst := limit != nil && memsw != nil && known && *limit > now
	if memswFirst {
		t.emit(memswKey, SpellSize(1, *memsw))
	}
	if limit != nil {
		t.emit(limitKey, SpellSize(1, *limit))
	}
	if memsw != nil && !memswFirst {
		t.emit(memswKey, SpellSize(1, *memsw))
	}
	return nil
}

// memswFor is the limit of memory and swap that allows so much swap.
func (t *translator) memswFor(limit *int64, swap int64) (int64, error) {
	if swap == Unlimited {
		return Unlimited, nil
	}
	base, known := t.base(limit, "memory.limit_in_bytes")
	switch {
	case !known:
		return 0, fmt.Errorf("v1 counts memory and swap together: give memory.max too: %w", invalid)
	case base == Unlimited:
		return 0, fmt.Errorf("v1 counts memory and swap together and cannot limit swap alone while memory is unlimited: give memory.max too: %w", unsupported)
	case base > math.MaxInt64-swap:
		return 0, fmt.Errorf("memory and swap together are more than 8 EiB: %w", outOfRange)
	}
	return base + swap, nil
}

// keepSwap is the memsw that leaves the group the swap it may have now, when
// only memory.max is set, as v2 would. nil: nothing to do.
func (t *translator) keepSwap(most int64) *int64 {
	memsw, ok := t.liveSize("memory.memsw.limit_in_bytes")
	limit, ok2 := t.liveSize("memory.limit_in_bytes")
	if !ok || !ok2 || memsw == Unlimited || limit > memsw {
		return nil
	}
	sum := int64(Unlimited)
	if most <= math.MaxInt64-(memsw-limit) {
		sum = noLimit(most + memsw - limit)
	}
	t.note("memory.memsw.limit_in_bytes moves along, so that the group keeps its %s of swap", FormatSize(memsw-limit))
	return &sum
}

// hugetlbRule is the rule of one page size, whose name is in the key:
// hugetlb.2MB.limit_in_bytes and hugetlb.2MB.max, with rsvd. for reservations.
func hugetlbRule(key string) *rule {
	rest, ok := strings.CutPrefix(key, "hugetlb.")
	if !ok {
		return nil
	}
	size, last, ok := strings.Cut(rest, ".")
	kind := ""
	if after, reserved := strings.CutPrefix(last, "rsvd."); reserved {
		kind, last = "rsvd.", after
	}
	if !ok || size == "" || last != "max" && last != "limit_in_bytes" {
		return nil
	}
	v1 := "hugetlb." + size + "." + kind + "limit_in_bytes"
	v2 := "hugetlb." + size + "." + kind + "max"
	return &rule{[]string{v1}, []string{v2}, func(t *translator, in values) error {
		a, err1 := in.size(v1)
		b, err2 := in.size(v2)
		if err := errors.Join(err1, err2, onlyOne(v1, a != nil, v2, b != nil)); err != nil {
			return err
		}
		t.emit(map[int]string{1: v1, 2: v2}[t.to], SpellSize(t.to, *firstOf(a, b)))
		return nil
	}}
}
