// Package who answers the question "whose is this?" about a number or word that turns up
// in a log, a table or an alarm: a PID, also one of another PID namespace, a network
// interface, a port, an IP address, a namespace, a cgroup, a uid of a container. The
// answer is the container, pod, unit, session or process behind it.
//
// All questions are answered from one look at the machine, so a thousand cost little
// more than one. Nobody is asked but the kernel and the runtimes' files: no daemon.
package who
