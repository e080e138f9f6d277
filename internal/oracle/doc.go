// Package oracle compares cgroupfs with other programs' libraries: what the
// container runtimes make of the same numbers. It is a module of its own, for
// tests alone, so that nsx depends on none of them.
//
// Where they agree, two hands came to the same result. Where they do not, the
// test has the arithmetic and asserts the difference, so that one knows when
// they change.
package oracle
