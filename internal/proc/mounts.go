package proc

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"

	"golang.org/x/sys/unix"
)

// maxLine is as much of a line as parsers get: bufio.Scanner, which
// moby/sys/mountinfo reads by, gives up at 64 KiB. Paths take half of that at
// most; options may be of any length, as an overlay's with hundreds of layers.
const maxLine = 60 << 10

// Mounts reads a mount table (proc_pid_mountinfo(5)) and keeps the lines of file
// systems of the given types, or all if none is given:
//
//	36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/sda1 rw
//
// A line is cut where it becomes too long. A table of more bytes than MaxTable
// is EFBIG, with what was read until then.
func Mounts(r io.Reader, types ...string) ([]byte, error) {
	var kept []byte
	lines := bufio.NewReaderSize(r, maxLine)
	for read := 0; ; {
		line, err := lines.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		read += len(line)
		if len(types) == 0 || slices.Contains(types, fsType(line)) {
			kept = append(kept, line...)
			if long {
				kept = append(kept, '\n')
			}
		}
		for long { // what does not fit is not looked at
			line, err = lines.ReadSlice('\n')
			read += len(line)
			long = errors.Is(err, bufio.ErrBufferFull)
		}
		switch {
		case errors.Is(err, io.EOF):
			return kept, nil
		case err != nil:
			return kept, err
		case read > MaxTable:
			return kept, unix.EFBIG
		}
	}
}

// fsType is a mount's type. Blanks in what stands before it are escaped.
func fsType(line []byte) string {
	_, rest, _ := bytes.Cut(line, []byte(" - "))
	word, _, _ := bytes.Cut(rest, []byte(" "))
	return string(word)
}

// ReadMounts is Mounts of a regular file below the root.
func (r Root) ReadMounts(name string, types ...string) ([]byte, error) {
	at, err := r.Open(name, unix.O_PATH)
	if err != nil {
		return nil, err
	}
	defer unix.Close(at)
	fd, err := ReopenFile(at, unix.O_RDONLY)
	if err != nil {
		return nil, pathError(r.Join(name), err)
	}
	defer unix.Close(fd)
	text, err := Mounts(reader(fd), types...)
	return text, pathError(r.Join(name), err)
}
