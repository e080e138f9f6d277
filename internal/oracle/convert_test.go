package oracle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/fs2"
	"github.com/opencontainers/runtime-spec/specs-go"

	"nsx/cgroupfs"
	"nsx/cgroupfs/keys"
)

// translated is what nsx makes of v1's settings on v2, by key.
func translated(formula keys.Formula, settings ...string) (map[string]string, error) {
	list := make([]keys.Setting, 0, len(settings))
	for _, word := range settings {
		s, err := keys.ParseSetting(word)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	t, err := cgroupfs.Translate(keys.TranslateOptions{To: 2, Formula: formula}, list...)
	values := map[string]string{}
	for _, s := range t.Settings {
		values[s.Key] = s.Value
	}
	return values, err
}

func mustTranslate(t *testing.T, formula keys.Formula, settings ...string) map[string]string {
	t.Helper()
	values, err := translated(formula, settings...)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// The curve is the same for all shares that v1's kernel knows.
func TestSharesByOCI(t *testing.T) {
	for shares := uint64(1); shares < 300000; shares += 1 + shares/500 {
		got := mustTranslate(t, keys.FormulaOCI, fmt.Sprintf("cpu.shares=%d", shares))["cpu.weight"]
		oci := strconv.FormatUint(cgroups.ConvertCPUSharesToCgroupV2Value(shares), 10)
		containerd := strconv.FormatUint(cgroup2.ConvertCPUSharesToCgroupV2Value(shares), 10)
		if got != oci || got != containerd {
			t.Errorf("%d shares: weight %s, opencontainers %s, containerd %s", shares, got, oci, containerd)
		}
	}
	// 0 is "unset" to them. The kernel clamps it to 2 shares, the least weight.
	got := mustTranslate(t, keys.FormulaOCI, "cpu.shares=0")["cpu.weight"]
	if oci := cgroups.ConvertCPUSharesToCgroupV2Value(0); got != "1" || oci != 0 {
		t.Errorf("0 shares: weight %s, opencontainers %d", got, oci)
	}
}

// By the curve, siblings do not keep their proportion: 512 and 1024 shares are
// one to two, 59 and 100 are not. By the ratio they do: 50 and 100.
func TestRatioIsNotTheCurve(t *testing.T) {
	half, whole := cgroups.ConvertCPUSharesToCgroupV2Value(512), cgroups.ConvertCPUSharesToCgroupV2Value(1024)
	if half != 59 || whole != 100 {
		t.Errorf("the curve makes %d and %d of them", half, whole)
	}
	ours := mustTranslate(t, keys.FormulaRatio, "cpu.shares=512")["cpu.weight"]
	if ours != "50" {
		t.Errorf("the ratio makes %s of half", ours)
	}
}

func TestMemoryAndSwap(t *testing.T) {
	sizes := []int64{-1, 4096, 8192, 1 << 20, 1 << 30, 1 << 40}
	for _, limit := range sizes {
		for _, both := range sizes {
			name := fmt.Sprintf("limit %d, memory+swap %d", limit, both)
			values, err := translated("", fmt.Sprintf("memory.limit_in_bytes=%d", limit), fmt.Sprintf("memory.memsw.limit_in_bytes=%d", both))
			oci, ociErr := cgroups.ConvertMemorySwapToCgroupV2Value(both, limit)
			if limit == -1 && both != -1 {
				// memory+swap would be below memory: v1's kernel refuses that
				// (EINVAL), and so does nsx. opencontainers takes the sum for
				// swap alone: 4096 of both becomes 4096 of swap.
				if err == nil || ociErr != nil || oci != both {
					t.Errorf("%s: %v, %v; opencontainers %d, %v", name, values, err, oci, ociErr)
				}
				continue
			}
			if (err != nil) != (ociErr != nil) {
				t.Errorf("%s: %v; opencontainers %v", name, err, ociErr)
				continue
			}
			want := strconv.FormatInt(oci, 10)
			if oci == -1 {
				want = "max"
			}
			if err == nil && values["memory.swap.max"] != want {
				t.Errorf("%s: swap %s, opencontainers %s", name, values["memory.swap.max"], want)
			}
		}
	}
}

// containerd subtracts whatever the numbers mean.
func TestContainerdSubtractsUnlimited(t *testing.T) {
	swap := func(both, limit int64) int64 {
		r := cgroup2.ToResources(&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit, Swap: &both}})
		return *r.Memory.Swap
	}
	if got := swap(300, 100); got != 200 {
		t.Errorf("300-100 is %d", got)
	}
	// No limit on both, 100 on memory: -1-100 = -101, where max is meant.
	if got := swap(-1, 100); got != -101 {
		t.Errorf("containerd has changed: %d", got)
	}
	if got := mustTranslate(t, "", "memory.limit_in_bytes=100", "memory.memsw.limit_in_bytes=-1")["memory.swap.max"]; got != "max" {
		t.Errorf("nsx: %s", got)
	}
	// No limit on either: -1-(-1) = 0, which forbids swap.
	if got := swap(-1, -1); got != 0 {
		t.Errorf("containerd has changed: %d", got)
	}
	if got := mustTranslate(t, "", "memory.limit_in_bytes=-1", "memory.memsw.limit_in_bytes=-1")["memory.swap.max"]; got != "max" {
		t.Errorf("nsx: %s", got)
	}
}

