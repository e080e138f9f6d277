// Package testkit makes the machine states that nsx's tests look at: real
// processes in real namespaces, in the odd states that only the kernel can
// produce, thousands of them if need be, and fake /proc trees for what a
// kernel will not produce on request.
//
// A test package opts in with one function:
//
//	func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }
//
// and then starts what it needs:
//
//	p := testkit.Start(t, testkit.Config{New: []string{"user", "net"}})
//	inode := p.NS("net")
//
// Fixtures are the test binary itself, executed again with an environment
// variable that Main looks for: nothing but Go is needed, no helper program,
// no C. A program that is no test calls [Hook] first thing in main.
//
// Every fixture is bound to its test three times over: it gets SIGKILL when the
// thread that started it ends (PR_SET_PDEATHSIG), it exits when the pipe to
// the test closes, and it exits on its own after [Lifetime]. So a killed test
// leaves nothing behind. Fixtures mount only in mount namespaces of their own
// and touch no cgroup.
//
// The package speaks of namespaces by their names in /proc/PID/ns ("net",
// "mnt", …) and imports none of nsx's packages, because their tests import it.
package testkit
