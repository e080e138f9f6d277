// Package house has tests of the source as a whole: what other programs can see of
// it, and how long its files are.
package house