func TestBlkioWeight(t *testing.T) {
	for weight := uint16(10); weight <= 1000; weight++ {
		got := mustTranslate(t, keys.FormulaOCI, fmt.Sprintf("blkio.weight=%d", weight))["io.weight"]
		if oci := strconv.FormatUint(cgroups.ConvertBlkIOToIOWeightValue(weight), 10); got != oci {
			t.Errorf("%d: %s, opencontainers %s", weight, got, oci)
		}
	}
	// Below v1's least, 10, the subtraction wraps around: (1-10) mod 2^64 is
	// 18446744073709551607, times 9999 mod 2^64 is 18446744073709461625, divided
	// by 990 is 18633074821928749, and 1. nsx refuses what v1 refuses.
	if got := cgroups.ConvertBlkIOToIOWeightValue(1); got != 18633074821928750 {
		t.Errorf("opencontainers has changed: %d", got)
	}
	if _, err := translated("", "blkio.weight=1"); err == nil {
		t.Error("nsx takes a weight of 1")
	}
	// containerd reckons in 16 bits: (100-10)*9999 = 899910, mod 65536 is 47942,
	// divided by 990 is 48, and 1; exactly it is 910. And it writes the result to
	// io.bfq.weight, which has v1's scale already.
	for weight, want := range map[uint16]uint16{10: 1, 100: 49, 500: 51, 1000: 4} {
		r := cgroup2.ToResources(&specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: &weight}})
		if got := r.IO.BFQ.Weight; got != want {
			t.Errorf("containerd has changed: %d to %d, not %d", weight, got, want)
		}
	}
}

// ociWrites is what opencontainers writes to the files of a v2 group.
func ociWrites(t *testing.T, file string, r *cgroups.Resources) string {
	t.Helper()
	cgroups.TestMode = true
	dir := t.TempDir()
	r.SkipDevices = true
	for _, name := range []string{"cgroup.controllers", file} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := fs2.NewManager(&cgroups.Cgroup{Resources: r}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Set(r); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func TestCPUMax(t *testing.T) {
	for _, tc := range []struct {
		quota  int64
		period uint64
	}{{50000, 100000}, {1000, 1000}, {150000, 50000}, {-1, 20000}} {
		got := mustTranslate(t, "", fmt.Sprintf("cpu.cfs_quota_us=%d", tc.quota), fmt.Sprintf("cpu.cfs_period_us=%d", tc.period))["cpu.max"]
		if oci := ociWrites(t, "cpu.max", &cgroups.Resources{CpuQuota: tc.quota, CpuPeriod: tc.period}); got != oci {
			t.Errorf("%+v: %s, opencontainers %s", tc, got, oci)
		}
		containerd := string(cgroup2.NewCPUMax(&tc.quota, &tc.period))
		if tc.quota == -1 {
			// -1 is v1's word for none; v2's kernel refuses it.
			if containerd != "-1 20000" {
				t.Errorf("containerd has changed: %s", containerd)
			}
		} else if got != containerd {
			t.Errorf("%+v: %s, containerd %s", tc, got, containerd)
		}
	}
	// A quota alone keeps the period that is there, as on v1; opencontainers
	// makes it the default of 100 ms, and containerd drops the quota.
	got := mustTranslate(t, "", "cpu.cfs_quota_us=20000")["cpu.max"]
	if oci := ociWrites(t, "cpu.max", &cgroups.Resources{CpuQuota: 20000}); got != "20000" || oci != "20000 100000" {
		t.Errorf("%s, opencontainers %s", got, oci)
	}
	quota := int64(20000)
	if r := cgroup2.ToResources(&specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: &quota}}); r.CPU.Max != "" {
		t.Errorf("containerd has changed: %q", r.CPU.Max)
	}
}

func TestPIDs(t *testing.T) {
	pids := func(n int64) string { return ociWrites(t, "pids.max", &cgroups.Resources{PidsLimit: &n}) }
	for word, n := range map[string]int64{"1": 1, "100": 100, "-1": -1} {
		if got, oci := mustTranslate(t, "", "pids.max="+word)["pids.max"], pids(n); got != oci {
			t.Errorf("%s: %s, opencontainers %s", word, got, oci)
		}
	}
	// 0 lets nobody fork, to the kernel and to nsx; to the runtimes, where it
	// long was "unset", it is 1, which is as good for them.
	if got, oci := mustTranslate(t, "", "pids.max=0")["pids.max"], pids(0); got != "0" || oci != "1" {
		t.Errorf("0: %s, opencontainers %s", got, oci)
	}
}
