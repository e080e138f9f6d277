//go:build !cgo

#include "go_asm.h"
#include "textflag.h"

DATA _cgo_init+0(SB)/8, $look<>(SB)
GLOBL _cgo_init(SB), NOPTR, $8

// look is called by rt0_go in runtime/asm_amd64.s, which has argv at 32(SP): 40
// from here. It does not return.
TEXT look<>(SB), NOSPLIT|NOFRAME, $0
	MOVQ 40(SP), R15 // argv
	LEAQ ·found(SB), R14
	SUBQ $64, SP     // struct sigaction

	// Ignored: rt_sigaction(R12, 0, SP, 8)
	MOVQ $1, R12
	XORQ R13, R13
signal:
	MOVQ $0, 0(SP)
	MOVQ R12, DI
	XORQ SI, SI
	MOVQ SP, DX
	MOVQ $8, R10
	MOVQ $const_sysSigaction, AX
	SYSCALL
	CMPQ 0(SP), $1 // SIG_IGN
	JNE  next
	LEAQ -1(R12), CX
	BTSQ CX, R13
next:
	INCQ R12
	CMPQ R12, $64
	JLE  signal
	MOVQ R13, const_offIgnored(R14)

	// Blocked: rt_sigprocmask(0, 0, &blocked, 8)
	XORQ DI, DI
	XORQ SI, SI
	LEAQ const_offBlocked(R14), DX
	MOVQ $8, R10
	MOVQ $const_sysSigprocmask, AX
	SYSCALL

	// NoFile: prlimit64(0, RLIMIT_NOFILE, 0, &nofile)
	XORQ DI, DI
	MOVQ $const_rlimitNoFile, SI
	XORQ DX, DX
	LEAQ const_offNoFile(R14), R10
	MOVQ $const_sysPrlimit, AX
	SYSCALL

	// Closed: fcntl(R12, F_GETFD) is EBADF
	XORQ R12, R12
	XORQ R13, R13
stream:
	MOVQ R12, DI
	MOVQ $const_fGetFD, SI
	MOVQ $const_sysFcntl, AX
	SYSCALL
	NEGQ AX
	CMPQ AX, $const_ebadf
	JNE  open
	BTSQ R12, R13
open:
	INCQ R12
	CMPQ R12, $2
	JLE  stream
	MOVQ R13, const_offClosed(R14)
	MOVQ $1, const_offDone(R14)

	// Behind argv: 0, envp, 0, pairs of a type and a value.
	MOVQ $0, _cgo_init(SB)
	MOVQ R15, BX
arg:
	ADDQ $8, BX
	CMPQ -8(BX), $0
	JNE  arg
env:
	ADDQ $8, BX
	CMPQ -8(BX), $0
	JNE  env
aux:
	ADDQ $16, BX
	CMPQ -16(BX), $const_atEntry
	JNE  aux
	MOVQ -8(BX), AX
	LEAQ -8(R15), SP // argc
	XORQ DX, DX      // no function for atexit(3)
	JMP  AX
