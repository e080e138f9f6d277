package launcher

// R8 and R9, where interp has the last two arguments of an instruction, in struct
// user_regs_struct of arch/x86/include/asm/user_64.h.
const regValue, regWhere = 9, 8
