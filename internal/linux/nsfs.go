// Package linux holds the few kernel interfaces that golang.org/x/sys/unix
// has no function for. Each function is one system call: it retries nothing, prints
// nothing and returns the bare errno. The namespace ioctls are those of
// ioctl_nsfs(2) and include/uapi/linux/nsfs.h.
package linux

import "golang.org/x/sys/unix"

// NSUserns opens the user namespace that owns the namespace fd. EPERM: it is
// not in the caller's user namespace or below it. Linux 4.9.
func NSUserns(fd int) (int, error) { return unix.IoctlRetInt(fd, unix.NS_GET_USERNS) }

// NSParent opens the parent of a user or PID namespace. EPERM: there is none,
// or it is outside the caller's own; EINVAL: the type has no parents.
// Linux 4.9.
func NSParent(fd int) (int, error) { return unix.IoctlRetInt(fd, unix.NS_GET_PARENT) }

// NSType is the CLONE_NEW* constant of a namespace file. ENOTTY: fd is no
// namespace. Linux 4.11.
func NSType(fd int) (int, error) { return unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE) }

// NSOwnerUID is the effective user that created the user namespace fd, as
// seen from the caller's user namespace: the overflow uid where it is not
// mapped there. EINVAL: fd is no user namespace. Linux 4.11.
func NSOwnerUID(fd int) (uint32, error) {
	return unix.IoctlGetUint32(fd, unix.NS_GET_OWNER_UID)
}

// NSID is the namespace's 64-bit id, which, unlike the inode number, is never
// used again. ENOTTY before Linux 6.18.
func NSID(fd int) (uint64, error) { return unix.IoctlGetUint64(fd, unix.NS_GET_ID) }

// SocketNetNS opens the network namespace of a socket: SIOCGSKNS of
// include/uapi/linux/sockios.h. It asks for CAP_NET_ADMIN in the user
// namespace that owns it. Linux 4.10.
func SocketNetNS(fd int) (int, error) { return unix.IoctlRetInt(fd, unix.SIOCGSKNS) }
