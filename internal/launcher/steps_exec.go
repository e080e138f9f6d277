package launcher

import (
	"strings"

	"golang.org/x/sys/unix"
)

// DefaultPath is where a program is looked for if there is no PATH.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Exec executes a program with Attr.Argv and Attr.Env, which ends the helper's
// work: execve(2). A name without a slash is looked for in path, a list like
// PATH, in the root and with the rights that the helper has by then. As in
// execvp(3), what is not there or may not be executed is passed over, and a
// file of no known format is a script for /bin/sh.
//
// The error's step is "exec NAME"; its errno is ENOENT if there is none, EACCES
// if there is one that may not be executed. If there is one whose interpreter or
// loader is missing, which is ENOENT to the kernel too, it has NoLoader.
func (p *Program) Exec(file, path string) Steps {
	begin := len(p.insns)
	p.last()
	candidates := []string{file}
	if !strings.Contains(file, "/") && file != "" {
		candidates = nil
		for dir := range strings.SplitSeq(path, ":") {
			if dir == "" {
				dir = "." // as in every shell
			}
			candidates = append(candidates, dir+"/"+file)
		}
	}
	denied, broken, notDenied, notFound := p.Slot(0), p.Slot(0), p.Label(), p.Label()
	for _, c := range candidates {
		p.tryExec(file, c, denied, broken)
	}
	p.JumpIf(denied.Value(), 1, 0, notDenied)
	p.FailWith("exec "+file, unix.EACCES)
	p.Place(notDenied)
	p.JumpIf(broken.Value(), 1, 0, notFound)
	noLoader := p.FailWith("exec "+file, unix.ENOENT)
	p.insns[noLoader.i].noLoader = true
	p.Place(notFound)
	p.FailWith("exec "+file, unix.ENOENT)
	return p.since(begin)
}

// tryExec goes on with the next step if it was not the right candidate.
func (p *Program) tryExec(name, file string, denied, broken Slot) {
	failed, absent, script, access, next := p.Label(), p.Label(), p.Label(), p.Label(), p.Label()
	path, exec := p.String(file), "exec "+name
	p.Call(exec, unix.SYS_EXECVE, path, Argv, Envp).OrJump(failed)
	p.FailWith(exec, 0) // it has returned without an error: see Faked
	p.Place(failed)
	errnoIs := func(errno unix.Errno, l Label) { p.JumpIf(Errno, ^uint64(0), uint64(errno), l) }
	errnoIs(unix.ENOENT, absent)
	errnoIs(unix.ENOTDIR, next)
	errnoIs(unix.EACCES, access)
	errnoIs(unix.ENOEXEC, script)
	p.Jump(failLabel)

	p.Place(absent)
	cwd := int64(unix.AT_FDCWD)
	p.Call("access "+name, unix.SYS_FACCESSAT, Int(cwd), path, Int(unix.F_OK)).OrJump(next)
	p.Set(broken, Int(1), 0)
	p.Jump(next)

	// /bin/sh FILE argv[1]… The word before argv[0] is argc, of no use any more.
	p.Place(script)
	shell, argv := p.String("/bin/sh"), p.Slot(0)
	p.copy(Argv, path)
	p.Set(argv, Argv, -8)
	p.copy(argv.Value(), shell)
	p.Call(exec+" by /bin/sh", unix.SYS_EXECVE, shell, argv.Value(), Envp)
	p.FailWith(exec, 0)

	// Not one in a directory that may not even be searched.
	p.Place(access)
	p.Call("access "+name, unix.SYS_FACCESSAT, Int(cwd), path, Int(unix.F_OK)).OrJump(next)
	p.Set(denied, Int(1), 0)
	p.Place(next)
}
