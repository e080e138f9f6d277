package main

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// startPoller has Go's poller take its two descriptors now, those of epoll(7)
// and eventfd(2), or says that there are none left. Later, with the first file
// or timer that needs it, the runtime would end the program and show its stacks.
func startPoller(cmd *cobra.Command) error {
	err := freeDescriptors(2)
	if err == nil {
		time.AfterFunc(time.Hour, func() {}).Stop()
		return nil
	}
	err = fmt.Errorf("%w: nsx needs some 20 descriptors, see ulimit -n", os.NewSyscallError("eventfd", err))
	if slices.Contains([]string{"enter", "foreach", "run"}, cmd.Name()) {
		return own(err)
	}
	return err
}

// freeDescriptors fails with EMFILE if there are not n of them left.
func freeDescriptors(n int) error {
	if n == 0 {
		return nil
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return freeDescriptors(n - 1)
}
