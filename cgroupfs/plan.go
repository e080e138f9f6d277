package cgroupfs

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
	"nsx/internal/reason"
	"nsx/internal/words"
)

// Plan is all that is to be done, in order. Apply does exactly that.
type Plan struct {
	// Group is the path of the group that it is about.
	Group string `json:"group"`
	Steps []Step `json:"steps"`
	// Notes say what was rounded, clamped, or means something else on the
	// version that the controller is on.
	Notes []string `json:"notes"`

	fs *FS
}

// Step is one directory to make, one value to write, or one program to attach.
type Step struct {
	// Mkdir says that Path is to be made.
	Mkdir bool `json:"mkdir,omitempty"`
	// Path is the directory of the group, File the control file in it.
	Path  string `json:"path"`
	File  string `json:"file,omitempty"`
	Value string `json:"value,omitempty"`
	// Program is the name of a BPF program that is attached to the group in the
	// place of the one before, and Value what it does; see DeviceProgram.
	Program string `json:"program,omitempty"`

	group   string
	h       *Hierarchy
	devices *deviceChange
}

// String is "mkdir PATH", "PATH/FILE ← VALUE" or "PATH: BPF program NAME ← VALUE".
func (s Step) String() string {
	if s.Mkdir {
		return "mkdir " + s.Path
	}
	return fmt.Sprintf("%s ← %s", s.target(), s.Value)
}

// target is what is written.
func (s Step) target() string {
	if s.devices != nil {
		return s.Path + ": BPF program " + s.Program
	}
	return path.Join(s.Path, s.File)
}

// PlanOptions is how to plan.
type PlanOptions struct {
	// Formula is FormulaRatio if empty.
	Formula keys.Formula
}

func (g *Group) newPlan() *Plan {
	return &Plan{Group: g.path, Steps: []Step{}, Notes: []string{}, fs: g.fs}
}

func (p *Plan) write(h *Hierarchy, group, file, value string) {
	p.Steps = append(p.Steps, Step{Path: h.Dir(group), File: file, Value: value, group: group, h: h})
}

func (p *Plan) mkdir(h *Hierarchy, group string) {
	p.Steps = append(p.Steps, Step{Mkdir: true, Path: h.Dir(group), group: group, h: h})
}

// Plan works out the writes that set the limits. It changes nothing, and
// fails on whatever can be known to fail.
func (g *Group) Plan(ctx context.Context, l Limits, o PlanOptions) (*Plan, error) {
	op := "set limits of " + g.path
	if _, err := g.need(op); err != nil {
		return nil, err
	}
	if err := g.guard(op, VerbSet); err != nil {
		return nil, err
	}
	p := g.newPlan()
	g.noteForced(p)
	if err := g.planLimits(ctx, p, l, o); err != nil {
		return nil, err
	}
	for _, s := range p.Steps {
		if err := interrupted(ctx, op); err != nil {
			return nil, err
		}
		if ok, err := s.h.exists(s.group, s.File); s.devices == nil && err != nil {
			return nil, &Error{Op: op, Group: g.path, File: path.Join(s.Path, s.File), Err: bare(err)}
		} else if s.devices == nil && !ok {
			return nil, g.fs.explainWrite(s, &Error{Err: unix.ENOENT})
		}
		if err := g.checkMemory(s); err != nil {
			return nil, err
		}
		p.notePIDs(s)
	}
	g.noteBelow(ctx, p)
	return p, nil
}

// Set is Plan and Apply.
func (g *Group) Set(ctx context.Context, l Limits, o PlanOptions) (Report, error) {
	p, err := g.Plan(ctx, l, o)
	if err != nil {
		return Report{}, err
	}
	return p.Apply(ctx)
}

// planLimits adds the writes, translated for each hierarchy.
func (g *Group) planLimits(ctx context.Context, p *Plan, l Limits, o PlanOptions) error {
	type share struct {
		h        *Hierarchy
		settings []keys.Setting
	}
	var shares []*share
	for _, s := range l.List() {
		h, err := g.hierarchyFor(s.Key)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(shares, func(x *share) bool { return x.h == h })
		if i < 0 {
			i = len(shares)
			shares = append(shares, &share{h: h})
		}
		shares[i].settings = append(shares[i].settings, s)
	}
	for _, x := range shares {
		if err := interrupted(ctx, "set limits of "+g.path); err != nil {
			return err
		}
		out, err := keys.Translate(keys.TranslateOptions{To: x.h.Version, Formula: o.Formula, Machine: g.machine(x.h)}, x.settings...)
		if err != nil {
			return err
		}
		var devices []keys.Setting
		for _, s := range out.Settings {
			if g.isDevices(x.h, s.Key) {
				devices = append(devices, s)
				continue
			}
			g.noteProtection(p, x.h, s)
			p.write(x.h, g.path, s.Key, s.Value)
		}
		if len(devices) > 0 {
			if err := g.planDevices(p, x.h, devices); err != nil {
				return err
			}
		}
		p.Notes = append(p.Notes, out.Notes...)
	}
	for _, s := range l.Raw {
		if err := g.planRaw(p, s); err != nil {
			return err
		}
	}
	return nil
}

