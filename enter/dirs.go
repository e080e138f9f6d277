package enter

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"nsx/inspect"
	"nsx/internal/launcher"
)

// dirSteps goes to the root and working directory, and closes all that could
// lead outside.
//
// The propagation of mounts can be set from the root of a mount only (mount(2)),
// which the new root need not be. So that becomes the root afterwards, unless a
// working directory takes its place.
func (p *Plan) dirSteps(prog *launcher.Program) {
	if p.root != nil {
		prog.Fchdir("going to "+p.rootOf, prog.File(p.root))
	}
	if p.dir != nil {
		p.rootSteps(prog)
		prog.Fchdir("going to the working directory", prog.File(p.dir))
	}
	prog.CloseFiles()
}

func (p *Plan) rootSteps(prog *launcher.Program) {
	if p.root != nil {
		prog.ChrootHere("changing the root to " + p.rootOf)
	}
}

// insideSteps does what is left of dirSteps. From here on, names are looked up.
func (p *Plan) insideSteps(prog *launcher.Program) {
	if p.dir == nil {
		p.rootSteps(prog)
	}
	if p.options.DirInside != "" {
		prog.Chdir(p.options.DirInside)
	}
	if p.root != nil || p.WillJoin(inspect.Mnt) {
		p.checkDir(prog)
	}
}

// checkDir looks whether the working directory is below the root.
func (p *Plan) checkDir(prog *launcher.Program) {
	prog.CheckDir("looking at the working directory").
		Explain(because(func(unix.Errno) (string, error) { return p.explainDir(), nil }))
}

// explainDir says why the working directory cannot be seen from the root.
func (p *Plan) explainDir() string {
	for _, d := range []struct {
		file *os.File
		name string
	}{{p.root, p.rootOf}, {p.dir, "it"}} {
		if d.file == nil {
			continue
		}
		if st, err := d.file.Stat(); err == nil && st.Sys().(*syscall.Stat_t).Nlink == 0 {
			return d.name + " has been deleted"
		}
	}
	return "it is not below the new root directory, where the command could see it"
}

// openDirs opens the root and working directory. setns(2) leaves us at the
// mount namespace's own root, which the process may never have seen
// (chroot(2), pivot_root(2)): so the process's root it is.
func (p *Plan) openDirs(of, mnt *inspect.Target) (err error) {
	o := p.options
	const how = unix.O_PATH | unix.O_DIRECTORY
	switch {
	case o.Root != "" && !p.Untrusted():
		p.root, err = openDir(o.Root)
		p.rootOf = o.Root
	case o.TargetRoot && of == nil, o.TargetDir && of == nil:
		return usagef("no process is named whose root or working directory it is")
	case o.TargetRoot:
		p.root, err = openOf(of, "root", how)
		p.rootOf = "the root of " + of.Name()
	case mnt != nil:
		p.root, err = openOf(mnt, "root", how)
		p.rootOf = "the root of " + mnt.Name()
	}
	if err != nil {
		return err
	}
	switch {
	case o.Dir != "" && !p.Untrusted():
		p.dir, err = openDir(o.Dir)
	case o.TargetDir:
		p.dir, err = openOf(of, "cwd", how)
	}
	return err
}

func openDir(path string) (*os.File, error) {
	return os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY, 0)
}

func openOf(t *inspect.Target, name string, flags int) (*os.File, error) {
	f, err := t.Open(name, flags)
	if err != nil {
		return nil, explainOpen("the "+name, t, err)
	}
	return f, nil
}
