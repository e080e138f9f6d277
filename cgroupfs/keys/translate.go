package keys

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/words"
)

// Formula is how cpu.shares become cpu.weight and back.
type Formula string

// The formulas. Only the ratio keeps the proportion between siblings.
const (
	FormulaRatio  Formula = "ratio"   // weight = 100*shares/1024; the default
	FormulaOCI    Formula = "oci"     // the curve of runc 1.3.2, crun 1.23 and later
	FormulaOCIOld Formula = "oci-old" // 1+(shares-2)*9999/262142, of those before and of Kubernetes
)

// Translation is settings in one version's spelling.
type Translation struct {
	Settings []Setting `json:"settings"`
	// Notes say what was rounded, clamped, or means something else over there.
	Notes []string `json:"notes"`
}

// TranslateOptions is how to translate.
type TranslateOptions struct {
	// To is the version to translate to, 1 or 2; 0 for the other one than
	// that of the keys.
	To int
	// Formula is FormulaRatio if empty.
	Formula Formula
	// Machine answers what the words alone do not say.
	Machine Machine
}

// Machine is what a translation asks the machine that it is for. What is nil is
// not known.
type Machine struct {
	// Device finds a disk by a word that is not MAJOR:MINOR.
	Device func(word string) (Device, error)
	// DeviceRule spells a rule of devices.allow or devices.deny as v1 takes it.
	DeviceRule func(text string) (string, error)
	// Current reads a file of the group, of the version translated to; nil
	// when no group is at hand.
	Current func(key string) (string, bool)
	// Top reads a file of the hierarchy's root, "" if it cannot; nil when there
	// is no hierarchy at hand.
	Top func(key string) string
	// Scheduler is a disk's I/O scheduler, Schedulers are those of all disks.
	Scheduler  func(d string) string
	Schedulers func() []string
}

// Translate spells settings for the other version, as exactly as that can say
// it. A setting that has no counterpart, or one with another meaning, is an
// error that explains the choice. Sizes may have units; no cgroup is touched.
func Translate(o TranslateOptions, settings ...Setting) (Translation, error) {
	if o.To == 0 {
		to, err := otherVersion(settings)
		if err != nil {
			return Translation{}, err
		}
		o.To = to
	}
	t := &translator{to: o.To, formula: o.Formula, m: o.Machine}
	if err := t.run(settings); err != nil {
		return Translation{}, err
	}
	return t.out, nil
}

// otherVersion is the one that the settings' keys are not of.
func otherVersion(settings []Setting) (int, error) {
	var key [3]string
	for _, s := range settings {
		key[Version(s.Key)] = s.Key
	}
	switch {
	case key[1] != "" && key[2] != "":
		return 0, fmt.Errorf("%s is of v1 and %s of v2: say to which version: %w", key[1], key[2], invalid)
	case key[2] != "":
		return 1, nil
	}
	return 2, nil
}

// Version is the version whose spelling a key is, or 0 for both's and for
// unknown ones.
func Version(key string) int {
	if _, ok := v1Only[key]; ok {
		return 1
	}
	if _, ok := v2Only[key]; ok {
		return 2
	}
	r := ruleFor(key)
	switch {
	case r == nil || slices.Contains(r.v1, key) && slices.Contains(r.v2, key):
		return 0
	case slices.Contains(r.v1, key):
		return 1
	}
	return 2
}

// rule is one resource: the keys by which each version sets it. Its function
// takes those of either version and emits those of the translator's.
type rule struct {
	v1, v2 []string
	apply  func(t *translator, in values) error
}

// values are the values given for each key, in their order: keys for devices
// may come several times.
type values map[string][]string

