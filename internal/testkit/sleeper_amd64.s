#include "go_asm.h"
#include "textflag.h"

// The bytes of sleeper are read from the text segment, up to the mark, and
// become a program of their own. So it must not refer to any symbol.

// func sleeperCode() unsafe.Pointer
TEXT ·sleeperCode(SB), NOSPLIT, $0-8
	LEAQ sleeper<>(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// sleeper is an ELF entry point: argc and argv[0] are on the stack. It takes
// argv[0] for its name, says so by closing a pipe, sleeps and exits.
TEXT sleeper<>(SB), NOSPLIT|NOFRAME, $0
	MOVL $const_prSetName, DI
	MOVQ 8(SP), SI
	MOVL $const_sysPrctl, AX
	SYSCALL
	MOVL $const_sleeperFD, DI
	MOVL $const_sysClose, AX
	SYSCALL
	MOVQ $const_sleeperSeconds, -16(SP) // a struct timespec
	MOVQ $0, -8(SP)
	XORL DI, DI
	XORL SI, SI
	LEAQ -16(SP), DX
	XORL R10, R10
	MOVL $const_sysPpoll, AX
	SYSCALL
	XORL DI, DI
	MOVL $const_sysExitGroup, AX
	SYSCALL
	QUAD $const_sleeperMark
