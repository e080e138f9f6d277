package launcher

import (
	"encoding/binary"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Program is a table of steps, most of them system calls, in the order in
// which the helper carries them out. Every step has a name, which is the
// subject of the error if it fails: "setns(user): operation not permitted".
//
// The zero value is an empty program. It can be started many times, also at
// once, as long as its files are open; the methods that add steps are not for
// several goroutines.
type Program struct {
	insns  []insn
	labels []int  // index of the instruction each is placed at
	data   []byte // slots, strings and buffers
	files  []*os.File
	forked bool
	exits  bool // it ends by Exit instead of executing a program
	trace  *Tracing
}

// insn is one instruction. In memory it is twelve words, the last one unused;
// the assembler has their order.
type insn struct {
	name   string
	nr     uint64 // system call number
	args   [6]Arg
	dst    Arg   // address of where the result goes
	target Label // of opTest, and of opCall if onFail is jump
	op     op
	onFail onFail

	record   record
	parent   func(pid int) error
	explain  func(*StepError) error
	noLoader bool // what fails is an execve of a program without its loader
}

// op is what an instruction does.
type op uint8

const (
	opCall  op = iota // *dst = nr(a0…a5)
	opTest            // if (a0 >> a1) & a2 == a3 go to target
	opSet             // *dst = (a0 >> a1) & a2 + a3
	opFault           // the process ends by SIGILL
)

// onFail is what becomes of a failed system call.
type onFail uint8

const (
	fail   onFail = iota // it is reported and the helper ends
	ignore               // the next step is done
	jump                 // the step at the target is done
)

// record says what a 16-byte record means whose second word is this
// instruction's address.
type record uint8

const (
	recordError  record = iota // first word: errno of this system call
	recordForked               // first word: the child that goes on, as the helper calls it
	recordChild                // the sender is that child
	recordParent               // the parent is asked to run a function
	recordTrace                // the parent is asked to trace the helper
	recordLast                 // execve or exit comes next
)

// Label is a place in a program that can be jumped to.
type Label int

// failLabel is where failed steps are reported: the last one that was not
// ignored.
const failLabel Label = -1

// Step is the step just added to a program, to say more about it.
type Step struct {
	p *Program
	i int
}

// Steps are instructions just added that are one step, or several, to who wrote
// them into the program.
type Steps struct {
	p        *Program
	from, to int
}

func (p *Program) add(in insn) Step {
	if in.dst == (Arg{}) {
		in.dst = Arg{base: baseHead, n: headTrash}
	}
	p.insns = append(p.insns, in)
	return Step{p, len(p.insns) - 1}
}

// Call adds a system call by its number, unix.SYS_*. Unless told otherwise its
// failure ends the helper and is reported with the name.
func (p *Program) Call(name string, nr uintptr, args ...Arg) Step {
	in := insn{name: name, op: opCall, nr: uint64(nr)}
	copy(in.args[:], args)
	return p.add(in)
}

// Ignore goes on with the next step if the system call fails.
func (s Step) Ignore() Step {
	s.p.insns[s.i].onFail = ignore
	return s
}

// OrJump goes on at the label if the system call fails; [Errno] is why.
func (s Step) OrJump(l Label) Step {
	s.p.insns[s.i].onFail, s.p.insns[s.i].target = jump, l
	return s
}

// Into stores what the system call returns, a negative errno if it fails.
func (s Step) Into(slot Slot) Step {
	s.p.insns[s.i].dst = slot.Address()
	return s
}

// Explain says what a failure of the step means: [Start] returns the error of f,
// if that is not nil, in place of the [*StepError]. It is called when the helper is
// gone, and may look at the state of the machine.
func (s Step) Explain(f func(*StepError) error) Step {
	Steps{s.p, s.i, s.i + 1}.Explain(f)
	return s
}

// Explain says of each of the steps what its failure means: see [Step.Explain].
func (s Steps) Explain(f func(*StepError) error) Steps {
	for i := s.from; i < s.to; i++ {
		s.p.insns[i].explain = f
	}
	return s
}

// since are the steps that were added after there were n.
func (p *Program) since(n int) Steps { return Steps{p, n, len(p.insns)} }

// Label makes a label; it has to be placed before the program is started.
func (p *Program) Label() Label {
	p.labels = append(p.labels, -1)
	return Label(len(p.labels) - 1)
}

// Place puts the label before the next step.
func (p *Program) Place(l Label) { p.labels[l] = len(p.insns) }

// Jump goes to the label.
func (p *Program) Jump(l Label) { p.JumpIf(Int(0), 0, 0, l) }

// JumpIf goes to the label if value & mask == want.
func (p *Program) JumpIf(value Arg, mask, want uint64, l Label) {
	p.add(insn{op: opTest, args: [6]Arg{value, {}, Int(mask), Int(want)}, target: l})
}

// Set stores value + n in the slot.
func (p *Program) Set(slot Slot, value Arg, n int64) {
	p.Bits(slot, value, 0, ^uint64(0), n)
}

// Bits stores (value >> shift) & mask + n in the slot. The shift is below 64.
func (p *Program) Bits(slot Slot, value Arg, shift uint, mask uint64, n int64) {
	p.add(insn{op: opSet, dst: slot.Address(), args: [6]Arg{value, Int(shift), Int(mask), Int(n)}})
}

// copy stores a value at an address, which may be one that a slot holds.
func (p *Program) copy(address, value Arg) {
	p.add(insn{op: opSet, dst: address, args: [6]Arg{value, {}, Int(^uint64(0))}})
}

// FailWith ends the helper and reports the given error.
func (p *Program) FailWith(name string, errno unix.Errno) Step {
	here := p.setRecord(Int(uint64(errno)))
	p.Jump(failLabel)
	p.insns[here].name = name
	return Step{p, here}
}

// setRecord puts a record of this place in the program into the header. It
// returns the index of its first instruction, which stands for it.
func (p *Program) setRecord(value Arg) (here int) {
	here = len(p.insns)
	p.copy(head(headValue), value)
	p.copy(head(headWhere), Arg{base: baseInsn, n: uint64(here)})
	return here
}

// sendRecord sends a record {value, address of the first instruction} to the
// parent; in says what it means.
func (p *Program) sendRecord(in insn, value Arg) {
	here := p.setRecord(value)
	p.Call("report", unix.SYS_WRITE, Report, head(headValue), Int(recordSize))
	first := &p.insns[here]
	first.name, first.record, first.parent = in.name, in.record, in.parent
}

// exitGroup ends the helper, also where a filter lets exit_group(2) return.
func (p *Program) exitGroup(code int) {
	p.Call("exit", unix.SYS_EXIT_GROUP, Int(uint64(code))).Ignore()
	p.fault()
}

// fault ends the helper without a system call. The record in the header is in
// two registers then, where a tracer can read them.
func (p *Program) fault() {
	p.add(insn{op: opFault, args: [6]Arg{4: head(headValue).load(), 5: head(headWhere).load()}})
}

// Arg is an argument of a step: a number known now, or one that only the
// start or the run of the program can tell.
type Arg struct {
	n      uint64
	base   base
	loaded bool // not the address itself but the word there
}

// base is what Arg.n is counted from.
type base uint8

const (
	baseNone base = iota
	baseHead      // the header of the helper's data
	baseInsn      // an index in Program.insns
	baseData      // Program.data
	baseFile      // an index in Program.files
)

func (a Arg) load() Arg { a.loaded = true; return a }

func head(offset uint64) Arg { return Arg{base: baseHead, n: offset} }

// Int is a number.
func Int[T ~int | ~int32 | ~int64 | ~uint | ~uint32 | ~uint64 | ~uintptr](n T) Arg {
	return Arg{n: uint64(n)}
}

// The arguments that the helper itself knows: argv and envp of the program to
// be executed, the errno of the last failed step that was not ignored, and the
// socket to the parent, which is closed when the program is executed.
var (
	Argv   = head(headArgv).load()
	Envp   = head(headEnvp).load()
	Errno  = head(headValue).load()
	Report = head(headReport).load()
)

// File is the number that the file has in the helper. It is closed when the
// program is executed. The file has to stay open until then.
func (p *Program) File(f *os.File) Arg {
	i := slices.Index(p.files, f)
	if i < 0 {
		i = len(p.files)
		p.files = append(p.files, f)
	}
	return Arg{base: baseFile, n: uint64(i)}
}

// String is the address of a string that ends with a zero byte.
func (p *Program) String(s string) Arg {
	return p.Bytes(append([]byte(s), 0))
}

// Bytes is the address of a copy of b, aligned to eight bytes, which the
// helper may write to.
func (p *Program) Bytes(b []byte) Arg {
	for len(p.data)%8 != 0 {
		p.data = append(p.data, 0)
	}
	p.data = append(p.data, b...)
	return Arg{base: baseData, n: uint64(len(p.data) - len(b))}
}

// Words is the address of an array of 64-bit numbers.
func (p *Program) Words(words ...uint64) Arg {
	var b []byte
	for _, w := range words {
		b = binary.NativeEndian.AppendUint64(b, w)
	}
	return p.Bytes(b)
}

// Slot is a variable of the helper, 64 bits.
type Slot struct{ at Arg }

// Slot makes a variable. A second run of the program, or the child of a fork,
// has its own.
func (p *Program) Slot(value uint64) Slot { return Slot{p.Words(value)} }

// Word is the 64 bits at an address, such as that of a buffer, as a variable.
func Word(address Arg, offset uint64) Slot {
	address.n += offset
	return Slot{address}
}

// Value is what is in it when the step is done.
func (s Slot) Value() Arg { return s.at.load() }

// Address is where it is.
func (s Slot) Address() Arg { return s.at }

// Calls lists the numbers of the system calls that the program makes.
func (p *Program) Calls() (numbers []uint64) {
	for _, in := range p.insns {
		if in.op == opCall && !slices.Contains(numbers, in.nr) {
			numbers = append(numbers, in.nr)
		}
	}
	return numbers
}
