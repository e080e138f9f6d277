// Package identity says whose a process or a cgroup is: which container, pod,
// machine or systemd unit it belongs to. It reads nothing itself: it is given
// paths of cgroups and command lines, and asked.
//
// All of these may lie. Who owns a delegated group names those below it as he
// likes, and a process writes its own command line.
package identity
