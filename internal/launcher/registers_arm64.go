package launcher

// R4 and R5, where interp has the last two arguments of an instruction, in struct
// user_pt_regs of arch/arm64/include/uapi/asm/ptrace.h.
const regValue, regWhere = 4, 5
