package main

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"nsx/cgroupfs"
	"nsx/inspect"
	"nsx/output"
)

// TestPsFits: a table on a terminal fits its width.
func TestPsFits(t *testing.T) {
	uid := uint32(3000999)
	long := &inspect.Process{
		PID: 4194303, UID: &uid, User: "systemd-network", Cmdline: []string{strings.Repeat("word ", 100)},
		Cgroups: []cgroupfs.Membership{{Path: "/kubepods.slice/kubepods-burstable.slice/" + strings.Repeat("0123456789abcdef", 4)}},
	}
	rows := []psRow{{long, nil, inspect.NSSet{}, inspect.Types[:]}, {long, nil, inspect.NSSet{}, nil}}
	for _, view := range []*output.View[psRow]{psView, withColumn(psView, "tid")} {
		for _, width := range []int{80, 60} {
			var b strings.Builder
			if err := view.Print(&b, rows, output.Options{Format: output.Table, Width: width}); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(b.String()) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
					t.Errorf("%d columns at %d: %s", n, width, line)
				}
			}
		}
	}
}

// TestHolders: one file is one holder, however many mount namespaces have it, and
// filters see those that are not shown.
func TestHolders(t *testing.T) {
	fd := func(n int) inspect.Holder { return inspect.Holder{Kind: inspect.HeldByFD, PID: 7, FD: &n} }
	bind := func(path string, mnt uint64) inspect.Holder {
		return inspect.Holder{Kind: inspect.HeldByBind, Path: path, Mnt: mnt}
	}
	n := inspect.Namespace{HeldBy: []inspect.Holder{
		bind("/run/netns/red", 1), bind("/run/netns/blue", 1), bind("/run/netns/red", 2), fd(3), bind("/run/netns/red", 3), fd(4), fd(5),
	}}
	want := []string{
		"bind /run/netns/red (in 3 mount namespaces)", "bind /run/netns/blue", "fd 3 of 7", "fd 4 of 7", "fd 5 of 7",
	}
	if got := holderTexts(n.HeldBy); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for _, c := range []struct {
		options output.Options
		want    string
	}{
		{output.Options{Width: 200}, strings.Join(want[:3], ", ") + ", +2"},
		{output.Options{Width: 200, NoTrunc: true}, strings.Join(want, ", ")},
		{output.Options{}, strings.Join(want, ", ")},
		{output.Options{Width: 200, Filter: `held-by =~ "fd 5 of 7"`}, strings.Join(want[:3], ", ") + ", +2"},
		{output.Options{Filter: `held-by =~ "fd 6 of 7"`}, ""},
	} {
		var b strings.Builder
		c.options.Format, c.options.Columns, c.options.NoHeaders = output.Table, "held-by", true
		if err := nsView.Print(&b, []inspect.Namespace{n}, c.options); err != nil || strings.TrimSpace(b.String()) != c.want {
			t.Errorf("%+v: %q, %v", c.options, b.String(), err)
		}
	}
}
