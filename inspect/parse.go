package inspect

import (
	"bytes"
	"fmt"
)

// stat is what nsx needs of /proc/PID/stat.
type stat struct {
	comm       []byte // aliases the text
	state      State
	ppid       int
	flags      uint64
	numThreads int
	startTicks uint64
}

// pfKthread is PF_KTHREAD of include/linux/sched.h.
const pfKthread = 0x00200000

// parseStat reads /proc/PID/stat (proc_pid_stat(5), do_task_stat in
// fs/proc/array.c):
//
//	pid (comm) state ppid pgrp session tty tpgid flags minflt cminflt majflt
//	cmajflt utime stime cutime cstime priority nice num_threads itrealvalue
//	starttime …
//
// comm may hold blanks, brackets and newlines: it ends at the last ')'.
func parseStat(text []byte) (stat, error) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return stat{}, fmt.Errorf("%q: no (comm)", clip(text))
	}
	s := stat{comm: text[open+1 : end]}
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
			return stat{}, fmt.Errorf("%q: field %d is missing", clip(text), field)
		}
		var target *int
		switch field {
		case 3:
			s.state = State(word[0])
			continue
		case 4:
			target = &s.ppid
		case 9, 22:
			n, ok := parseDecimal(string(word))
			if !ok {
				return stat{}, fmt.Errorf("%q: field %d is no number", clip(text), field)
			}
			if field == 9 {
				s.flags = n
			} else {
				s.startTicks = n
			}
			continue
		case 20:
			target = &s.numThreads
		default:
			continue
		}
		n, ok := parseDecimal(string(word))
		if !ok || n > 1<<31-1 {
			return stat{}, fmt.Errorf("%q: field %d is no number", clip(text), field)
		}
		*target = int(n)
	}
	return s, nil
}

// clip keeps garbage out of error messages.
func clip(text []byte) []byte { return text[:min(len(text), 64)] }

// parseLink reads the target of a namespace link, "net:[4026531833]". The
// name in the link of pid_for_children is pid's.
func parseLink(text []byte, t Type) (uint64, bool) {
	rest, ok := bytes.CutPrefix(text, []byte(t.String()))
	if !ok || len(rest) < 4 || rest[0] != ':' || rest[1] != '[' || rest[len(rest)-1] != ']' {
		return 0, false
	}
	inode, ok := parseDecimal(string(rest[2 : len(rest)-1]))
	return inode, ok && inode != 0
}

// parseCmdline splits the NUL-terminated arguments of /proc/PID/cmdline. A
// process that overwrote them (setproctitle) may leave one string without the
// NUL, and trailing padding of NULs, which is dropped.
func parseCmdline(text []byte) []string {
	text = bytes.TrimRight(text, "\x00")
	args := []string{}
	if len(text) == 0 {
		return args
	}
	for arg := range bytes.SplitSeq(text, []byte{0}) {
		args = append(args, string(arg))
	}
	return args
}
