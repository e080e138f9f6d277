package inspect

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// Source is where a scan's processes come from: procfs, if Machine.From names no
// other, such as a task iterator in BPF. It may be asked by several goroutines at
// once.
type Source interface {
	// Fields says what Processes fills in where a Request wants it. Scan reads
	// the rest in /proc.
	Fields() Fields
	// Processes lists the processes, sorted by PID, and what could not be read
	// of them. One that has exited meanwhile is not there. It fails only if there
	// is nothing to read at all, or with ctx.
	Processes(ctx context.Context, r Request) ([]Process, []Unreadable, error)
}

// Request is what a Source is asked for.
type Request struct {
	// Fields are wanted.
	Fields Fields
	// AllThreads wants every thread in Process.Threads, and not only those in
	// other namespaces than their leader.
	AllThreads bool
	// PIDs are the processes to list, sorted: nil for all there are.
	PIDs []int
	// Workers is how many processes to read at a time.
	Workers int
}

// Fields is a set of fields of Process. Those that are not named here are always
// filled in by a Source, except User, Cmdline and CmdlineCut, which never are.
type Fields uint

// The fields that a Source may leave out.
const (
	FieldNS          Fields = 1 << iota // NS
	FieldForChildren                    // PIDForChildren, TimeForChildren
	FieldThreads                        // Threads
	FieldCgroups                        // Cgroups, and Thread.Cgroups
	FieldIDs                            // UID, NSPIDs
)

// Has says that all of the fields are among them.
func (f Fields) Has(fields Fields) bool { return f&fields == fields }

// request is what the options want of a Source. Of which processes the ids are
// wanted is known too late for it.
func (o Options) request(pids []int) Request {
	r := Request{Fields: FieldNS | FieldThreads, AllThreads: o.Threads, PIDs: pids, Workers: o.workers()}
	if o.ForChildren {
		r.Fields |= FieldForChildren
	}
	if o.Cgroups {
		r.Fields |= FieldCgroups
	}
	if o.Details == AllDetails {
		r.Fields |= FieldIDs
	}
	return r
}

// processes asks the source, and reads in /proc what it leaves out.
func (m Machine) processes(ctx context.Context, r Request) ([]Process, []Unreadable, error) {
	if m.source == nil {
		return procfs{m}.Processes(ctx, r)
	}
	list, unreadable, err := m.source.Processes(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	r.Fields &^= m.source.Fields() | FieldIDs // which the details have
	if r.Fields == 0 {
		return list, unreadable, nil
	}
	list, more, err := m.complete(ctx, list, r)
	return list, append(unreadable, more...), err
}

// complete reads in /proc what is wanted of each process. Those that have gone
// since are left out, and so are those whose PID is another's by now.
func (m Machine) complete(ctx context.Context, list []Process, want Request) ([]Process, []Unreadable, error) {
	dir, live, err := m.open()
	if err != nil {
		return nil, nil, err
	}
	defer dir.Close()
	pids := make([]int, len(list))
	for i := range list {
		pids[i] = list[i].PID
	}
	newReader := newReaders(int(dir.Fd()), live, pids, want)
	var next atomic.Int64
	var mu sync.Mutex
	var unreadable []Unreadable
	var wg sync.WaitGroup
	for range want.Workers {
		wg.Go(func() {
			r := newReader()
			r.out = &procfsChunk{}
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(list) {
					break
				}
				if !r.complete(&list[i]) {
					list[i].PID = 0
				}
			}
			mu.Lock()
			defer mu.Unlock()
			unreadable = append(unreadable, r.out.unreadable...)
		})
	}
	wg.Wait()
	list = slices.DeleteFunc(list, func(p Process) bool { return p.PID == 0 })
	return list, unreadable, ctx.Err()
}
