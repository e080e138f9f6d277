//go:build !cgo && (amd64 || arm64)

package inherited

import "golang.org/x/sys/unix"

// found is written before Go runs.
var found [words]uint64

func looked() [words]uint64 { return found }

// Numbers for the assembler.
const (
	sysSigaction   = unix.SYS_RT_SIGACTION
	sysSigprocmask = unix.SYS_RT_SIGPROCMASK
	sysPrlimit     = unix.SYS_PRLIMIT64
	sysFcntl       = unix.SYS_FCNTL
	rlimitNoFile   = unix.RLIMIT_NOFILE
	fGetFD         = unix.F_GETFD
	ebadf          = int(unix.EBADF)
	atEntry        = 9 // AT_ENTRY

	offIgnored = 8 * atIgnored
	offBlocked = 8 * atBlocked
	offNoFile  = 8 * atNoFile
	offClosed  = 8 * atClosed
	offDone    = 8 * atDone
)
