package cgroupfs

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nsx/cgroupfs/keys"
)

// v2 has no files for devices: BPF programs rule them. devices.allow, devices.deny
// and devices.list mean what they mean on v1 (Documentation/admin-guide/cgroup-v1/
// devices.rst), where that controller is not mounted: the list of a group becomes
// a program of ours, and is read back from it. As on v1 a group that gets its own
// list begins with that of the group above and never has more. Otherwise than on
// v1 nothing is copied before that, so a group without its own follows the one
// above it.

// isDevices says that a key is about devices that BPF programs rule.
func (g *Group) isDevices(h *Hierarchy, key string) bool {
	return h.Version == 2 && (keys.IsDevices(key) || key == "devices.list")
}

// deviceChange is the list that a step gives to a group, and what was before it.
type deviceChange struct {
	list, old deviceList
	hidden    bool // what was before it is not known
	replaced  []uint32
}

// planDevices adds the step that does what v1's files would do with the settings,
// one after the other.
func (g *Group) planDevices(p *Plan, h *Hierarchy, settings []keys.Setting) error {
	for _, s := range settings {
		if !keys.IsDevices(s.Key) {
			return &Error{Op: "set " + s.Key, Group: g.path, Err: unix.EPERM, Reason: ErrNoLimit, Cause: "it can only be read", Next: "set devices.deny and devices.allow"}
		}
	}
	state, err := h.devices(g.path)
	if errors.Is(err, unix.EBADF) { // a captured tree
		p.Notes = append(p.Notes, "what BPF programs are attached is in no file: the plan is for a group without any")
		err = nil
	}
	if err != nil {
		return g.fs.explainBPF("set devices of "+g.path, h, g.path, err)
	}
	c := &deviceChange{list: state.list, old: togetherOf(state.own), hidden: len(state.hidden) > 0, replaced: ids(state.own)}
	for i, s := range settings {
		rule, all, err := parseDeviceRule(g.fs.root, s.Value)
		if err != nil {
			return err
		}
		if i == 0 && c.hidden && !all {
			return hiddenRules("set devices of "+g.path, state.hidden)
		}
		var ok bool
		if c.list, ok = c.list.change(s.Key == "devices.allow", rule, all, state.above); !ok {
			return &Error{
				Op: "set devices of " + g.path, Group: g.path, Value: s.String(), Err: unix.EPERM, Reason: ErrValue,
				Cause: "the group above does not allow that much: " + state.above.String(), Next: "allow it there first",
			}
		}
	}
	for _, other := range state.others {
		p.Notes = append(p.Notes, other.String()+" restricts devices too: what it denies stays denied")
	}
	value := c.list.String()
	if !c.list.restricts() {
		value = "none: allow all"
	}
	p.Steps = append(p.Steps, Step{Path: h.Dir(g.path), Program: deviceProgramName, Value: value, group: g.path, h: h, devices: c})
	return nil
}

func hiddenRules(op string, hidden []DeviceProgram) error {
	return &Error{
		Op: op, Err: unix.EPERM,
		Cause: "the rules of " + hidden[0].String() + " cannot be read back, for the kernel hides the constants of programs (net.core.bpf_jit_harden is 2)",
		Next:  "give the whole list, beginning with devices.deny=a",
	}
}

// do attaches the program and reads back what it says.
func (c *deviceChange) do(a *Applied) error {
	a.Old = c.old.String()
	if err := a.h.putDevices(a.group, c.list, c.replaced); err != nil {
		return err
	}
	a.wrote = true
	programs, err := a.h.devicePrograms(a.group)
	if err != nil {
		return err
	}
	now := togetherOf(ownOf(programs))
	a.Now = now.String()
	if !now.equal(c.list) && !c.hidden {
		a.Change = "changed"
	}
	return nil
}

// undo gives the group the list that it had.
func (c *deviceChange) undo(a Applied) error {
	if c.hidden {
		return errors.New("the rules that were there before could not be read")
	}
	programs, err := a.h.devicePrograms(a.group)
	if err != nil {
		return err
	}
	return a.h.putDevices(a.group, c.old, ids(ownOf(programs)))
}

func ownOf(programs []DeviceProgram) []DeviceProgram {
	var own []DeviceProgram
	for _, p := range programs {
		if p.own {
			own = append(own, p)
		}
	}
	return own
}

// getDevices reads devices.list as v1 would show it. Programs of others have a
// line each, for what they allow is not known; without any rules of ours there is
// nothing but those.
func (g *Group) getDevices(h *Hierarchy, key string) (KeyValue, error) {
	op := "read " + g.path
	if key != "devices.list" {
		return KeyValue{}, &Error{Op: op, Group: g.path, Value: key, Err: unix.EINVAL, Reason: ErrUnsupported, Cause: "it can only be set", Next: "read devices.list"}
	}
	s, err := h.devices(g.path)
	if err != nil {
		return KeyValue{}, g.fs.explainBPF(op, h, g.path, err)
	}
	if len(s.hidden) > 0 {
		return KeyValue{}, hiddenRules(op, s.hidden)
	}
	v := KeyValue{Key: key, File: h.Dir(g.path)}
	var lines []string
	if len(s.others) == 0 || s.list.restricts() {
		lines = append(lines, s.list.list())
	}
	for _, p := range s.others {
		lines = append(lines, p.String())
	}
	v.Value = strings.Join(lines, "\n")
	if s.list.allow && len(s.list.exceptions) > 0 {
		v.Notes = append(v.Notes, "denied is "+joinRules(s.list.exceptions, ", ")+", which such a list does not show")
	}
	if len(s.rest) > 0 {
		v.Notes = append(v.Notes, "a group above denies of these "+joinRules(s.rest, ", "))
	}
	return v, nil
}

// allDevices is getDevices among all that can be read: where a program restricts
// anything.
func (g *Group) allDevices() []KeyValue {
	h, err := g.hierarchyFor("devices.list")
	programs, err2 := g.DevicePrograms()
	if err != nil || err2 != nil || h.Version != 2 || len(programs) == 0 {
		return nil
	}
	v, err := g.getDevices(h, "devices.list")
	if err != nil {
		return nil
	}
	return []KeyValue{v}
}

// besidesV1 says which programs rule devices on v2 besides v1's list.
func (g *Group) besidesV1() []string {
	programs, err := g.DevicePrograms()
	if err != nil {
		return nil
	}
	var notes []string
	for _, p := range programs {
		notes = append(notes, "on v2 "+p.String()+" restricts devices too")
	}
	return notes
}

// write gives the step's file its value. v1 takes "a" only for a group without
// others below, and a group that was removed goes a moment later (css_offline).
func (s Step) write() error {
	err := s.h.write(s.group, s.File, s.Value)
	if !keys.IsDevices(s.File) || s.Value != "a" {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = until(ctx, func() (done bool, _ error) {
		below, err2 := s.h.list(s.group, true)
		if !errors.Is(err, unix.EINVAL) || err2 != nil || len(below) > 0 {
			return true, nil
		}
		err = s.h.write(s.group, s.File, s.Value)
		return false, nil
	})
	return err
}
