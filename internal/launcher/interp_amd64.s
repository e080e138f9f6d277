#include "go_asm.h"
#include "textflag.h"

// The bytes of the functions handler, entry and interp are read from the text
// segment at run time, up to the mark, and copied into the helper's ELF file.
// So they must not refer to any symbol nor touch the stack.
#define MARK QUAD $const_codeMark

// func code() (handler, entry, interp unsafe.Pointer)
TEXT ·code(SB), NOSPLIT, $0-24
	LEAQ handler<>(SB), AX
	MOVQ AX, handler+0(FP)
	LEAQ entry<>(SB), AX
	MOVQ AX, entry+8(FP)
	LEAQ interp<>(SB), AX
	MOVQ AX, interp+16(FP)
	RET

// handler is a signal handler that does nothing, and, restorerOff bytes behind
// it, what the kernel returns to from it: sigreturn(2).
TEXT handler<>(SB), NOSPLIT|NOFRAME, $0
	RET
	BYTE $0x90; BYTE $0x90; BYTE $0x90; BYTE $0x90; BYTE $0x90; BYTE $0x90; BYTE $0x90
	MOVL $const_sysSigreturn, AX
	SYSCALL
	MARK

// func clone3(args *unix.CloneArgs, size uintptr, data unsafe.Pointer) int
//
// The child leaves for interp and never comes back: it is a copy of this
// process in which no other thread, and so no Go, exists.
TEXT ·clone3(SB), NOSPLIT, $0-32
	MOVQ args+0(FP), DI
	MOVQ size+8(FP), SI
	MOVQ data+16(FP), R13
	MOVQ $const_sysClone3, AX
	SYSCALL
	TESTQ AX, AX
	JEQ  child
	MOVQ AX, ret+24(FP)
	RET
child:
	JMP  interp<>(SB)

// entry is the helper's ELF entry point. The kernel has left on the stack:
// argc, argv[0] … argv[argc-1], 0, envp[0] …, 0, the auxiliary vector. It
// notes where argv and envp are; interp follows directly.
TEXT entry<>(SB), NOSPLIT|NOFRAME, $0
	MOVQ $const_dataAddr, R13
	MOVQ (SP), CX
	LEAQ 8(SP), AX
	MOVQ AX, const_headArgv(R13)
	LEAQ 16(SP)(CX*8), AX
	MOVQ AX, const_headEnvp(R13)
	MARK

// interp carries out the instructions behind the header at R13:
//
//	0 op  8 nr  16…56 arguments 0…5  64 mask  72 dst  80 target
//
// Bit i of the mask: argument i is the address of the value; bit 6: dst is the
// address of the destination's address. Layout and meaning: see insn in Go.
TEXT interp<>(SB), NOSPLIT|NOFRAME, $0
	LEAQ const_headSize(R13), R12 // R12: the instruction
loop:
	MOVQ 64(R12), BX
	MOVQ 16(R12), DI
	BTQ  $0, BX
	JCC  2(PC)
	MOVQ (DI), DI
	MOVQ 24(R12), SI
	BTQ  $1, BX
	JCC  2(PC)
	MOVQ (SI), SI
	MOVQ 32(R12), DX
	BTQ  $2, BX
	JCC  2(PC)
	MOVQ (DX), DX
	MOVQ 40(R12), R10
	BTQ  $3, BX
	JCC  2(PC)
	MOVQ (R10), R10
	MOVQ 48(R12), R8
	BTQ  $4, BX
	JCC  2(PC)
	MOVQ (R8), R8
	MOVQ 56(R12), R9
	BTQ  $5, BX
	JCC  2(PC)
	MOVQ (R9), R9
	MOVQ 72(R12), R14
	BTQ  $6, BX
	JCC  2(PC)
	MOVQ (R14), R14
	MOVQ 0(R12), AX
	CMPQ AX, $const_opCall
	JNE  bits

	// opCall: *dst = result; on an error go to target, if there is one.
	MOVQ 8(R12), AX
	SYSCALL
	MOVQ AX, (R14)
	CMPQ AX, $0xfffffffffffff001 // -4095
	JLS  next
	MOVQ 80(R12), R11
	TESTQ R11, R11
	JEQ  next
	NEGQ AX
	MOVQ AX, const_headValue(R13)
	MOVQ R12, const_headWhere(R13)
	MOVQ R11, R12
	JMP  loop

bits: // (a0 >> a1) & a2
	MOVQ SI, CX
	SHRQ CX, DI
	ANDQ DX, DI
	CMPQ AX, $const_opTest
	JNE  set

	// opTest: go to target if that equals a3.
	CMPQ DI, R10
	JNE  next
	MOVQ 80(R12), R12
	JMP  loop

set: // opSet: *dst = that + a3
	CMPQ AX, $const_opSet
	JNE  fault
	ADDQ R10, DI
	MOVQ DI, (R14)
next:
	ADDQ $const_insnSize, R12
	JMP  loop

fault: // opFault: SIGILL, which no filter of system calls can keep away
	UNDEF
	MARK
