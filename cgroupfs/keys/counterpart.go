package keys

// v1Only are keys that v2 has nothing like, each with what to do instead.
var v1Only = map[string]string{
	"memory.soft_limit_in_bytes": "choose: memory.low protects that much from reclaim (which container runtimes take it for), memory.high throttles and reclaims above it (which libcgroup takes it for)",

	"cpu.rt_runtime_us": "v2 does not share out realtime; processes of a realtime policy have to stay in the root",
	"cpu.rt_period_us":  "v2 does not share out realtime; processes of a realtime policy have to stay in the root",

	"memory.kmem.limit_in_bytes":      "v2 counts kernel memory in memory.max; leave it out",
	"memory.kmem.tcp.limit_in_bytes":  "v2 counts socket memory in memory.max; leave it out",
	"memory.swappiness":               "v2 has vm.swappiness for the whole machine; memory.swap.max bounds a group's swap",
	"memory.use_hierarchy":            "v2 always counts hierarchically; leave it out",
	"memory.oom_control":              "v2 cannot switch the OOM killer off; memory.high throttles before it comes, memory.oom.group lets it take the whole group",
	"memory.move_charge_at_immigrate": "v2 never moves charges with a process; leave it out",
	"memory.force_empty":              "write the number of bytes to memory.reclaim instead",
	"cpuset.memory_migrate":           "v2 always migrates the memory; leave it out",
	"cpuset.mem_exclusive":            "v2 has partitions of CPUs only: cpuset.cpus.partition",
	"cpuset.mem_hardwall":             "v2 has no such switch; leave it out",
	"cpuset.memory_pressure_enabled":  "read memory.pressure instead",
	"cpuset.memory_spread_page":       "v2 has no such switch; leave it out",
	"cpuset.memory_spread_slab":       "v2 has no such switch; leave it out",
	"cpuset.sched_load_balance":       "cpuset.cpus.partition=isolated takes CPUs out of load balancing",
	"cpuset.sched_relax_domain_level": "v2 has no such setting; leave it out",
	"blkio.leaf_weight":               "v2 has no processes beside child groups that could need it; leave it out",
	"blkio.leaf_weight_device":        "v2 has no processes beside child groups that could need it; leave it out",
	"net_cls.classid":                 "match the group itself in nftables: socket cgroupv2 level 1 \"demo\"",
	"net_prio.ifpriomap":              "match the group itself in nftables and set the priority there: socket cgroupv2, meta priority set",
	"cgroup.clone_children":           "v2's cpusets inherit by themselves; leave it out",
	"hugetlb.failcnt":                 "read hugetlb events instead",
}

// v2Only are keys that v1 has nothing like.
var v2Only = map[string]string{
	"memory.high":            "v1 has no throttling limit; the nearest is memory.soft_limit_in_bytes, which only guides reclaim when the machine is short",
	"memory.low":             "v1 has no protection; the nearest is memory.soft_limit_in_bytes, above which a group is reclaimed first when the machine is short",
	"memory.min":             "v1 has no protection that holds; the nearest is memory.soft_limit_in_bytes",
	"memory.swap.high":       "v1 cannot throttle by swap",
	"memory.zswap.max":       "v1 does not count zswap",
	"memory.zswap.writeback": "v1 does not count zswap",
	"memory.oom.group":       "v1's OOM killer takes single processes",
	"memory.reclaim":         "memory.force_empty reclaims all that it can of an empty group",
	"cpu.weight.nice":        "give cpu.weight instead",
	"io.latency":             "v1 cannot control latency",
	"io.cost.qos":            "v1 has no model of what I/O costs; blkio.throttle.* bounds it",
	"io.cost.model":          "v1 has no model of what I/O costs; blkio.throttle.* bounds it",
	"io.prio.class":          "set it for the processes: ionice(1)",
	"cpuset.cpus.exclusive":  "v1 has cpuset.cpu_exclusive for the group's cpuset.cpus",
	"cgroup.max.depth":       "v1 does not bound the tree",
	"cgroup.max.descendants": "v1 does not bound the tree",
	"cgroup.type":            "v1's groups take single threads as they are",
	"cgroup.pressure":        "v1 has no pressure per group",
}

// sizeKeys are those of them that take a size.
var sizeKeys = map[string]bool{
	"memory.soft_limit_in_bytes": true, "memory.kmem.limit_in_bytes": true, "memory.kmem.tcp.limit_in_bytes": true,
	"memory.high": true, "memory.low": true, "memory.min": true, "memory.swap.high": true, "memory.zswap.max": true,
}

// diskKeys are those of them whose value begins with a disk.
var diskKeys = map[string]bool{
	"io.latency": true, "io.cost.qos": true, "io.cost.model": true, "blkio.leaf_weight_device": true,
}

// asked are the values of them by which the other version is asked for nothing
// that it does not do anyway.
var asked = map[string]string{
	"memory.high": "max", "memory.low": "0", "memory.min": "0", "memory.swap.high": "max", "memory.zswap.max": "max",
	"memory.oom.group": "0", "memory.zswap.writeback": "1", "cpu.weight.nice": "0", "cgroup.max.depth": "max",
	"cgroup.max.descendants": "max", "cpuset.cpus.exclusive": "", "cgroup.type": "domain",

	"memory.soft_limit_in_bytes": "-1", "memory.kmem.limit_in_bytes": "-1", "memory.kmem.tcp.limit_in_bytes": "-1",
	"memory.use_hierarchy": "1", "memory.oom_control": "0", "memory.move_charge_at_immigrate": "0",
	"cpuset.memory_migrate": "1", "cpuset.mem_exclusive": "0", "cpuset.mem_hardwall": "0", "cpuset.memory_pressure_enabled": "0",
	"cpuset.memory_spread_page": "0", "cpuset.memory_spread_slab": "0", "cpuset.sched_load_balance": "1",
	"cpuset.sched_relax_domain_level": "-1", "net_cls.classid": "0", "cgroup.clone_children": "1",
}

func asksNothing(key, value string) bool {
	want, ok := asked[key]
	if !ok {
		return false
	}
	a, isSize := ReadSize(value)
	b, _ := ReadSize(want)
	return value == want || isSize && sizeKeys[key] && a == b
}
