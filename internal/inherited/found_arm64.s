//go:build !cgo

#include "go_asm.h"
#include "textflag.h"

DATA _cgo_init+0(SB)/8, $look<>(SB)
GLOBL _cgo_init(SB), NOPTR, $8

// look is called by rt0_go in runtime/asm_arm64.s, which has argv at 16(RSP): 32
// from here. It does not return.
TEXT look<>(SB), NOSPLIT|NOFRAME, $0
	MOVD 32(RSP), R19 // argv
	MOVD $·found(SB), R20
	SUB  $64, RSP     // struct sigaction

	// Ignored: rt_sigaction(R21, 0, RSP, 8)
	MOVD $1, R21
	MOVD ZR, R22
	MOVD $1, R23 // the bit
signal:
	MOVD ZR, 0(RSP)
	MOVD R21, R0
	MOVD ZR, R1
	MOVD RSP, R2
	MOVD $8, R3
	MOVD $const_sysSigaction, R8
	SVC
	MOVD 0(RSP), R0
	CMP  $1, R0 // SIG_IGN
	BNE  next
	ORR  R23, R22, R22
next:
	LSL  $1, R23, R23
	ADD  $1, R21, R21
	CMP  $64, R21
	BLE  signal
	MOVD R22, const_offIgnored(R20)

	// Blocked: rt_sigprocmask(0, 0, &blocked, 8)
	MOVD ZR, R0
	MOVD ZR, R1
	ADD  $const_offBlocked, R20, R2
	MOVD $8, R3
	MOVD $const_sysSigprocmask, R8
	SVC

	// NoFile: prlimit64(0, RLIMIT_NOFILE, 0, &nofile)
	MOVD ZR, R0
	MOVD $const_rlimitNoFile, R1
	MOVD ZR, R2
	ADD  $const_offNoFile, R20, R3
	MOVD $const_sysPrlimit, R8
	SVC

	// Closed: fcntl(R21, F_GETFD) is EBADF
	MOVD ZR, R21
	MOVD ZR, R22
	MOVD $1, R23
stream:
	MOVD R21, R0
	MOVD $const_fGetFD, R1
	MOVD $const_sysFcntl, R8
	SVC
	CMN  $const_ebadf, R0
	BNE  open
	ORR  R23, R22, R22
open:
	LSL  $1, R23, R23
	ADD  $1, R21, R21
	CMP  $2, R21
	BLE  stream
	MOVD R22, const_offClosed(R20)
	MOVD $1, R0
	MOVD R0, const_offDone(R20)

	// Behind argv: 0, envp, 0, pairs of a type and a value.
	MOVD ZR, _cgo_init(SB)
	MOVD R19, R21
arg:
	MOVD.P 8(R21), R0
	CBNZ   R0, arg
env:
	MOVD.P 8(R21), R0
	CBNZ   R0, env
aux:
	LDP.P 16(R21), (R0, R1)
	CMP   $const_atEntry, R0
	BNE   aux
	SUB   $8, R19, R0
	MOVD  R0, RSP // argc
	MOVD  ZR, R0
	JMP   (R1)
