// Package keys is the control files of cgroups as words: their names and values,
// sizes, numbers of CPUs, lists of CPUs and throttles of disks, and what each is
// called on the other version of cgroups. It reads no file and asks nothing of the
// machine but what a caller hands it as Machine.
//
//	size, err := keys.ParseSize("512M")
//	tr, err := keys.Translate(keys.TranslateOptions{To: 2}, keys.Setting{Key: "cpu.shares", Value: "512"})
//
// Everything here may be called from several goroutines at once.
package keys
