#include "go_asm.h"
#include "textflag.h"

// See interp_amd64.s, which has the comments; this is the same line by line.
#define MARK WORD $(const_codeMark&0xffffffff); WORD $(const_codeMark>>32)

// func code() (handler, entry, interp unsafe.Pointer)
TEXT ·code(SB), NOSPLIT, $0-24
	MOVD $handler<>(SB), R0
	MOVD R0, handler+0(FP)
	MOVD $entry<>(SB), R0
	MOVD R0, entry+8(FP)
	MOVD $interp<>(SB), R0
	MOVD R0, interp+16(FP)
	RET

TEXT handler<>(SB), NOSPLIT|NOFRAME, $0
	RET
	NOOP
	MOVD $const_sysSigreturn, R8
	SVC
	MARK

// func clone3(args *unix.CloneArgs, size uintptr, data unsafe.Pointer) int
TEXT ·clone3(SB), NOSPLIT, $0-32
	MOVD args+0(FP), R0
	MOVD size+8(FP), R1
	MOVD data+16(FP), R19
	MOVD $const_sysClone3, R8
	SVC
	CBZ  R0, child
	MOVD R0, ret+24(FP)
	RET
child:
	B    interp<>(SB)

// entry is the helper's ELF entry point.
TEXT entry<>(SB), NOSPLIT|NOFRAME, $0
	MOVD $const_dataAddr, R19
	MOVD RSP, R0
	MOVD (R0), R1            // argc
	ADD  $8, R0, R2
	MOVD R2, const_headArgv(R19)
	ADD  R1<<3, R2, R2
	ADD  $8, R2, R2
	MOVD R2, const_headEnvp(R19)
	MARK

// interp carries out the instructions behind the header at R19.
TEXT interp<>(SB), NOSPLIT|NOFRAME, $0
	ADD  $const_headSize, R19, R20 // R20: the instruction
loop:
	MOVD 64(R20), R21
	MOVD 16(R20), R0
	TBZ  $0, R21, 2(PC)
	MOVD (R0), R0
	MOVD 24(R20), R1
	TBZ  $1, R21, 2(PC)
	MOVD (R1), R1
	MOVD 32(R20), R2
	TBZ  $2, R21, 2(PC)
	MOVD (R2), R2
	MOVD 40(R20), R3
	TBZ  $3, R21, 2(PC)
	MOVD (R3), R3
	MOVD 48(R20), R4
	TBZ  $4, R21, 2(PC)
	MOVD (R4), R4
	MOVD 56(R20), R5
	TBZ  $5, R21, 2(PC)
	MOVD (R5), R5
	MOVD 72(R20), R22
	TBZ  $6, R21, 2(PC)
	MOVD (R22), R22
	MOVD 0(R20), R9
	CMP  $const_opCall, R9
	BNE  bits

	// opCall
	MOVD 8(R20), R8
	SVC
	MOVD R0, (R22)
	CMN  $4095, R0
	BCC  next
	MOVD 80(R20), R10
	CBZ  R10, next
	NEG  R0, R0
	MOVD R0, const_headValue(R19)
	MOVD R20, const_headWhere(R19)
	MOVD R10, R20
	B    loop

bits: // (a0 >> a1) & a2
	LSR  R1, R0, R0
	AND  R2, R0, R0
	CMP  $const_opTest, R9
	BNE  set

	// opTest
	CMP  R3, R0
	BNE  next
	MOVD 80(R20), R20
	B    loop

set: // opSet
	CMP  $const_opSet, R9
	BNE  fault
	ADD  R3, R0, R0
	MOVD R0, (R22)
next:
	ADD  $const_insnSize, R20, R20
	B    loop

fault: // opFault
	UNDEF
	MARK
