package cgroupfs

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"nsx/cgroupfs/keys"
	"nsx/internal/testkit"
)

// Time is counted by whichever hierarchy counts it, and is not 0 where none does.
func TestCPUTimeOfHierarchiesApart(t *testing.T) {
	const hybrid = "40 24 0:50 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
	cpu := map[string]string{
		"cpu/g/cpu.stat": "nr_periods 45\nnr_throttled 3\nthrottled_time 7000000\nnr_bursts 2\nburst_time 9000\n", "cpu/g/cgroup.procs": "",
		"cpu/g/cpu.cfs_quota_us": "50000\n", "cpu/g/cpu.cfs_period_us": "100000\n",
	}
	acct := map[string]string{"cpuacct/g/cpuacct.usage": "5000000\n", "cpuacct/g/cpuacct.usage_user": "3000000\n", "cpuacct/g/cpuacct.usage_sys": "2000000\n"}
	old := map[string]string{"cpuacct/g/cpuacct.usage": "50000000\n", "cpuacct/g/cpuacct.stat": "user 3\nsystem 2\n"} // Linux 3.10
	v2 := map[string]string{"unified/g/cpu.stat": "usage_usec 1620\nuser_usec 1600\nsystem_usec 20\n"}
	for name, c := range map[string]struct {
		mounts                      string
		files                       []map[string]string
		usage, user, system, period int64
	}{
		"cpu alone":       {mountV1("cpu"), []map[string]string{cpu}, -1, -1, -1, 45},
		"cpu and cpuacct": {mountV1("cpu", "cpuacct"), []map[string]string{cpu, acct}, 5000, 3000, 2000, 45},
		"cpuacct alone":   {mountV1("cpuacct"), []map[string]string{acct}, 5000, 3000, 2000, -1},
		"old kernel":      {mountV1("cpuacct"), []map[string]string{old}, 50000, 30000, 20000, -1},
		"not in cpuacct":  {mountV1("cpu", "cpuacct") + hybrid, []map[string]string{cpu, v2}, 1620, 1600, 20, 45},
		"all three":       {mountV1("cpu", "cpuacct") + hybrid, []map[string]string{cpu, acct, v2}, 5000, 3000, 2000, 45},
		"v2 alone":        {mountV1("cpu") + hybrid, []map[string]string{v2}, 1620, 1600, 20, -1},
	} {
		t.Run(name, func(t *testing.T) {
			tree := map[string]string{}
			for _, files := range c.files {
				maps.Copy(tree, files)
			}
			s := statIn(t, openTree(t, c.mounts, tree), "/g")
			if s.CPU == nil {
				t.Fatal("no CPU")
			}
			got := []int64{number(s.CPU.UsageUsec), number(s.CPU.UserUsec), number(s.CPU.SystemUsec), number(s.CPU.Periods)}
			if want := []int64{c.usage, c.user, c.system, c.period}; !slices.Equal(got, want) || !s.Complete {
				t.Errorf("usage, user, system, periods %d, want %d", got, want)
			}
			if limit, ok := s.CPU.LimitCPUs.Get(); ok != (c.period == 45) || ok && limit != 0.5 {
				t.Errorf("limit %v", s.CPU.LimitCPUs)
			}
		})
	}
	text, err := json.Marshal(statIn(t, openTree(t, mountV1("cpu"), cpu), "/g").CPU)
	if err != nil || !strings.Contains(string(text), `"usage_usec":null`) {
		t.Errorf("%s, %v", text, err)
	}
}

