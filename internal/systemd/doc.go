// Package systemd holds nsx's binary against systemd as process 1: what it says
// of its units is what nsx has to find in them. It has nothing but tests, which
// need a machine to themselves, and the build tag systemd: `make lab-systemd`
// boots one.
package systemd
