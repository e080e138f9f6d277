package proc

import (
	"bytes"
	"fmt"
	"strconv"
)

// Stat is what nsx needs of /proc/PID/stat.
type Stat struct {
	Comm       []byte // aliases the text
	State      byte   // R, S, D, Z, T, t, X, I, …
	PPID       int
	Session    int    // -1 of what is being reaped
	Terminal   uint32 // device number of the controlling terminal, 0 if none
	Flags      uint64 // PF_* of include/linux/sched.h
	NumThreads int
	StartTicks uint64 // clock ticks since boot
}

// The flags of a Stat.
const (
	flagExiting = 0x00000004 // PF_EXITING
	flagKthread = 0x00200000 // PF_KTHREAD
)

// KernelThread says that it has no user space.
func (s Stat) KernelThread() bool { return s.Flags&flagKthread != 0 }

// Dead says that the process, or thread, has exited: what is left is reaped.
func (s Stat) Dead() bool { return s.State == 'Z' || s.State == 'X' }

// Exiting says that it has exited, or begun to.
func (s Stat) Exiting() bool { return s.Flags&flagExiting != 0 || s.Dead() }

// ParseStat reads /proc/PID/stat (proc_pid_stat(5), do_task_stat in
// fs/proc/array.c):
//
//	pid (comm) state ppid pgrp session tty tpgid flags minflt cminflt majflt
//	cmajflt utime stime cutime cstime priority nice num_threads itrealvalue
//	starttime …
//
// comm may hold blanks, brackets and newlines: it ends at the last ')'.
func ParseStat(text []byte) (Stat, error) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return Stat{}, fmt.Errorf("%q: no (comm)", clip(text))
	}
	s := Stat{Comm: text[open+1 : end]}
	rest := text[end+1:]
	// Fields are numbered as in the man page; the first after comm is 3.
	for field := 3; field <= 22; field++ {
		rest = bytes.TrimLeft(rest, " ")
		word := rest
		if i := bytes.IndexAny(rest, " \n"); i >= 0 {
			word, rest = rest[:i], rest[i:]
		} else {
			rest = nil
		}
		if len(word) == 0 {
			return Stat{}, fmt.Errorf("%q: field %d is missing", clip(text), field)
		}
		if !s.set(field, word) {
			return Stat{}, fmt.Errorf("%q: field %d is no number", clip(text), field)
		}
	}
	return s, nil
}

// set takes a field of the line, and says whether it has the right form.
func (s *Stat) set(field int, word []byte) (ok bool) {
	switch field {
	case 3:
		s.State, ok = word[0], true
	case 4:
		s.PPID, ok = number(word)
	case 6:
		if string(word) == "-1" { // it is being reaped (do_task_stat in fs/proc/array.c)
			s.Session, ok = -1, true
		} else {
			s.Session, ok = number(word)
		}
	case 7: // an int, but of the device's 32 bits
		n, err := strconv.ParseInt(string(word), 10, 64)
		s.Terminal, ok = uint32(n), err == nil
	case 9:
		s.Flags, ok = Decimal(string(word))
	case 20:
		s.NumThreads, ok = number(word)
	case 22:
		s.StartTicks, ok = Decimal(string(word))
	default:
		ok = true
	}
	return ok
}

func number(word []byte) (int, bool) {
	n, ok := Decimal(string(word))
	return int(n), ok && n <= 1<<31-1
}

// Decimal reads a decimal number strictly: digits only, no sign, no leading zero,
// no overflow. PIDs and inode numbers come in no other form.
func Decimal(s string) (uint64, bool) {
	if s == "" || s[0] == '0' && len(s) > 1 || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

// clip keeps garbage out of error messages.
func clip(text []byte) []byte { return text[:min(len(text), 64)] }