// rules is a function, not a variable, since packages do nothing at start.
func rules() []rule {
	return []rule{
		{[]string{"cpu.shares"}, []string{"cpu.weight"}, cpuWeight},
		{
			[]string{"cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.cfs_burst_us"},
			[]string{"cpu.max", "cpu.max.burst"},
			cpuMax,
		},
		{
			[]string{"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"},
			[]string{"memory.max", "memory.swap.max"},
			memoryMax,
		},
		{
			[]string{"blkio.weight", "blkio.weight_device", "blkio.bfq.weight", "blkio.bfq.weight_device"},
			[]string{"io.weight", "io.bfq.weight"},
			ioWeight,
		},
		{
			[]string{
				"blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device",
				"blkio.throttle.read_iops_device", "blkio.throttle.write_iops_device",
			},
			[]string{"io.max"},
			ioMax,
		},
		{[]string{"cpuset.cpu_exclusive"}, []string{"cpuset.cpus.partition"}, cpusetPartition},
		{[]string{"freezer.state"}, []string{"cgroup.freeze"}, freezerState},
		same("pids.max", checkPIDs),
		cpusetList("cpuset.cpus"),
		cpusetList("cpuset.mems"),
		same("cpu.idle", checkSwitch),
		same("cpu.uclamp.min", nil),
		same("cpu.uclamp.max", nil),
		same("rdma.max", nil),
		same("misc.max", nil),
	}
}

// ruleFor finds a key's rule.
func ruleFor(key string) *rule {
	if r := hugetlbRule(key); r != nil {
		return r
	}
	for _, r := range rules() {
		if slices.Contains(r.v1, key) || slices.Contains(r.v2, key) {
			return &r
		}
	}
	return nil
}

// translator is one run of Translate.
type translator struct {
	to      int
	formula Formula
	m       Machine
	out     Translation
}

// disk reads a block device.
func (t *translator) disk(word string) (Device, error) {
	if d, ok := ParseDeviceNumber(word); ok || t.m.Device == nil {
		if !ok {
			return d, fmt.Errorf("device %s: want MAJOR:MINOR: %w", words.Quote(word), invalid)
		}
		return d, nil
	}
	return t.m.Device(word)
}

// deviceSetting checks a rule and spells it as v1's files take it.
func (t *translator) deviceSetting(s Setting) error {
	text := s.Value
	if t.m.DeviceRule != nil {
		var err error
		if text, err = t.m.DeviceRule(s.Value); err != nil {
			return fmt.Errorf("%s: %w", s.Key, err)
		}
	}
	if t.to == 2 && t.m.Current == nil {
		t.note("v2 has no file %s: there devices are ruled by a BPF program, which is made of such rules where they are set", s.Key)
	}
	t.emit(s.Key, text)
	return nil
}

// IsDevices says that a key changes the list of devices.
func IsDevices(key string) bool { return key == "devices.allow" || key == "devices.deny" }

// Spellings are the keys by which each version sets the resource that a key is
// about; none if the key has no counterpart.
func Spellings(key string) (v1, v2 []string) {
	if r := ruleFor(key); r != nil {
		return r.v1, r.v2
	}
	return nil, nil
}

// Instead says what to do where a version has nothing like a key of the other's,
// "" if it has.
func Instead(key string) string { return cmp.Or(v1Only[key], v2Only[key]) }

func (t *translator) run(settings []Setting) error {
	t.out = Translation{Settings: []Setting{}, Notes: []string{}}
	switch t.formula {
	case "", FormulaRatio, FormulaOCI, FormulaOCIOld:
	default:
		return fmt.Errorf("formula %s: want ratio, oci or oci-old: %w", words.Quote(string(t.formula)), invalid)
	}
	if t.to != 1 && t.to != 2 {
		return fmt.Errorf("version %d: want 1 or 2: %w", t.to, invalid)
	}
	done := map[string]bool{}
	for i, s := range settings {
		if err := Check(s.Key); err != nil {
			return err
		}
		if err := NoLimit(s.Key); err != nil {
			return err
		}
		if IsDevices(s.Key) { // their order counts
			if err := t.deviceSetting(s); err != nil {
				return err
			}
			continue
		}
		r := ruleFor(s.Key)
		if r == nil {
			if err := t.single(s); err != nil {
				return err
			}
			continue
		}
		if done[s.Key] {
			continue // went with the first key of its rule
		}
		in := values{}
		for _, other := range settings[i:] {
			if slices.Contains(r.v1, other.Key) || slices.Contains(r.v2, other.Key) {
				in[other.Key] = append(in[other.Key], other.Value)
				done[other.Key] = true
			}
		}
		if err := r.apply(t, in); err != nil {
			return fmt.Errorf("%s: %w", s.Key, err)
		}
	}
	return nil
}

