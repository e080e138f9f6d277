package cgroupfs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/linux"
	"nsx/internal/testkit"
)

func TestParseDeviceRule(t *testing.T) {
	for text, want := range map[string]string{
		"c 1:3 rwm": "c 1:3 rwm", "b 8:* r": "b 8:* r", "c *:* mw": "c *:* wm", " c  1:3  r ": "c 1:3 r",
		"c 4294967295:0 r": "c *:0 r", // as v1
		"/dev/null":        "c 1:3 rwm", "/dev/null rw": "c 1:3 rw", "b 259:1048575 m": "b 259:1048575 m",
	} {
		r, all, err := parseDeviceRule("/", text)
		if err != nil || all || r.String() != want {
			t.Errorf("%q: %s, %v, %v", text, r, all, err)
		}
	}
	for _, text := range []string{"a", "a *:* rwm"} {
		if _, all, err := parseDeviceRule("/", text); !all || err != nil {
			t.Errorf("%q: %v, %v", text, all, err)
		}
	}
	for _, text := range []string{
		"", "c", "c 1:3", "c 1 r", "c 1:3 x", "c 1:3 rwmr", "x 1:3 r", "c :3 r", "c 1: r", "c -1:3 r", "c +1:3 r",
		"c 4294967296:0 r", "c 1:3 r w", "all", "a *:* r", "/dev", "/dev/null rwx", "/dev/null r w", "null r",
	} {
		if r, _, err := parseDeviceRule("/", text); !errors.Is(err, unix.EINVAL) {
			t.Errorf("%q: %s, %v", text, r, err)
		}
	}
	if _, _, err := parseDeviceRule("/", "/dev/nsx-test-none r"); !errors.Is(err, unix.ENOENT) {
		t.Error(err)
	}
}

// permits is devcgroup_legacy_check_permission: v1's answer.
func (l deviceList) permits(r deviceRule) bool {
	if l.allow {
		return !l.touches(r)
	}
	return l.contains(r)
}

// run is the kernel's interpreter, as much as our programs need.
func run(t *testing.T, p []linux.BPFInsn, r deviceRule) bool {
	t.Helper()
	ctx := map[int16]uint32{0: r.access<<16 | r.kind, offMajor: r.major, offMinor: r.minor}
	var reg [5]uint64
	for at := 0; at < len(p); at++ {
		i := p[at]
		dst, src := &reg[i.Regs&15], reg[i.Regs>>4]
		switch i.Code {
		case bpfLoad:
			*dst = uint64(ctx[i.Off])
		case bpfCopy:
			*dst = src
		case bpfSet:
			*dst = uint64(int64(i.Imm))
		case bpfAnd:
			*dst &= uint64(int64(i.Imm))
		case bpfShift:
			*dst >>= i.Imm
		case bpfJumpEq, bpfJumpNe:
			if (uint32(*dst) == uint32(i.Imm)) == (i.Code == bpfJumpEq) {
				at += int(i.Off)
			}
		case bpfExit:
			return reg[0] == 1
		default:
			t.Fatalf("instruction %+v", i)
		}
	}
	t.Fatal("it ran off the end")
	return false
}

func randomRule(r *rand.Rand) deviceRule {
	number := func() uint32 { return []uint32{0, 1, 5, anyDevice}[r.IntN(4)] }
	return deviceRule{uint32(1 + r.IntN(2)), number(), number(), uint32(1 + r.IntN(7))}
}

func randomList(r *rand.Rand) deviceList {
	l := deviceList{allow: r.IntN(2) == 0}
	for range r.IntN(5) {
		l = l.add(randomRule(r))
	}
	return l
}

// everyUse is every use of a few devices.
func everyUse() (list []deviceRule) {
	for kind := uint32(1); kind <= 2; kind++ {
		for _, major := range []uint32{0, 1, 5, 7} {
			for _, minor := range []uint32{0, 1, 5, 7} {
				for access := uint32(1); access <= accessAll; access++ {
					list = append(list, deviceRule{kind, major, minor, access})
				}
			}
		}
	}
	return list
}