// Kernels of about 5.14 to 6.1 name disks without numbers, and end no line there.
func TestIOStatForms(t *testing.T) {
	for text, want := range map[string]string{
		"7:7 7:6 7:5 7:4 rbytes=28672 wbytes=0 rios=22 wios=0 dbytes=0 dios=0\n":                                   "7:4 28672 0 0",
		"7:7 \n7:6 \n8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n":                                        "8:0 1 2 5",
		"7:1 7:0 rbytes=1 wbytes=2 rios=0 wios=0 dbytes=0 dios=0\n7:2 8:0 rbytes=3 wbytes=4 rios=0 wios=0\n":       "7:0 1 2 0, 8:0 3 4 none",
		"8:0 rbytes=1 wbytes=0 rios=0 wios=0 dbytes=0 dios=0 8:16 rbytes=2 wbytes=0 rios=0 wios=0 dbytes=0 dios=0": "8:0 1 0 0, 8:16 2 0 0",
		"(unknown) rbytes=1 wbytes=2\n8:0 rbytes=7 wbytes=0 rios=0 wios=0 dbytes=0 dios=0\n":                       "8:0 7 0 0",
		"8:0 rbytes=x wbytes=2 rios=0 wios=0\n":                                                                    "8:0 ? 2 none",
		"8:0 cost.usage=12 rbytes=1 wbytes=2 rios=0 wios=0 dbytes=0 dios=0 nonsense\n":                             "8:0 1 2 0",
		"8:0 \n": "",
		"":       "",
	} {
		s := statIn(t, openTree(t, mountV2, map[string]string{"g/io.stat": text}), "/g")
		var got []string
		for _, io := range s.IO {
			got = append(got, strings.Join([]string{io.Device.String(), io.ReadBytes.String(), io.WriteBytes.String(), io.DiscardBytes.String()}, " "))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	// Disks have names, those of the tree.
	s := statIn(t, openTree(t, mountV2, map[string]string{
		"g/io.stat": "8:16 rbytes=1 wbytes=0 rios=0 wios=0 dbytes=0 dios=0\n", "sys/dev/block/8:16 -> ../../block/sdb": "",
	}), "/g")
	if len(s.IO) != 1 || s.IO[0].Device.Name != "sdb" || s.IO[0].Device.Minor != 16 {
		t.Errorf("%+v", s.IO)
	}
}

// fullV2 is a group with all that v2 tells, children's and own apart.
func fullV2() map[string]string {
	return map[string]string{
		"cgroup.controllers": "cpu io memory pids hugetlb misc\n",
		"g/cgroup.events":    "populated 1\nfrozen 0\n", "g/cgroup.stat": "nr_descendants 3\nnr_dying_descendants 1\n",
		"g/cgroup.stat.local": "frozen_usec 77\n",
		"g/cpu.stat":          "usage_usec 10\nuser_usec 6\nsystem_usec 4\nnice_usec 1\nnr_periods 5\nnr_throttled 2\nthrottled_usec 30\nnr_bursts 1\nburst_usec 8\n",
		"g/cpu.stat.local":    "throttled_usec 21\n", "g/cpu.max": "20000 100000\n", "g/cpu.weight": "150\n",
		"g/memory.current": "1000\n", "g/memory.peak": "2000\n", "g/memory.max": "5000\n", "g/memory.high": "4000\n", "g/memory.low": "300\n", "g/memory.min": "max\n",
		"g/memory.swap.current": "10\n", "g/memory.swap.peak": "11\n", "g/memory.swap.max": "max\n", "g/memory.swap.high": "12\n",
		"g/memory.zswap.current": "13\n", "g/memory.zswap.max": "14\n",
		"g/memory.stat":         "anon 500\nfile 400\nkernel 50\nshmem 7\nsock 8\ninactive_file 200\npgmajfault 9\nworkingset_refault_anon 2\nworkingset_refault_file 3\n",
		"g/memory.events":       "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\nsock_throttled 7\n",
		"g/memory.events.local": "low 0\nhigh 0\nmax 1\noom 0\noom_kill 0\noom_group_kill 0\n",
		"g/memory.swap.events":  "high 1\nmax 2\nfail 3\n",
		"g/pids.current":        "4\n", "g/pids.peak": "9\n", "g/pids.max": "max\n", "g/pids.events": "max 8\n", "g/pids.events.local": "max 2\n",
		"g/io.stat":             "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 cost.usage=7\n",
		"g/hugetlb.2MB.current": "2097152\n", "g/hugetlb.2MB.max": "max\n", "g/hugetlb.2MB.events": "max 1\n",
		"g/hugetlb.2MB.rsvd.current": "4194304\n", "g/hugetlb.2MB.rsvd.max": "8388608\n",
		"g/misc.current": "sev 3\nsev_es 0\n", "g/misc.peak": "sev 4\nsev_es 1\n", "g/misc.max": "sev 9\nsev_es max\n", "g/misc.events": "sev.max 2\nsev_es.max 0\n",
		"g/rdma.current": "mlx4_0 hca_handle=2 hca_object=20\n", "g/rdma.max": "mlx4_0 hca_handle=5 hca_object=max\n",
		"g/dmem.current": "drm/0000:03:00.0/vram0 4096\n", "g/dmem.max": "drm/0000:03:00.0/vram0 8192\n",
		"g/dmem.low": "drm/0000:03:00.0/vram0 1024\n", "g/dmem.min": "drm/0000:03:00.0/vram0 0\n",
		"g/cpu.pressure": "some avg10=1.00 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
		"g/irq.pressure": "full avg10=2.00 avg60=0.00 avg300=0.00 total=6\n",
	}
}

func TestStatOfAllThatV2Tells(t *testing.T) {
	s := statIn(t, openTree(t, mountV2, fullV2()), "/g")
	if !s.Complete {
		t.Error(s.Unreadable)
	}
	m := s.Memory
	if limit, _ := s.CPU.LimitCPUs.Get(); limit != 0.2 || number(s.CPU.Weight) != 150 || number(s.CPU.LocalThrottledUsec) != 21 || number(s.CPU.Bursts) != 1 || number(s.CPU.NiceUsec) != 1 {
		t.Errorf("%+v", s.CPU)
	}
	for name, c := range map[string][2]int64{
		"frozen": {number(s.FrozenUsec), 77}, "working set": {number(m.WorkingSetBytes), 800}, "high": {number(m.HighBytes), 4000},
		"low": {number(m.LowBytes), 300}, "min": {number(m.MinBytes), keys.Unlimited}, "swap peak": {number(m.SwapPeakBytes), 11},
		"swap limit": {number(m.SwapLimitBytes), -1}, "swap high": {number(m.SwapHighBytes), 12}, "zswap": {number(m.ZswapBytes), 13},
		"zswap limit": {number(m.ZswapLimitBytes), 14}, "socket": {number(m.SocketBytes), 8}, "faults": {number(m.MajorFaults), 9},
		"refaults": {number(m.RefaultsFile), 3}, "low events": {number(m.LowEvents), 1}, "group kills": {number(m.OOMGroupKills), 6},
		"socket throttled": {number(m.SocketThrottled), 7}, "swap fail": {number(m.SwapFailEvents), 3}, "kills": {number(m.OOMKills), 5},
		"own kills": {number(m.Local.OOMKills), 0}, "own max": {number(m.Local.MaxEvents), 1}, "own forks": {number(s.PIDs.LocalMaxEvents), 2},
		"discards": {number(s.IO[0].DiscardOps), 6}, "cost": {number(s.IO[0].CostUsageUsec), 7}, "cost wait": {number(s.IO[0].CostWaitUsec), -1},
		"rsvd": {number(s.Hugetlb[0].RsvdUsageBytes), 4 << 20}, "rsvd limit": {number(s.Hugetlb[0].RsvdLimitBytes), 8 << 20},
		"misc": {number(s.Misc[0].Current), 3}, "misc peak": {number(s.Misc[0].Peak), 4}, "misc limit": {number(s.Misc[0].Limit), 9},
		"misc without a limit": {number(s.Misc[1].Limit), -1}, "misc events": {number(s.Misc[0].MaxEvents), 2},
		"rdma": {number(s.RDMA[1].Current), 20}, "rdma limit": {number(s.RDMA[0].Limit), 5}, "rdma peak": {number(s.RDMA[0].Peak), -1},
		"dmem": {number(s.Dmem[0].UsageBytes), 4096}, "dmem limit": {number(s.Dmem[0].LimitBytes), 8192}, "dmem low": {number(s.Dmem[0].LowBytes), 1024}, "dmem min": {number(s.Dmem[0].MinBytes), 0},
		"pages": {int64(len(s.Hugetlb)), 1}, "irq": {s.Pressure.IRQ.Full.TotalUsec, 6},
	} {
		if c[0] != c[1] {
			t.Errorf("%s is %d, want %d", name, c[0], c[1])
		}
	}
	// What a program wrote it reads back, but for what was not known.
	text, err := json.Marshal(s)
	var back Stat
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	if err != nil || !reflect.DeepEqual(s, back) {
		t.Errorf("%v\n%+v\n%+v", err, s, back)
	}
}

// Whatever file cannot be read is listed, and nothing of it is 0 or left out.
func TestStatOfWhatCannotBeRead(t *testing.T) {
	whole := statIn(t, openTree(t, mountV2, fullV2()), "/g")
	for file, text := range fullV2() {
		if !strings.HasPrefix(file, "g/") || strings.HasPrefix(file, "g/hugetlb.2MB.current") { // its name tells the page size
			continue
		}
		tree := fullV2()
		delete(tree, file)
		tree[file+"/"] = ""
		s := statIn(t, openTree(t, mountV2, tree), "/g")
		if s.Complete || len(s.Unreadable) != 1 || !strings.HasSuffix(s.Unreadable[0].File, file) || s.Unreadable[0].Errno != "EISDIR" {
			t.Errorf("%s: %+v", file, s.Unreadable)
		}
		before, after := numbersIn(t, whole), numbersIn(t, s)
		for name, n := range after {
			if before[name] != n {
				t.Errorf("%s: without the file %s is %s, with it %s", file, name, n, before[name])
			}
		}
		isNumber := text != "max\n" && file != "g/cgroup.events"
		if len(after) >= len(before) && isNumber {
			t.Errorf("%s: nothing is missing", file)
		}
	}
}

// numbersIn lists what is a number in the document.
func numbersIn(t *testing.T, s Stat) map[string]string {
	t.Helper()
	s.Unreadable, s.Complete = nil, false
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	numbers := map[string]string{}
	var walk func(name string, v any)
	walk = func(name string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				walk(name+"."+key, value)
			}
		case []any:
			for _, value := range v {
				walk(name, value)
			}
		case float64:
			text, _ := json.Marshal(v)
			numbers[name] = string(text)
		}
	}
	walk("", doc)
	return numbers
}

// A group that is closed to an ordinary user.
func TestStatOfAClosedGroup(t *testing.T) {
	testkit.RequireUser(t)
	fs := openTree(t, mountV1("pids", "memory"), map[string]string{"pids/g/ (unreadable)": "", "memory/g/memory.usage_in_bytes": "5\n"})
	s := statIn(t, fs, "/g")
	if s.Complete || s.PIDs == nil || number(s.PIDs.Current) != -2 || number(s.PIDs.Limit) != -2 || number(s.Memory.UsageBytes) != 5 || s.CPU != nil {
		t.Errorf("%+v", s)
	}
}
