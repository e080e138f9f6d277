package launcher

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Setgroups sets the supplementary groups: setgroups(2).
func (p *Program) Setgroups(gids []uint32) Step {
	var list []byte
	for _, gid := range gids {
		list = appendUint32(list, gid)
	}
	return p.Call("setgroups", unix.SYS_SETGROUPS, Int(len(gids)), p.Bytes(list))
}

// Setgid sets the real, effective and saved group: setresgid(2).
func (p *Program) Setgid(gid uint32) Step {
	return p.Call(fmt.Sprintf("setresgid %d", gid), unix.SYS_SETRESGID, Int(gid), Int(gid), Int(gid))
}

// Setuid sets the real, effective and saved user: setresuid(2).
func (p *Program) Setuid(uid uint32) Step {
	return p.Call(fmt.Sprintf("setresuid %d", uid), unix.SYS_SETRESUID, Int(uid), Int(uid), Int(uid))
}

// KeepCapabilities keeps the permitted capabilities when a Setuid leaves uid 0:
// PR_SET_KEEPCAPS.
func (p *Program) KeepCapabilities() Step {
	return p.Prctl("prctl(PR_SET_KEEPCAPS)", unix.PR_SET_KEEPCAPS, Int(1))
}

// NoNewPrivileges keeps execve from giving rights: PR_SET_NO_NEW_PRIVS.
func (p *Program) NoNewPrivileges() Step {
	return p.Prctl("prctl(PR_SET_NO_NEW_PRIVS)", unix.PR_SET_NO_NEW_PRIVS, Int(1), Int(0), Int(0), Int(0))
}

// Seccomp puts a filter, an array of struct sock_filter, on the process and what
// it executes: seccomp(2). It takes NoNewPrivileges or CAP_SYS_ADMIN. The steps
// after it, and the reports to the parent, are under the filter.
func (p *Program) Seccomp(filter []byte) Step {
	program := p.Words(uint64(len(filter)/unix.SizeofSockFilter), 0) // struct sock_fprog
	p.Set(Word(program, 8), p.Bytes(filter), 0)
	return p.Call("seccomp", unix.SYS_SECCOMP, Int(unix.SECCOMP_SET_MODE_FILTER), Int(0), program)
}

// Capabilities sets the three sets of the process: capset(2). Bit n is
// capability n.
func (p *Program) Capabilities(effective, permitted, inheritable uint64) Step {
	var header, data []byte
	header = appendUint32(header, unix.LINUX_CAPABILITY_VERSION_3, 0)
	for _, shift := range []uint{0, 32} {
		data = appendUint32(data, uint32(effective>>shift), uint32(permitted>>shift), uint32(inheritable>>shift))
	}
	return p.Call("capset", unix.SYS_CAPSET, p.Bytes(header), p.Bytes(data))
}

// BoundingSet takes all capabilities but the given ones from the bounding set:
// PR_CAPBSET_DROP. It takes CAP_SETPCAP, and none can be added.
func (p *Program) BoundingSet(keep uint64) {
	for n := range capabilities() {
		if keep>>n&1 == 0 {
			p.Prctl(fmt.Sprintf("prctl(PR_CAPBSET_DROP, %d)", n), unix.PR_CAPBSET_DROP, Int(n))
		}
	}
}

// AmbientSet makes the ambient capabilities the given ones, which have to be
// permitted and inheritable: PR_CAP_AMBIENT.
func (p *Program) AmbientSet(set uint64) {
	p.Prctl("prctl(PR_CAP_AMBIENT_CLEAR_ALL)", unix.PR_CAP_AMBIENT, Int(unix.PR_CAP_AMBIENT_CLEAR_ALL), Int(0), Int(0), Int(0))
	for n := range 64 {
		if set>>n&1 == 1 {
			p.Prctl(fmt.Sprintf("prctl(PR_CAP_AMBIENT_RAISE, %d)", n),
				unix.PR_CAP_AMBIENT, Int(unix.PR_CAP_AMBIENT_RAISE), Int(n), Int(0), Int(0))
		}
	}
}

// AllCapabilities is a set of all capabilities that this kernel has.
func AllCapabilities() uint64 { return 1<<capabilities() - 1 }

// capabilities is how many capabilities this kernel has.
func capabilities() int {
	for n := range 64 {
		if _, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(n), 0, 0, 0); err != nil {
			return n
		}
	}
	return 64
}

// ClearInheritable empties the inheritable set and leaves the others as they
// are: capget(2), capset(2).
func (p *Program) ClearInheritable() {
	header := p.Bytes(appendUint32(nil, unix.LINUX_CAPABILITY_VERSION_3, 0))
	// struct __user_cap_data_struct {u32 effective, permitted, inheritable} [2]
	data := p.Words(0, 0, 0)
	p.Call("capget", unix.SYS_CAPGET, header, data)
	p.Bits(Word(data, 8), Word(data, 8).Value(), 0, 0xffffffff<<32, 0)
	p.Bits(Word(data, 16), Word(data, 16).Value(), 0, 0xffffffff, 0)
	p.Call("capset", unix.SYS_CAPSET, header, data)
}

// NewSessionKeyring gives the process a session keyring of its own, which is
// empty: KEYCTL_JOIN_SESSION_KEYRING of keyctl(2). What the caller keeps in its
// own is out of reach then. A kernel without keys has nothing to keep.
func (p *Program) NewSessionKeyring() {
	failed, done := p.Label(), p.Label()
	p.Call("keyctl(KEYCTL_JOIN_SESSION_KEYRING)", unix.SYS_KEYCTL, Int(unix.KEYCTL_JOIN_SESSION_KEYRING), Int(0)).OrJump(failed)
	p.Jump(done)
	p.Place(failed)
	p.JumpIf(Errno, ^uint64(0), uint64(unix.ENOSYS), done)
	p.Jump(failLabel)
	p.Place(done)
}
