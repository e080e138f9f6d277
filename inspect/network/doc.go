// Package network reads what is in one network namespace: its interfaces with their
// addresses, and the sockets that listen in it. It asks the kernel by netlink(7), with
// rtnetlink(7) and sock_diag(7), and needs nothing but a descriptor of the namespace.
//
// Open makes sockets inside; a socket belongs to the network namespace in which it was
// made, whichever thread uses it later. So no thread of the program has to stay in there:
// the one that goes in ends at once, and never runs anything else.
//
// A namespace may be hostile: whoever made it may fill it with interfaces and addresses
// by the hundred thousand, and change them while they are read. All that is read has a
// bound, and what goes beyond it is an error beside what was read.
package network
