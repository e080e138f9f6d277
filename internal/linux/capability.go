package linux

import "golang.org/x/sys/unix"

// HasCapability says whether the calling thread has a capability (unix.CAP_*)
// in effect, in its own user namespace.
func HasCapability(c int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[c/32].Effective&(1<<(c%32)) != 0
}
