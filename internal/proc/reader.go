package proc

import (
	"errors"

	"golang.org/x/sys/unix"

	"nsx/internal/linux"
)

// Reader reads small files and links below directories of a /proc, many one after
// the other: its buffer serves them all. It is for one goroutine. Names are as the
// kernel takes them (linux.CString). The zero value is for a mounted procfs.
type Reader struct {
	// Captured says that the directories are a copy, and perhaps hostile: nothing
	// leads out of them, and only regular files are opened.
	Captured bool
	// Quick is for files that wait for nothing: see linux.Quick.
	Quick linux.Quick

	buf [4096]byte
}

// ReadFile reads a file whole; one of more bytes than MaxFile is EFBIG. The text
// is overwritten by the next call.
func (r *Reader) ReadFile(dir int, path *byte) ([]byte, error) {
	text, cut, err := r.read(r.Quick, dir, path, MaxFile)
	if cut {
		err = unix.EFBIG
	}
	return text, err
}

// ReadSlow reads a file that may keep its reader waiting, such as cmdline: so many
// bytes of it at most. It says whether there are more.
func (r *Reader) ReadSlow(dir int, path *byte, most int) (text []byte, cut bool, err error) {
	return r.read(false, dir, path, most)
}

// read reads into the buffer. The kernel makes a small file's text in one go, and
// a read that fills less than the buffer has got all of it.
func (r *Reader) read(quick linux.Quick, dir int, path *byte, most int) (text []byte, cut bool, err error) {
	fd, err := r.open(quick, dir, path)
	if err != nil {
		return nil, false, err
	}
	defer quick.Close(fd)
	buf := r.buf[:]
	for n := 0; ; {
		got, err := quick.Read(fd, buf[n:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		n += got
		switch {
		case n > most:
			return buf[:most], true, nil
		case got == 0 || n < len(buf):
			return buf[:n], false, nil
		}
		buf = append(buf, make([]byte, len(buf))...)
	}
}

func (r *Reader) open(quick linux.Quick, dir int, path *byte) (int, error) {
	if r.Captured {
		return OpenRegular(dir, unix.BytePtrToString(path), unix.O_RDONLY)
	}
	return quick.Openat(dir, path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK)
}

// OpenDir opens a directory, with O_PATH among the flags to look no further.
func (r *Reader) OpenDir(dir int, path *byte, flags int) (int, error) {
	flags |= unix.O_DIRECTORY | unix.O_CLOEXEC
	if r.Captured {
		return OpenBeneath(dir, unix.BytePtrToString(path), flags)
	}
	return r.Quick.Openat(dir, path, flags)
}

// Readlink reads a link of no more than 64 bytes. The text is overwritten by the
// next call.
func (r *Reader) Readlink(dir int, path *byte) ([]byte, error) {
	var n int
	var err error
	if buf := r.buf[:64]; r.Captured {
		n, err = Readlink(dir, unix.BytePtrToString(path), buf)
	} else {
		n, err = r.Quick.Readlinkat(dir, path, buf)
	}
	if err != nil {
		return nil, err
	}
	return r.buf[:n], nil
}

// Stat reads a stat file.
func (r *Reader) Stat(dir int, path *byte) (Stat, error) {
	text, err := r.ReadFile(dir, path)
	if err != nil {
		return Stat{}, err
	}
	return ParseStat(text)
}