func TestDeviceProgram(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	uses := everyUse()
	for range 500 {
		l := randomList(r)
		p := l.compile()
		for _, use := range uses {
			if got, want := run(t, p, use), l.permits(use); got != want {
				t.Fatalf("%s: %s is %v, want %v", l, use, got, want)
			}
		}
		if back, ok := decompile(p); !ok || !back.equal(l) {
			t.Fatalf("%s came back as %s, %v", l, back, ok)
		}
		// Any other program is none of ours.
		i := r.IntN(len(p))
		p[i].Code ^= 1 << r.IntN(8)
		if back, ok := decompile(p); ok {
			t.Fatalf("%s, bent, was taken for %s", l, back)
		}
		_, _ = decompile(p[:r.IntN(len(p))])
	}
	big := deviceList{exceptions: []deviceRule{{charDevice, 0xfffffffe, 0x80000000, accessRead}}}
	if back, ok := decompile(big.compile()); !ok || !back.equal(big) || !run(t, big.compile(), big.exceptions[0]) {
		t.Error(back, ok)
	}
}

func TestDeviceListsTogether(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	uses := everyUse()
	for range 2000 {
		a, b := randomList(r), randomList(r)
		both, rest := a.within(b)
		for _, use := range uses {
			got := both.permits(use) && !deviceList{true, rest}.touches(use)
			if want := a.permits(use) && b.permits(use); got != want {
				t.Fatalf("%s within %s is %s but %v: %s is %v, want %v", a, b, both, rest, use, got, want)
			}
		}
	}
}

// v1 is asked what it makes of the same words, in a group and in one below it.
func TestDeviceListIsV1s(t *testing.T) {
	testkit.RequireCgroup1(t, "devices")
	fs := openFS(t)
	h := hierarchyOf(t, fs, "devices")
	r := rand.New(rand.NewPCG(5, 6))
	for range testkit.Rounds(40, 5) {
		g := made(t, fs, "devices")
		list := writeRandomly(t, r, h, g, allowAll, allowAll)
		writeRandomly(t, r, h, child(t, g, "below", "devices"), list, list)
	}
}

func writeRandomly(t *testing.T, r *rand.Rand, h Hierarchy, g *Group, list, above deviceList) deviceList {
	t.Helper()
	for range 8 {
		rule, all, allow := randomRule(r), r.IntN(6) == 0, r.IntN(2) == 0
		text := rule.String()
		if all {
			text = "a"
		}
		file := map[bool]string{false: "devices.deny", true: "devices.allow"}[allow]
		changed, ok := list.change(allow, rule, all, above)
		err := os.WriteFile(filepath.Join(h.Dir(g.path), file), []byte(text), 0)
		if ok != (err == nil) || err != nil && !errors.Is(err, unix.EPERM) {
			t.Fatalf("%s below %s, %s %s: v1 says %v, we %v", list, above, file, text, err, ok)
		}
		if ok {
			list = changed
		}
		if got := get(t, g, "devices.list"); got != list.list() {
			t.Fatalf("after %s %s v1 has %q, we have %s", file, text, got, list)
		}
	}
	return list
}

// v1's groups go some time after they were removed.
func TestAllDevicesAfterRemove(t *testing.T) {
	testkit.RequireCgroup1(t, "devices")
	g := made(t, openFS(t), "devices")
	for range testkit.Rounds(30, 10) {
		if err := child(t, g, "below", "devices").Remove(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		set(t, g, "devices.deny=a")
		set(t, g, "devices.allow=a")
	}
}

// pureV2 is this machine as if v1 were not mounted.
func pureV2(t *testing.T) *FS {
	t.Helper()
	testkit.RequireRoot(t)
	testkit.RequireCgroup2(t)
	fs := openFS(t)
	fs.hierarchies = slices.DeleteFunc(fs.hierarchies, func(h Hierarchy) bool { return h.Version == 1 })
	return fs
}

// useDevices tries every access to some devices, for what a group allows.
func useDevices(dir string) {
	for _, minor := range []int{3, 5, 7} {
		name := filepath.Join(dir, fmt.Sprint(minor))
		for i, flags := range []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR} {
			fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
			if err == nil {
				unix.Close(fd)
			}
			fmt.Printf("1:%d %s %v\n", minor, []string{"r", "w", "rw"}[i], err)
		}
		for kind, mode := range map[string]uint32{"b": unix.S_IFBLK, "c": unix.S_IFCHR} {
			made := fmt.Sprintf("%s-%s", name, kind)
			err := unix.Mknod(made, mode|0o600, int(unix.Mkdev(1, uint32(minor))))
			_ = os.Remove(made)
			fmt.Printf("%s 1:%d m %v\n", kind, minor, err)
		}
	}
	os.Exit(0)
}

