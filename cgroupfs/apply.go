package cgroupfs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nsx/internal/words"
)

// Report is what Apply did.
type Report struct {
	Steps []Applied `json:"steps"`
	// Created says that the plan's group was in no hierarchy before, and that it was
	// made: whoever made it may remove it in the end.
	Created bool `json:"created"`
}

// Applied is a step that was done, and what came of it.
type Applied struct {
	Step
	// Old is what the file held before, and Now what it holds after: for
	// settings of a device, of that device only.
	Old string `json:"old"`
	Now string `json:"now"`
	// Change says how Now differs from what was written, in the same word each
	// time that it is written: "rounded", "clamped", "changed", or "ignored" where
	// the kernel took it and did nothing; empty if it is that.
	Change string `json:"change,omitempty"`
	// Effects are what the write changed elsewhere: a partition that became invalid,
	// a limit that went with its file.
	Effects []string `json:"effects,omitempty"`

	made, wrote bool
}

// String is one line for people.
func (a Applied) String() string {
	if a.Change == "" {
		return a.Step.String()
	}
	if a.onlyForWriter() {
		return fmt.Sprintf("%s: ignored: a reset holds for the descriptor that it was written to, and no longer than that is open", a.Step)
	}
	return fmt.Sprintf("%s: %s by the kernel: it is now %s", a.Step, a.Change, words.Quote(a.Now))
}

// Adjusted lists the values that the kernel did not take as they were.
func (r Report) Adjusted() []Applied {
	var list []Applied
	for _, a := range r.Steps {
		if a.Change != "" {
			list = append(list, a)
		}
	}
	return list
}

// Apply does the steps in their order and reads every value back. If one
// fails, or ctx ends before all are done, those before it are undone; the error
// is the *Error of that one, or says that it was interrupted.
func (p *Plan) Apply(ctx context.Context) (Report, error) {
	var done []Applied
	there := len(p.fs.with(p.Group)) > 0
	fail := func(err error) (Report, error) { return Report{Steps: []Applied{}}, together(err, undo(done)) }
	for _, s := range p.Steps {
		if err := interrupted(ctx, "set up "+p.Group); err != nil {
			return fail(err)
		}
		a, err := s.do()
		if err == nil || a.wrote {
			done = append(done, a)
		}
		switch {
		case err == nil:
		case s.Mkdir:
			return fail(p.fs.explainMkdir(s, err))
		default:
			return fail(p.fs.explainWrite(s, err))
		}
	}
	// The last one may have taken its time: memory.max reclaims.
	if err := interrupted(ctx, "set up "+p.Group); err != nil {
		return fail(err)
	}
	made := slices.ContainsFunc(done, func(a Applied) bool { return a.made && a.group == p.Group })
	return Report{Steps: done, Created: made && !there}, nil
}

func (s Step) do() (Applied, error) {
	a := Applied{Step: s}
	if s.Mkdir {
		err := s.h.mkdir(s.group)
		a.made = err == nil
		if errors.Is(err, unix.EEXIST) {
			err = nil
		}
		return a, err
	}
	if s.devices != nil {
		err := s.devices.do(&a)
		return a, err
	}
	if !s.writeOnly() {
		text, err := s.h.read(s.group, s.File)
		if err != nil {
			return a, err
		}
		a.Old = s.mine(text)
	} else if list, err := s.h.read(s.group, "devices.list"); err == nil {
		a.Old = list
	}
	before := s.besides()
	if err := s.write(); err != nil {
		return a, err
	}
	a.wrote = true
	a.Effects = s.effects(before)
	if s.writeOnly() {
		return a, nil
	}
	text, err := s.h.read(s.group, s.File)
	if err != nil {
		return a, err
	}
	a.Now = s.mine(text)
	a.Change = s.compare(a.Now)
	return a, nil
}

// Undo puts back what was there before Apply, for a caller who fails with what
// comes after it. What others have removed or filled meanwhile stays.
func (r Report) Undo() error { return errors.Join(undo(r.Steps)...) }

// undo puts back what was there before, the last step first.
func undo(done []Applied) []error {
	var errs []error
	for _, a := range slices.Backward(done) {
		var err error
		switch {
		case a.Mkdir && a.made:
			err = a.h.rmdir(a.group)
		case a.Mkdir:
		case a.devices != nil:
			err = a.devices.undo(a)
		case a.writeOnly():
			err = a.undoDevices()
		default:
			if value, ok := a.before(); ok {
				err = a.h.write(a.group, a.File, value)
			}
		}
		if err != nil && !isGone(err) {
			errs = append(errs, fmt.Errorf("undo %s: %w", a.Step, err))
		}
	}
	return errs
}

// before is the value to write for what the file held.
func (a Applied) before() (string, bool) {
	if of := a.control().before; of != nil {
		return of(a)
	}
	device, _, perDevice := a.device()
	switch {
	case perDevice && a.Old != "":
		return device.String() + " " + a.Old, true
	case perDevice && a.h.Version == 2:
		return device.String() + " default", true
	case perDevice:
		return device.String() + " 0", true
	}
	return a.Old, true
}

// subtreeBefore reverses only what was not so before.
func (a Applied) subtreeBefore() (string, bool) {
	old := strings.Fields(a.Old)
	var words []string
	for word := range strings.FieldsSeq(a.Value) {
		name := word[1:]
		if had := slices.Contains(old, name); had != (word[0] == '+') {
			words = append(words, map[bool]string{true: "+", false: "-"}[had]+name)
		}
	}
	return strings.Join(words, " "), len(words) > 0
}

// undoDevices makes v1's list of allowed devices what it was.
func (a Applied) undoDevices() error {
	if !strings.HasPrefix(a.File, "devices.") {
		return nil // an action such as memory.force_empty
	}
	if strings.HasPrefix(a.Old, "a ") {
		return a.h.write(a.group, "devices.allow", "a")
	}
	err := a.h.write(a.group, "devices.deny", "a")
	for line := range strings.Lines(a.Old) {
		err = errors.Join(err, a.h.write(a.group, "devices.allow", strings.TrimSpace(line)))
	}
	return err
}
