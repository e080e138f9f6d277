package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"nsx/cgroupfs"
	"nsx/cgroupfs/keys"
)

// limitFlags are the limits of cgroup create, set and run, as words.
type limitFlags struct {
	cpus, cpuWeight, cpuBurst string
	memory, high, low, min    string
	swap, pids                string
	cpusetCPUs, cpusetMems    string
	partition, ioWeight       string
	ioMax, hugetlb, devices   []string
	cpuIdle, oomGroup         string
	raw                       bool
	elsewhere                 bool // the machine is not this one
	formula                   string
}

func (f *limitFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.cpus, "cpus", "", "processor time in `CPUS` (1.5, 500m, 50%, or max)")
	flags.StringVar(&f.cpuWeight, "cpu-weight", "", "share of processor time, `N` from 1 to 10000; 100 is normal")
	flags.StringVar(&f.cpuBurst, "cpu-burst", "", "processor time that may be saved up, in `USEC`")
	flags.StringVar(&f.cpuIdle, "cpu-idle", "", "run only when nothing else does: `1` or 0")
	flags.StringVar(&f.memory, "memory", "", "memory, `SIZE` (512M, 1.5Gi, max)")
	flags.StringVar(&f.high, "memory-high", "", "memory above which it is slowed down and reclaimed, `SIZE`")
	flags.StringVar(&f.low, "memory-low", "", "memory that is spared while others have more, `SIZE`")
	flags.StringVar(&f.min, "memory-min", "", "memory that is never reclaimed, `SIZE`")
	flags.StringVar(&f.swap, "swap", "", "swap besides memory, `SIZE`")
	flags.StringVar(&f.oomGroup, "oom-group", "", "kill all of it when memory runs out: `1` or 0")
	flags.StringVar(&f.pids, "pids", "", "processes and threads, `N` or max")
	flags.StringVar(&f.cpusetCPUs, "cpuset-cpus", "", "run on these CPUs, `LIST` (0-3,5, all)")
	flags.StringVar(&f.cpusetMems, "cpuset-mems", "", "take memory from these nodes, `LIST`")
	flags.StringVar(&f.partition, "cpuset-partition", "", "kind of partition, `KIND`: member, root or isolated")
	flags.StringVar(&f.ioWeight, "io-weight", "", "share of disk time, `N` from 1 to 10000; 100 is normal")
	flags.StringArrayVar(&f.ioMax, "io-max", nil, "throttle a disk, `LINE` 'vda rbps=10M wiops=100'; repeatable")
	flags.StringArrayVar(&f.hugetlb, "hugetlb", nil, "huge pages, `PAGE=SIZE` (2M=64M); may be repeated")
	flags.StringArrayVar(&f.devices, "device", nil, "allow only these devices, `RULE` 'c 1:3 rwm'; repeatable")
	flags.StringVar(&f.formula, "formula", "ratio", "shares to weights by `HOW`: ratio, oci, oci-old")
	complete(cmd, "formula", cobra.FixedCompletions([]string{"ratio", "oci", "oci-old"}, cobra.ShellCompDirectiveNoFileComp))
	complete(cmd, "cpuset-partition", cobra.FixedCompletions([]string{"member", "root", "isolated"}, cobra.ShellCompDirectiveNoFileComp))
}

// limits makes limits of the flags and of KEY=VALUE words.
func (f *limitFlags) limits(cmd *cobra.Command, words []string) (cgroupfs.Limits, error) {
	var l cgroupfs.Limits
	var firstErr error
	note := func(flag string, err error) {
		if err != nil && firstErr == nil {
			firstErr = fmt.Errorf("--%s: %w", flag, err)
		}
	}
	for _, size := range []struct {
		flag, word string
		to         **int64
	}{
		{"memory", f.memory, &l.Memory},
		{"memory-high", f.high, &l.MemoryHigh},
		{"memory-low", f.low, &l.MemoryLow},
		{"memory-min", f.min, &l.MemoryMin},
		{"swap", f.swap, &l.Swap},
	} {
		if cmd.Flags().Changed(size.flag) {
			n, err := keys.ParseSize(size.word)
			note(size.flag, err)
			*size.to = &n
		}
	}
	for _, number := range []struct {
		flag, word string
		to         **int64
		max        bool
	}{
		{"cpu-weight", f.cpuWeight, &l.CPUWeight, false},
		{"cpu-burst", f.cpuBurst, &l.CPUBurstUsec, false},
		{"io-weight", f.ioWeight, &l.IOWeight, false},
		{"pids", f.pids, &l.PIDs, true},
	} {
		if cmd.Flags().Changed(number.flag) {
			n, err := parseCount(number.word, number.max)
			note(number.flag, err)
			*number.to = &n
		}
	}
	for _, bit := range []struct {
		flag, word string
		to         **bool
	}{{"cpu-idle", f.cpuIdle, &l.CPUIdle}, {"oom-group", f.oomGroup, &l.OOMGroup}} {
		if cmd.Flags().Changed(bit.flag) {
			on, err := strconv.ParseBool(bit.word)
			if err != nil {
				err = fmt.Errorf("%q is neither 0 nor 1", bit.word)
			}
			note(bit.flag, err)
			*bit.to = &on
		}
	}
	for _, text := range []struct {
		flag string
		word *string
		to   **string
	}{
		{"cpuset-cpus", &f.cpusetCPUs, &l.CPUSetCPUs},
		{"cpuset-mems", &f.cpusetMems, &l.CPUSetMems},
		{"cpuset-partition", &f.partition, &l.CPUSetPartition},
	} {
		if cmd.Flags().Changed(text.flag) {
			*text.to = text.word
		}
	}
	if cmd.Flags().Changed("cpus") {
		c, err := keys.ParseCPUs(f.cpus)
		note("cpus", err)
		l.CPU = &c
	}
	for _, word := range f.ioMax {
		if f.elsewhere { // disks are called as they are there
			l.Settings = append(l.Settings, keys.Setting{Key: "io.max", Value: word})
			continue
		}
		m, err := cgroupfs.ParseIOMax(word)
		note("io-max", err)
		l.IOMax = append(l.IOMax, m)
	}
	for _, word := range f.hugetlb {
		page, n, err := keys.ParseHugetlb(word)
		note("hugetlb", err)
		if l.Hugetlb == nil {
			l.Hugetlb = map[string]int64{}
		}
		l.Hugetlb[page] = n
	}
	if cmd.Flags().Changed("device") {
		l.Devices = f.devices
	}
	for _, word := range words {
		setting, err := keys.ParseSetting(word)
		if err != nil && firstErr == nil {
			firstErr = err
		}
		if f.raw {
			l.Raw = append(l.Raw, setting)
		} else {
			l.Settings = append(l.Settings, setting)
		}
	}
	return l, firstErr
}

// parseCount reads a number that is no size.
func parseCount(word string, orMax bool) (int64, error) {
	if orMax && (word == "max" || word == "-1") {
		return keys.Unlimited, nil
	}
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is no number", word)
	}
	return n, nil
}

func parseFormula(word string) (keys.Formula, error) {
	known := []keys.Formula{keys.FormulaRatio, keys.FormulaOCI, keys.FormulaOCIOld}
	names := make([]string, len(known))
	for i, f := range known {
		if word == string(f) {
			return f, nil
		}
		names[i] = string(f)
	}
	return "", fmt.Errorf("--formula: unknown formula %q: there are %s", word, strings.Join(names, ", "))
}
