#include "go_asm.h"
#include "textflag.h"

// See sleeper_amd64.s, which has the comments; this is the same line by line.

// func sleeperCode() unsafe.Pointer
TEXT ·sleeperCode(SB), NOSPLIT, $0-8
	MOVD $sleeper<>(SB), R0
	MOVD R0, ret+0(FP)
	RET

TEXT sleeper<>(SB), NOSPLIT|NOFRAME, $0
	MOVD RSP, R9
	MOVD $const_prSetName, R0
	MOVD 8(R9), R1
	MOVD $const_sysPrctl, R8
	SVC
	MOVD $const_sleeperFD, R0
	MOVD $const_sysClose, R8
	SVC
	MOVD $const_sleeperSeconds, R10
	MOVD R10, -16(R9)
	MOVD ZR, -8(R9)
	MOVD ZR, R0
	MOVD ZR, R1
	SUB  $16, R9, R2
	MOVD ZR, R3
	MOVD $const_sysPpoll, R8
	SVC
	MOVD ZR, R0
	MOVD $const_sysExitGroup, R8
	SVC
	WORD $(const_sleeperMark&0xffffffff)
	WORD $(const_sleeperMark>>32)
