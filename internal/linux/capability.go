package linux

import (
	"os"

	"golang.org/x/sys/unix"
)

// HasCapability says whether the calling thread has a capability (unix.CAP_*)
// in effect, in its own user namespace.
func HasCapability(c int) bool {
	data := capabilities()
	return data[c/32].Effective&(1<<(c%32)) != 0
}

// InInitialUserNamespace says whether the calling thread is in the user namespace of
// the boot, where capabilities are over the machine: PROC_USER_INIT_INO of
// include/linux/proc_ns.h is its number.
func InInitialUserNamespace() bool {
	link, err := os.Readlink("/proc/thread-self/ns/user")
	return err == nil && link == "user:[4026531837]"
}

// PermittedCapabilities is the calling thread's permitted set: bit n is
// capability n.
func PermittedCapabilities() uint64 {
	data := capabilities()
	return uint64(data[0].Permitted) | uint64(data[1].Permitted)<<32
}

// capabilities is capget(2), which fails for nobody's own.
func capabilities() (data [2]unix.CapUserData) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	_ = unix.Capget(&header, &data[0])
	return data
}
