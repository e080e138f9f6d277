package testkit

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOnThread(t *testing.T) {
	CheckLeaks(t)
	tids := make(chan int)
	for range 200 {
		go OnThread(func() { tids <- unix.Gettid() })
	}
	for range 200 {
		if <-tids == os.Getpid() {
			t.Error("on the first thread")
		}
	}
}
