package who

import (
	"context"
	"errors"
	"slices"

	"nsx/inspect"
)

// Options says how to look.
type Options struct {
	// All also looks at namespaces that nothing but a descriptor, a socket or another
	// mount namespace holds, which costs as much as everything else, or more.
	All bool
	// Lenient makes words that mean nothing answers that were not found, where they
	// would be inspect.ErrUsage.
	Lenient bool
}

// Ask answers questions about a machine.
func Ask(ctx context.Context, m inspect.Machine, words []string, o Options) (*Report, error) {
	questions := make([]question, len(words))
	wrong := make([]error, len(words))
	needNetworks, needThreads := false, false
	for i, word := range words {
		questions[i], wrong[i] = parse(word)
		if wrong[i] != nil && !o.Lenient {
			return nil, wrong[i]
		}
		needNetworks = needNetworks || wrong[i] == nil && questions[i].network()
		needThreads = needThreads || questions[i].ref.TID != 0
	}
	look := inspect.Options{
		Relations: true, Cgroups: true, Names: true, Binds: true, ForChildren: true, Sets: true, Threads: needThreads,
		Holders: o.All, Details: inspect.AllDetails, MaxCmdline: 4096,
	}
	snapshot, err := m.Scan(ctx, look)
	if err == nil && !o.All && heldElsewhere(ctx, m, snapshot, questions) {
		look.Holders = true
		snapshot, err = m.Scan(ctx, look)
	}
	if err != nil {
		return nil, err
	}
	a := &asker{ctx: ctx, machine: m, lenient: o.Lenient, snapshot: snapshot, report: &Report{Snapshot: snapshot, Holders: look.Holders, machine: m}}
	if needNetworks {
		if err := a.readNetworks(); err != nil {
			return nil, err
		}
	}
	for i := range questions {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if wrong[i] != nil {
			a.nothing(question{word: words[i]}, wrong[i].Error())
			continue
		}
		if err := a.answer(questions[i]); err != nil {
			return nil, err
		}
	}
	r := a.report
	r.Unreadable = []inspect.Unreadable{}
	for _, u := range snapshot.Unreadable {
		if slices.ContainsFunc(questions, func(q question) bool { return matters(u, q) }) {
			r.Unreadable = append(r.Unreadable, u)
		}
	}
	r.Unreadable = append(r.Unreadable, a.refused...)
	r.Complete = len(r.Unreadable) == 0 && len(r.Gaps) == 0 && !r.Unsupported && snapshot.Hidden == ""
	return r, nil
}

// heldElsewhere says that a namespace is asked about that no process is in: a
// descriptor, a socket or a mount elsewhere may keep it.
func heldElsewhere(ctx context.Context, m inspect.Machine, s *inspect.Snapshot, questions []question) bool {
	return slices.ContainsFunc(questions, func(q question) bool {
		ref := q.ref
		if q.at != nil {
			ref = *q.at
		}
		if kindOf(ref.Kind) != KindNamespace {
			return false
		}
		_, err := m.Match(ctx, s, ref)
		return errors.Is(err, inspect.ErrGone)
	})
}

// matters says whether what could not be read of a process may have been an answer.
func matters(u inspect.Unreadable, q question) bool {
	switch q.kind {
	case "": // it means nothing
		return false
	case KindProcess:
		return u.PID == q.ref.PID
	case KindPID, KindUID:
		return u.What == "status" || q.at != nil && u.What != "cmdline"
	case KindInterface, KindListener, KindAddress:
		return u.What == "namespaces" || u.What == "threads"
	}
	return u.What != "cmdline"
}

// asker answers questions from one look at the machine.
type asker struct {
	ctx      context.Context
	machine  inspect.Machine
	lenient  bool
	snapshot *inspect.Snapshot
	report   *Report
	refused  []inspect.Unreadable // by other calls than the scan

	networks    []inspect.Network
	unsupported bool                // no network can be asked for here
	byNetns     map[uint64]int      // index into networks
	byAddress   map[string][]atHome // by the text of an address
	subIDs      []subIDs
	subIDsRead  bool
}

func (a *asker) answer(q question) error {
	before := len(a.report.Answers)
	var err error
	switch q.kind {
	case KindInterface:
		a.interfaces(q)
	case KindListener:
		err = a.listeners(q)
	case KindAddress:
		a.addresses(q)
	case KindUID:
		err = a.uid(q)
	case KindPID:
		err = a.pidInside(q)
	default:
		err = a.target(q)
	}
	switch {
	case a.ctx.Err() != nil:
		return a.ctx.Err()
	case err != nil && !a.lenient && errors.Is(err, inspect.ErrUsage):
		return err
	case err != nil:
		a.nothing(q, err.Error()) // the others are answered all the same
	case len(a.report.Answers) == before:
		a.nothing(q, a.whyNothing(q))
	}
	return nil
}

// nothing is a word without an answer.
func (a *asker) nothing(q question, reason string) {
	a.report.Answers = append(a.report.Answers, Answer{Word: q.word, Kind: q.kind, Reason: reason})
}

// add is an answer.
func (a *asker) add(answer Answer) {
	answer.Found = true
	a.report.Answers = append(a.report.Answers, answer)
}

// oldest is the process among some that started first, nil if there is none.
func (a *asker) oldest(pids []int) *inspect.Process {
	var oldest *inspect.Process
	for _, pid := range pids {
		p := a.snapshot.Process(pid)
		if p != nil && p.State != inspect.Zombie && (oldest == nil || p.StartTicks < oldest.StartTicks) {
			oldest = p
		}
	}
	return oldest
}
