// Package attacks holds nsx against hostile targets: its tests are the programs of
// those who own a process that somebody else, mostly root, enters with nsx. Each
// tries to take something that it must not have, proves it by the least that shows
// it, and fails if it got it. docs/security.md lists them.
//
//	make attacks
//
// NSX_ATTACKS_BINARY is another nsx to run them against, such as an older one on
// which an attack succeeds, and NSX_ATTACKS_PEERS=1 runs nsenter and runc beside it
// and logs what they lose.
package attacks