// devicesIn is what may be done in a group: the lines of useDevices, sorted.
func devicesIn(t *testing.T, g *Group) string {
	t.Helper()
	dir := t.TempDir()
	for _, minor := range []uint32{3, 5, 7} {
		if err := unix.Mknod(filepath.Join(dir, fmt.Sprint(minor)), unix.S_IFCHR|0o600, int(unix.Mkdev(1, minor))); err != nil {
			t.Fatal(err)
		}
	}
	cmd := helperCommand(t, "devices")
	cmd.Env = append(cmd.Env, "NSX_CGROUP_DIR="+dir)
	var out, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := g.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// What v1's controller and our program let processes do is the same.
func TestDevicesBindAsOnV1(t *testing.T) {
	testkit.RequireCgroup1(t, "devices")
	v1, v2 := openFS(t), pureV2(t)
	for _, settings := range [][]string{
		{"devices.deny=a"},
		{"devices.deny=a", "devices.allow=c 1:3 rwm"},
		{"devices.deny=a", "devices.allow=c 1:3 r", "devices.allow=c 1:* w", "devices.allow=b *:7 m"},
		{"devices.deny=c 1:5 w", "devices.deny=b *:* m"},
		{"devices.deny=c *:* rwm", "devices.allow=c *:* m"},
		{"devices.deny=a", "devices.allow=a", "devices.deny=c 1:7 m"},
	} {
		on1 := made(t, v1, "devices")
		set(t, on1, settings...)
		on2 := made(t, v2)
		set(t, on2, settings...)
		want, got := devicesIn(t, on1), devicesIn(t, on2)
		if got != want || !strings.Contains(got, "operation not permitted") {
			t.Errorf("%v: v1\n%s\nv2\n%s", settings, want, got)
		}
		if got, want := get(t, on2, "devices.list"), get(t, on1, "devices.list"); got != want {
			t.Errorf("%v: v1 has %q, v2 %q", settings, want, got)
		}
	}
}

// programsOf lists what is attached to the group itself.
func programsOf(t *testing.T, g *Group) []DeviceProgram {
	t.Helper()
	list, err := g.fs.v2().devicePrograms(g.path)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestDevicesOnV2(t *testing.T) {
	fs := pureV2(t)
	g := made(t, fs, "devices")
	if got := get(t, g, "devices.list"); got != "a *:* rwm" {
		t.Errorf("without rules: %q", got)
	}
	report := set(t, g, "devices.deny=a", "devices.allow=/dev/null rw", "devices.allow=b 8:* r")
	if len(report.Steps) != 1 || len(report.Adjusted()) > 0 {
		t.Errorf("%+v", report)
	}
	if got := get(t, g, "devices.list"); got != "c 1:3 rw\nb 8:* r" {
		t.Errorf("%q", got)
	}
	first := programsOf(t, g)
	if len(first) != 1 || first[0].Name != "nsx_devices" || first[0].Rules != "deny all but c 1:3 rw, b 8:* r" {
		t.Errorf("%+v", first)
	}

	// A second set replaces the first program, and goes on from its rules.
	set(t, g, "devices.allow=c 1:5 rwm", "devices.deny=c 1:3 w")
	second := programsOf(t, g)
	if len(second) != 1 || second[0].ID == first[0].ID {
		t.Errorf("%+v after %+v", second, first)
	}
	if got := get(t, g, "devices.list"); got != "c 1:3 r\nb 8:* r\nc 1:5 rwm" {
		t.Errorf("%q", got)
	}

	// A group below has what the one above has, and never more.
	below := child(t, g, "below")
	if got := get(t, below, "devices.list"); got != "c 1:3 r\nb 8:* r\nc 1:5 rwm" {
		t.Errorf("below: %q", got)
	}
	_, err := trySet(t, below, "devices.allow=c 1:7 rwm")
	refusedWith(t, err, unix.EPERM, "the group above does not allow that much", "c 1:5 rwm")
	_, err = trySet(t, below, "devices.allow=a")
	refusedWith(t, err, unix.EPERM, "deny all but")
	set(t, below, "devices.deny=c 1:3 r")
	set(t, g, "devices.deny=c 1:5 w")
	if got := get(t, below, "devices.list"); got != "b 8:* r\nc 1:5 rm" {
		t.Errorf("below, after the group above has less: %q", got)
	}
	stat, err := below.Stat(t.Context())
	if err != nil || len(stat.DevicePrograms) != 2 || stat.DevicePrograms[0].Group != g.path {
		t.Errorf("%+v, %v", stat.DevicePrograms, err)
	}

	// Back to all, nothing is left of ours.
	set(t, g, "devices.allow=a")
	if list := programsOf(t, g); len(list) != 0 {
		t.Errorf("left: %+v", list)
	}
	set(t, g, "devices.deny=c 1:7 rwm")
	v, err := g.Get(t.Context(), "devices.list")
	if err != nil || v[0].Value != "a *:* rwm" || len(v[0].Notes) != 1 || !strings.Contains(v[0].Notes[0], "c 1:7 rwm") {
		t.Errorf("%+v, %v", v, err)
	}
	_, err = trySet(t, below, "devices.allow=c 1:7 r")
	refusedWith(t, err, unix.EPERM, "allow all but c 1:7 rwm")
	_, err = trySet(t, g, "devices.list=a")
	refusedWith(t, err, unix.EPERM, "can only be read")
	_, err = g.Plan(t.Context(), Limits{Raw: []keys.Setting{{Key: "devices.allow", Value: "a"}}}, PlanOptions{})
	refusedWith(t, err, unix.ENOENT, "ruled by BPF programs")
	_, err = g.Get(t.Context(), "devices.allow")
	refusedWith(t, err, unix.EINVAL, "can only be set")
}

// A later write that fails puts the former program back, or none.
func TestDevicesUndone(t *testing.T) {
	fs := pureV2(t)
	for _, before := range [][]string{nil, {"devices.deny=a", "devices.allow=c 1:3 rwm"}} {
		g := made(t, fs)
		if before != nil {
			set(t, g, before...)
		}
		want, below := programsOf(t, g), child(t, g, "below")
		plan, err := g.Plan(t.Context(), Limits{Devices: []string{"/dev/zero"}, Raw: []keys.Setting{{Key: "cgroup.max.depth", Value: "nonsense"}}}, PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if text := plan.String(); !strings.Contains(text, fs.v2().Dir(g.path)+": BPF program nsx_devices ← deny all but c 1:5 rwm\n") {
			t.Error(text)
		}
		_, err = plan.Apply(t.Context())
		refusedWith(t, err, unix.EINVAL)
		if got := programsOf(t, g); len(got) != len(want) || len(got) == 1 && got[0].Rules != want[0].Rules {
			t.Errorf("%+v, want %+v", got, want)
		}
		_ = below
	}
}

// attachOther attaches a program as another program would, and takes it away.
func attachOther(t *testing.T, g *Group, name string, flags uint32, insns []linux.BPFInsn) {
	t.Helper()
	program, err := linux.BPFProgLoad(unix.BPF_PROG_TYPE_CGROUP_DEVICE, name, insns)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(program)
	dir, err := os.Open(g.fs.v2().Dir(g.path))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := linux.BPFProgAttach(int(dir.Fd()), program, unix.BPF_CGROUP_DEVICE, flags, 0); err != nil {
		t.Fatal(err)
	}
}

func TestDeviceProgramsOfOthers(t *testing.T) {
	fs := pureV2(t)
	g := made(t, fs)
	allow := []linux.BPFInsn{{Code: bpfSet, Imm: 1}, {Code: bpfCopy, Regs: 2 | 1<<4}, {Code: bpfExit}}
	attachOther(t, g, "sd_devices", unix.BPF_F_ALLOW_MULTI, allow)
	attachOther(t, g, "", unix.BPF_F_ALLOW_MULTI, allow)
	attachOther(t, g, deviceProgramName, unix.BPF_F_ALLOW_MULTI, allow) // in name only
	others := programsOf(t, g)
	if got := get(t, g, "devices.list"); strings.Contains(got, "a *:*") || !strings.Contains(got, "sd_devices") || !strings.Contains(got, "(no name)") {
		t.Errorf("%q", got)
	}
	below := child(t, g, "below")
	if got := get(t, below, "devices.list"); !strings.Contains(got, "program sd_devices") || !strings.Contains(got, g.path) {
		t.Errorf("below: %q", got)
	}
	for range 2 {
		plan, err := g.Plan(t.Context(), Limits{Devices: []string{"c 1:3 rwm"}}, PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(plan.Notes, "\n"), "what it denies stays denied") {
			t.Errorf("%q", plan.Notes)
		}
		if _, err := plan.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	all := programsOf(t, g)
	for i := range others {
		if all[i].ID != others[i].ID {
			t.Errorf("%+v, before %+v", all, others)
		}
	}
	if len(all) != 4 || !all[3].own {
		t.Errorf("%+v", all)
	}
	if got := get(t, g, "devices.list"); !strings.HasPrefix(got, "c 1:3 rwm\nprogram ") {
		t.Errorf("%q", got)
	}
	set(t, g, "devices.allow=a")
	if left := programsOf(t, g); len(left) != 3 {
		t.Errorf("%+v", left)
	}
	values, err := g.Get(t.Context())
	if err != nil || !slices.ContainsFunc(values, func(v KeyValue) bool { return v.Key == "devices.list" }) {
		t.Errorf("get of all: %v, %v", values, err)
	}
	// Where v1 has the controller, they are told of.
	hybrid := &Group{fs: openFS(t), path: g.path}
	if h, err := hybrid.fs.controller("devices"); err == nil && h.Version == 1 {
		create(t, hybrid, "devices")
		t.Cleanup(func() { _ = h.rmdir(g.path) })
		v, err := hybrid.Get(t.Context(), "devices.list")
		if err != nil || v[0].Value != "a *:* rwm" || !strings.Contains(strings.Join(v[0].Notes, "\n"), "sd_devices") {
			t.Errorf("%+v, %v", v, err)
		}
	}

	alone := made(t, fs)
	attachOther(t, alone, "alone", 0, allow)
	_, err = trySet(t, alone, "devices.deny=a")
	refusedWith(t, err, unix.EPERM, "tolerates no other", "program alone")
}

// Many rules are no trouble for the verifier.
func TestManyDeviceRules(t *testing.T) {
	g := made(t, pureV2(t))
	var rules []string
	for i := range 1000 {
		rules = append(rules, fmt.Sprintf("c %d:%d rw", i/50, i%50))
	}
	plan, err := g.Plan(t.Context(), Limits{Devices: rules}, PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := get(t, g, "devices.list"); got != strings.Join(rules, "\n") {
		t.Errorf("%.200q", got)
	}
}

// Without the capabilities nothing is known, and the one that lacks is named.
func TestDevicesWithoutRights(t *testing.T) {
	testkit.RequireCgroup2(t)
	fs := openFS(t)
	h := fs.v2()
	b := &bpfError{"BPF_PROG_LOAD", unix.EPERM, true, []int{unix.CAP_BPF, unix.CAP_NET_ADMIN}}
	if os.Geteuid() == 0 {
		e := fs.explainBPF("set", h, "/", b)
		refusedWith(t, e, unix.EPERM, "seccomp filter or a security module")
		return
	}
	refusedWith(t, fs.explainBPF("set", h, "/", b), unix.EPERM, "CAP_BPF and CAP_NET_ADMIN, which this process lacks")
	fs.hierarchies = []Hierarchy{*h}
	root := &Group{fs: fs, path: "/"}
	_, err := root.Get(t.Context(), "devices.list")
	refusedWith(t, err, unix.EPERM, "CAP_NET_ADMIN, which this process lacks (or CAP_SYS_ADMIN)")
	if stat, err := root.Stat(t.Context()); err != nil || stat.DevicePrograms != nil {
		t.Errorf("%+v, %v", stat.DevicePrograms, err)
	}
}
