package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"nsx/output"
)

// paged prints through a pager what is longer than the terminal is high. Without one
// that can be started, it is printed as it is.
func (f *viewFlags) paged(w *os.File, print func(io.Writer) error) error {
	height := output.TerminalHeight(w)
	if f.noPager || height == 0 {
		return print(w)
	}
	var text bytes.Buffer
	if err := print(&text); err != nil {
		return err
	}
	if bytes.Count(text.Bytes(), []byte("\n")) >= height {
		if err := page(w, text.Bytes()); err == nil {
			return nil
		}
	}
	_, err := w.Write(text.Bytes())
	return err
}

// page runs the user's pager. It fails if that has shown nothing.
func page(w *os.File, text []byte) error {
	var cmd *exec.Cmd
	switch word := pagerWord(); word {
	case "cat":
		return errors.New("no pager is wanted")
	case "":
		if _, err := exec.LookPath("less"); err != nil {
			return err
		}
		cmd = exec.Command("less")
	default:
		cmd = exec.Command("sh", "-c", word)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), w, os.Stderr
	cmd.Env = os.Environ()
	if os.Getenv("LESS") == "" { // end if it fits, keep colours, leave it on the screen
		cmd.Env = append(cmd.Env, "LESS=FRX")
	}
	// ^C is for the pager as long as it has the terminal.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, unix.SIGINT)
	defer signal.Stop(interrupts)
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.Is(err, syscall.EPIPE): // it was left before its end
		return nil
	case errors.As(err, &exit) && exit.ExitCode() == 127: // the shell did not find it
		return err
	case errors.As(err, &exit):
		return nil
	}
	return err
}

// pagerWord is the user's choice; empty: he has none.
func pagerWord() string {
	for _, name := range []string{"NSX_PAGER", "PAGER"} {
		if word, ok := os.LookupEnv(name); ok && (word != "" || name == "NSX_PAGER") {
			if word == "" {
				return "cat"
			}
			return word
		}
	}
	return ""
}
