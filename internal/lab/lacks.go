package main

import (
	"fmt"
	"slices"
	"strings"
)

// lack is a feature that some cells do not have. A test that is skipped for it
// is expected there, and is a failure everywhere else.
type lack struct {
	says    string   // how the skip's reason begins
	since   string   // the first kernel that has it; "" if none has
	until   string   // the first kernel that has it no more; "" if none
	layouts []string // those that lack it; nil is all
	selinux bool     // only where SELinux is on, or, with without, where it is off
	without bool
}

// lacks is the table.
var lacks = []lack{
	// The machine's tests are root's.
	{says: "needs an ordinary user"},
	{says: "process 1 can be read here"},
	// Before 0c58a97f919c a page of FUSE counted as written back once it was copied,
	// so that testkit's fixture waits for nobody.
	{says: "needs a kernel on which reading cmdline can get stuck", since: "6.16"},
	// Of users on tmpfs: 2daf18a7884d.
	{says: "needs extended attributes in", since: "6.6"},
	// Debian builds no kernel with these.
	{says: "needs a kernel with RT_GROUP_SCHED"},
	{says: "needs a blkio hierarchy with BFQ's weight alone"},
	// There is one of them in a machine.
	{says: "needs AppArmor", selinux: true},
	{says: "needs SELinux", without: true},
	// The layouts.
	{says: "needs hugetlb on v2", layouts: []string{"hybrid", "v1"}},
	{says: "needs the cgroup v1 hierarchy of", layouts: []string{"v2"}},
	{says: "needs a machine with cgroup v2 alone", layouts: []string{"hybrid"}},
	{says: "needs a mounted cgroup v2 hierarchy", layouts: []string{"v1"}},
	// Debian builds 6.12 without MEMCG_V1 and CPUSETS_V1.
	{says: "needs the cgroup v1 hierarchy of memory", until: "6.12"},
	{says: "needs the cgroup v1 hierarchy of cpuset", until: "6.12"},
	{says: `needs a controller: controller "memory"`, until: "6.12", layouts: []string{"hybrid", "v1"}},
	{says: `needs a controller: controller "cpuset"`, until: "6.12", layouts: []string{"hybrid", "v1"}},
}

// excused says whether a test's skip for that reason is expected in the cell. A
// script runs in each layout, unless its name ends in the version it is about.
func excused(c cell, test, reason string) bool {
	script := strings.HasPrefix(test, "TestScripts/")
	if script && strings.Contains(reason, " cgroup v") && !strings.HasSuffix(test, "-v1") && !strings.HasSuffix(test, "-v2") {
		return false
	}
	var major, minor int
	if n, _ := fmt.Sscanf(reason, "needs Linux %d.%d:", &major, &minor); n == 2 {
		return older(c.kernel.version, fmt.Sprintf("%d.%d", major, minor))
	}
	return slices.ContainsFunc(lacks, func(l lack) bool {
		if l.selinux && !c.selinux || l.without && c.selinux {
			return false
		}
		if !strings.HasPrefix(reason, l.says) || l.layouts != nil && !slices.Contains(l.layouts, c.layout) {
			return false
		}
		switch {
		case l.since != "" && older(c.kernel.version, l.since):
			return true
		case l.until != "" && !older(c.kernel.version, l.until):
			return true
		}
		return l.since == "" && l.until == ""
	})
}

// older compares versions such as 5.10 and 6.1.
func older(a, b string) bool {
	number := func(s string) (n int) {
		var major, minor int
		if _, err := fmt.Sscanf(s, "%d.%d", &major, &minor); err != nil {
			panic(fmt.Sprintf("%q is no kernel version", s))
		}
		return major*1000 + minor
	}
	return number(a) < number(b)
}