// single passes on a key that has no rule, if it is of the right version.
func (t *translator) single(s Setting) error {
	for version, only := range []map[string]string{1: v1Only, 2: v2Only} {
		why, ok := only[s.Key]
		if !ok {
			continue
		}
		value, err := t.valueOf(s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Key, err)
		}
		switch {
		case version == t.to:
			t.emit(s.Key, value)
		case asksNothing(s.Key, value):
			t.note("%s is what v%d has anyway: there is nothing to write", s, t.to)
		default:
			return t.refuse(s, fmt.Sprintf("v%d has no counterpart; %s", t.to, why))
		}
		return nil
	}
	if t.m.Current == nil {
		return t.refuse(s, "the key is not known, so neither is its counterpart")
	}
	t.emit(s.Key, s.Value)
	return nil
}

// valueOf spells the value of a key without a rule as the kernel wants it: sizes
// as numbers, disks by theirs.
func (t *translator) valueOf(s Setting) (string, error) {
	first, rest, more := strings.Cut(strings.TrimSpace(s.Value), " ")
	switch {
	case sizeKeys[s.Key]:
		n, err := ParseSize(s.Value)
		return SpellSize(t.to, n), err
	case s.Key == "memory.reclaim": // SIZE [swappiness=N]
		n, err := ParseSize(first)
		if err == nil && n == Unlimited {
			err = fmt.Errorf("%s: want how much to reclaim, such as 512M: %w", words.Quote(s.Value), invalid)
		}
		first = SpellSize(t.to, n)
		if err != nil || !more {
			return first, err
		}
		return first + " " + strings.TrimSpace(rest), nil
	case diskKeys[s.Key] && more:
		d, err := t.disk(first)
		return d.String() + " " + strings.TrimSpace(rest), err
	}
	return s.Value, nil
}

func (t *translator) refuse(s Setting, why string) error {
	return &refusal{fmt.Sprintf("translate %s to v%d", s, t.to), why, unix.EOPNOTSUPP, ErrUnsupported}
}

func (t *translator) emit(key, value string) {
	t.out.Settings = append(t.out.Settings, Setting{key, value})
}

func (t *translator) note(format string, args ...any) {
	t.out.Notes = append(t.out.Notes, fmt.Sprintf(format, args...))
}

// live reads a present value of the group, if there is a group.
func (t *translator) live(key string) (string, bool) {
	if t.m.Current == nil {
		return "", false
	}
	text, ok := t.m.Current(key)
	return strings.TrimSpace(text), ok
}

// liveSize is live for a size.
func (t *translator) liveSize(key string) (int64, bool) {
	text, ok := t.live(key)
	if !ok {
		return 0, false
	}
	return ReadSize(text)
}

// one is the value of a key that may come only once.
func (in values) one(key string) (string, bool, error) {
	list := in[key]
	if len(list) > 1 {
		return "", false, fmt.Errorf("%s is given more than once: %w", key, invalid)
	}
	if len(list) == 0 {
		return "", false, nil
	}
	return list[0], true, nil
}

// size is one, read as a size; nil if it is not given.
func (in values) size(key string) (*int64, error) {
	word, ok, err := in.one(key)
	if !ok || err != nil {
		return nil, err
	}
	n, err := ParseSize(word)
	if err != nil {
		return nil, err
	}
	return &n, nil
}

// onlyOne refuses two spellings of one thing.
func onlyOne(a string, hasA bool, b string, hasB bool) error {
	if hasA && hasB {
		return fmt.Errorf("%s and %s say the same thing; give one: %w", a, b, invalid)
	}
	return nil
}
