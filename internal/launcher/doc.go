// Package launcher starts a program after system calls that a process with
// many threads, as every Go process is, cannot make: setns(2) into user and
// time namespaces, unshare(2) of them, waiting for id maps in between.
//
// A [Program] is a table of system calls that Go builds for one run:
//
//	var p launcher.Program
//	p.Setns("setns(5151)", p.File(pidfd), unix.CLONE_NEWUSER|unix.CLONE_NEWNET)
//	p.Fork()
//	p.Exec("/bin/ip")
//	proc, err := launcher.Start(ctx, &p, launcher.Attr{Argv: []string{"ip", "a"}, Files: stdio})
//
// [Start] has the table carried out by some hundred bytes of
// position-independent assembler (interp_*.s), which know system calls, tests
// and jumps and nothing of Go. It has three ways to run them:
//
// [Memfd] copies the bytes and the table into a static ELF file of a few kB in
// a sealed memfd and starts that as any other program is started. The helper
// has one thread and 20 kB, none of the caller's memory, and when it becomes
// the program, /proc/PID/exe never was a file that anybody could overwrite
// (CVE-2019-5736).
//
// [Clone] is for machines that do not execute memfds (vm.memfd_noexec=2,
// fapolicyd): a raw clone3(2) of this process runs the very same bytes, and
// never returns to Go. It is slower, and the child is a copy of this process
// with all its memory until it executes the program.
//
// [Vfork] runs them in the caller's memory, until the program is executed: the
// quickest way, for programs that change nothing of a process but what an
// execve(2) keeps or resets. The memfd is executed in that way too.
//
// While the helper runs, the terminal cannot stop it: the caller waits for it,
// in vfork(2) even where no signal reaches it.
//
// None of these needs cgo, linkname, a build flag, or code that runs before
// main.
package launcher
