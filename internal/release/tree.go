package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// tree is files, sorted by path. Directories are made of their paths.
type tree []file

type file struct {
	path string // relative
	mode fs.FileMode
	data []byte
}

// readTree reads the files below dir. Their modes are 0755 or 0644, whatever the
// umask was.
func readTree(dir string) (tree, error) {
	var t tree
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		t = append(t, file{rel, mode, data})
		return err
	})
	return t.sorted(), err
}

func (t tree) sorted() tree {
	slices.SortFunc(t, func(a, b file) int { return strings.Compare(a.path, b.path) })
	return t
}

// find returns a file's bytes, or nil.
func (t tree) find(name string) []byte {
	for _, f := range t {
		if f.path == name {
			return f.data
		}
	}
	return nil
}

// with returns the tree with its files changed; those that change returns without
// a path are left out.
func (t tree) with(change func(file) file) tree {
	var changed tree
	for _, f := range t {
		if f = change(f); f.path != "" {
			changed = append(changed, f)
		}
	}
	return changed
}

// tar makes an archive of root's files, with each directory before what is in it.
// Everything is below top, if that is not empty.
func (t tree) tar(when time.Time, top string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	made := map[string]bool{".": true}
	header := func(h tar.Header) {
		h.ModTime, h.Format = when, tar.FormatUSTAR
		must(w.WriteHeader(&h))
	}
	var directory func(string)
	directory = func(name string) {
		if made[name] {
			return
		}
		directory(path.Dir(name))
		made[name] = true
		header(tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755})
	}
	for _, f := range t {
		name := path.Join(top, f.path)
		directory(path.Dir(name))
		header(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(f.mode), Size: int64(len(f.data))})
		_, err := w.Write(f.data)
		must(err)
	}
	must(w.Close())
	return b.Bytes()
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	must(err)
	_, err = w.Write(data)
	must(err)
	must(w.Close())
	return b.Bytes()
}

// must is for writing to memory, and for paths and levels that are ours.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