// planRaw finds the hierarchy where the group has a file of that very name.
func (g *Group) planRaw(p *Plan, s keys.Setting) error {
	if err := keys.NoLimit(s.Key); err != nil {
		return err
	}
	if s.Value == "" && !strings.HasPrefix(s.Key, "cpuset.") {
		return fmt.Errorf("%s: an empty value: %w, which the kernel would take for 0 or not at all", s.Key, reason.ErrInvalid)
	}
	h, err := g.hierarchyFor(s.Key)
	for _, other := range g.in() {
		if other.has(g.path, s.Key) && (err != nil || !h.has(g.path, s.Key)) {
			h, err = other, nil
		}
	}
	if err != nil {
		return err
	}
	if g.isDevices(h, s.Key) {
		return &Error{
			Op: "set limits of " + g.path, Group: g.path, Value: s.String(), Err: unix.ENOENT, Reason: ErrUnsupported,
			Cause: "v2 has no file of that name: devices are ruled by BPF programs there", Next: "set it as it is meant, not raw",
		}
	}
	p.write(h, g.path, s.Key, s.Value)
	return nil
}

// hierarchyFor is the hierarchy that a key's controller is on. Freezing is in
// the core of v2, so it is there if the group is.
func (g *Group) hierarchyFor(key string) (*Hierarchy, error) {
	if err := keys.Check(key); err != nil {
		return nil, err
	}
	if err := keys.NoLimit(key); err != nil {
		return nil, err
	}
	if only := g.fs.only(); only != nil && keys.Controller(key) == "cgroup" {
		return only, nil
	}
	if key == "cgroup.clone_children" { // of every v1 hierarchy, and only cpusets mind it
		return g.fs.controller("cpuset")
	}
	v2 := g.fs.v2()
	switch keys.Controller(key) {
	case "freezer", "cgroup":
		if v2 != nil && (v2.has(g.path, "") || keys.Version(key) == 2 && key != "cgroup.freeze") {
			return v2, nil
		}
		return g.fs.controller("freezer")
	}
	return g.fs.controller(keys.Controller(key))
}

// notePIDs says what a limit below the present number means, which the kernel
// takes without a word.
func (p *Plan) notePIDs(s Step) {
	if s.File != "pids.max" {
		return
	}
	limit, ok := keys.ReadSize(s.Value)
	now, err := s.h.read(s.group, "pids.current")
	running, ok2 := parseCount(now)
	if err == nil && ok && ok2 && running > limit {
		p.Notes = append(p.Notes, fmt.Sprintf("%s in %s already: they go on, and nothing new starts until fewer than %d are left", words.Count(running, "process or thread runs", "processes and threads run"), s.group, limit))
	}
}

// checkMemory refuses a v2 limit below the present use: the kernel would take
// it, and kill.
func (g *Group) checkMemory(s Step) error {
	if s.File != "memory.max" || g.force {
		return nil
	}
	limit, ok := keys.ReadSize(s.Value)
	text, err := s.h.read(s.group, "memory.current")
	used, ok2 := keys.ReadSize(text)
	if ignoreGone(err) != nil {
		return asError("set limits of "+g.path, err)
	}
	if err != nil || !ok || !ok2 || used <= limit {
		return nil
	}
	return &Error{
		Op: "set limits of " + g.path, Group: g.path, File: path.Join(s.Path, s.File), Value: s.Value, Err: unix.EBUSY, Reason: ErrWouldKill,
		Cause: fmt.Sprintf("the group uses %s (memory.current), and the kernel would kill processes to get below the limit", keys.FormatSize(used)),
		Next:  "set memory.high first and let it shrink",
	}
}

// String is the steps, one a line.
func (p *Plan) String() string {
	lines := make([]string, len(p.Steps))
	for i, s := range p.Steps {
		lines[i] = s.String()
	}
	return strings.Join(lines, "\n")
}
