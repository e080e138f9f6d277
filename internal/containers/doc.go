// Package containers holds nsx's binary against containers of real runtimes:
// what a runtime says of a container is what nsx has to find in it. It has
// nothing but tests, which need root, the runtimes and the build tag containers:
// `make containers` runs them. docs/containers.md says what is compared.
package containers
