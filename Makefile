# nsx's chores. `make` alone lists them.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

GO       ?= go
VERSION  := $(shell git describe --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION)
BUILD    := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)"
FUZZTIME ?= 10s
TIME     ?= 2m
# More flags for go test: make test TESTFLAGS='-short -run Scan'
TESTFLAGS ?=

GOLANGCI_VERSION := v2.15.0
GOLANGCI         := bin/tools/golangci-lint-$(GOLANGCI_VERSION)

NFPM_VERSION := v2.45.2
NFPM         := bin/tools/nfpm-$(NFPM_VERSION)

# Where make install puts things; zsh of Debian looks for those of packages in
# /usr/share/zsh/vendor-completions.
PREFIX  ?= /usr/local
DESTDIR ?=
BINARY  ?= bin/nsx
SHARE   := $(DESTDIR)$(PREFIX)/share
BASHDIR ?= $(SHARE)/bash-completion/completions
ZSHDIR  ?= $(SHARE)/zsh/site-functions
FISHDIR ?= $(SHARE)/fish/vendor_completions.d

.DEFAULT_GOAL := help

.PHONY: help
help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/nsx: one static file
	$(BUILD) -o bin/nsx ./cmd/nsx

.PHONY: build-arm64
build-arm64: ## Build bin/nsx-linux-arm64
	GOOS=linux GOARCH=arm64 $(BUILD) -o bin/nsx-linux-arm64 ./cmd/nsx

.PHONY: test
ifeq ($(shell id -u),0)
test: test-root test-user ## Run all tests; root runs them as an ordinary user too
else
test: test-user
endif

.PHONY: test-root
test-root: ## Run all tests as root
	@.ci/test root $(TESTFLAGS)

.PHONY: test-user
test-user: ## Run all tests as an ordinary user
	@.ci/test user $(TESTFLAGS)

.PHONY: module-path
module-path: ## Give the module the path NEW=host/owner/nsx, everywhere
	@$(GO) run ./internal/modulepath '$(NEW)'

# Each of the suites FLAKES times, half of them beside a load, all tests WHOLE
# times; SUITES='inspect soak' or RUN=TestName for some. It takes hours.
.PHONY: flakes
flakes: ## Run the tests that judge races again and again; list the red ones
	@FLAKES='$(FLAKES)' WHOLE='$(WHOLE)' SUITES='$(SUITES)' RUN='$(RUN)' .ci/flakes

# Not of testkit: its storm and its crowds fork, which takes ten times as long
# with the detector's memory to copy. Nor of the command and the attacks on it: they
# start it a thousand times, and what it runs is in the other packages.
.PHONY: race
race: ## Run the short tests under the race detector (needs gcc)
	CGO_ENABLED=1 $(GO) test -race -short -count=1 $(TESTFLAGS) $$($(GO) list ./... | grep -v -e /testkit -e /cmd/ -e /attacks)

# A module of its own: nsx depends on none of what it is compared with.
.PHONY: oracle
oracle: ## Compare cgroupfs with the container runtimes' libraries
	cd internal/oracle && $(GO) vet ./... && $(GO) test -count=1 ./...

.PHONY: lint
lint: $(GOLANGCI) ## Check style, likely mistakes and who imports whom
	$(GOLANGCI) run --allow-parallel-runners ./...
	$(GO) vet ./...
	GOARCH=arm64 $(GO) vet ./...

.PHONY: fmt
fmt: $(GOLANGCI) ## Format all Go files
	$(GOLANGCI) fmt ./...

# Built from source at a pinned version, apart from nsx's own go.mod: a linter's
# two hundred modules are no business of those who build nsx.
$(GOLANGCI):
	mkdir -p $(@D)
	GOBIN=$(CURDIR)/$(@D) GOFLAGS= $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(@D)/golangci-lint $@

.PHONY: bench
bench: build ## Time nsx beside its peers; writes docs/bench.md (run as root)
	$(GO) run ./internal/bench -o docs/bench.md

# The kernels are kept in LAB_DIR. One machine by hand:
# make lab KERNEL=7.2 LAYOUT=v2 PACKAGES=cmd/nsx RUN=TestName, with MEMORY=MIB and
# LIMIT=TIME where it takes more. Only a whole matrix goes into the document.
LAB_DIR ?= build/lab
LAB = $(GO) run ./internal/lab -dir $(LAB_DIR) $(if $(KERNEL),-kernel $(KERNEL)) $(if $(LAYOUT),-layout $(LAYOUT)) $(if $(PACKAGES),-packages $(PACKAGES)) $(if $(RUN),-run '$(RUN)') $(if $(MEMORY),-memory $(MEMORY)) $(if $(LIMIT),-limit $(LIMIT))

.PHONY: lab
lab: ## Run the tests on many kernels, in virtual machines (needs QEMU)
	$(LAB) $(if $(KERNEL)$(LAYOUT)$(PACKAGES)$(RUN),,-o docs/lab.md)

# A slice of that for CI: v2 alone on two kernels, one of them for arm64. CI itself runs
# on a hybrid host. TODO: 6.1/v1 belongs here; it stood still twice, unexplained: docs/lab.md.
LAB_CI_CELLS ?= 7.2/v2,6.1-arm64/v2

.PHONY: lab-ci
lab-ci: ## Run two of those machines, in about ten minutes
	$(LAB) -cells $(LAB_CI_CELLS)

# Debian's systemd of the kernel's own suite: all layouts that it still has.
.PHONY: lab-systemd
lab-systemd: ## Hold nsx against systemd as process 1, in such machines
	$(LAB) -systemd

# One machine, unless it is said which: KERNEL and LAYOUT.
.PHONY: lab-selinux
lab-selinux: ## Run tests where SELinux enforces Debian's policy, in such a machine
	$(LAB) -selinux $(if $(KERNEL)$(LAYOUT),,-cells 6.1/v2)

.PHONY: lab-shell
lab-shell: ## Open a shell in the machine of KERNEL and LAYOUT
	$(LAB) -shell

# Without cgo, as nsx is built. A visit that hangs ends it: no -timeout is needed.
.PHONY: soak
soak: ## Try nsx for TIME (2m) where all else fails (as root and as a user)
	CGO_ENABLED=0 $(GO) test -count=1 -v -timeout 0 -run '^TestSoak$$' ./cmd/nsx -soak $(TIME)

# All of them: make test runs the attacks too, and those that need luck only a few
# times. NSX_ATTACKS_BINARY=FILE attacks another nsx, NSX_ATTACKS_PEERS=1 nsenter too.
.PHONY: attacks
attacks: ## Attack nsx, as hostile targets do, in half an hour (run as root)
	CGO_ENABLED=0 NSX_ATTACKS_FULL=1 $(GO) test -tags containers -count=1 -v -timeout 80m $(TESTFLAGS) ./internal/attacks

# Without cgo: the tests play the programs in the containers, which have no loader.
.PHONY: containers
containers: ## Hold nsx against real container runtimes (run as root)
	CGO_ENABLED=0 $(GO) test -tags containers -count=1 -timeout 5m $(TESTFLAGS) ./internal/containers
	CGO_ENABLED=0 $(GO) test -tags containers -count=1 -timeout 5m -run '^TestContainer' $(TESTFLAGS) ./internal/attacks

.PHONY: containers-needs
containers-needs: ## Install the runtimes that containers runs (Debian, as root)
	.ci/containers

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (10s)
	for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' "$$package" | grep '^Fuzz' || true); do \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package"; \
		done; \
	done

# The date on the pages is that of the commit, so that the same source makes the
# same pages.
.PHONY: man
man: ## Write the manual pages to build/man
	rm -rf build/man
	SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || echo 0)} \
		$(GO) run -tags gendoc -ldflags "-X main.version=$(VERSION)" ./cmd/nsx build/man

.PHONY: completions
completions: build ## Write the shells' completion scripts to build/completions
	rm -rf build/completions
	mkdir -p build/completions/{bash,zsh,fish}
	bin/nsx completion bash > build/completions/bash/nsx
	bin/nsx completion zsh > build/completions/zsh/_nsx
	bin/nsx completion fish > build/completions/fish/nsx.fish

# What is not there yet: sudo often has no Go, so who has it builds first.
bin/nsx:
	$(MAKE) build
build/man/nsx.1:
	$(MAKE) man
build/completions/bash/nsx:
	$(MAKE) completions

.PHONY: install
install: $(BINARY) build/man/nsx.1 build/completions/bash/nsx ## Install what was built below PREFIX (/usr/local)
	install -D -m 755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/nsx
	install -d $(SHARE)/man/man1 $(SHARE)/doc/nsx/docs
	install -m 644 build/man/*.1 $(SHARE)/man/man1
	install -m 644 LICENSE README.md CHANGELOG.md $(SHARE)/doc/nsx
	install -m 644 docs/*.md $(SHARE)/doc/nsx/docs
	install -D -m 644 build/completions/bash/nsx $(BASHDIR)/nsx
	install -D -m 644 build/completions/zsh/_nsx $(ZSHDIR)/_nsx
	install -D -m 644 build/completions/fish/nsx.fish $(FISHDIR)/nsx.fish

.PHONY: uninstall
uninstall: build/man/nsx.1 ## Remove what make install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/nsx $(BASHDIR)/nsx $(ZSHDIR)/_nsx $(FISHDIR)/nsx.fish
	rm -f $(addprefix $(SHARE)/man/man1/,$(notdir $(wildcard build/man/*.1)))
	rm -rf $(SHARE)/doc/nsx

$(NFPM):
	mkdir -p $(@D)
	GOBIN=$(CURDIR)/$(@D) GOFLAGS= $(GO) install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM_VERSION)
	mv $(@D)/nfpm $@

# No clock goes in but the commit's, so that the same source and the same Go make
# the same files; .ci/release holds that, and installs them. MAINTAINER is whom the
# packages name.
RELEASE_EPOCH = $${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)}

.PHONY: release
release: $(NFPM) man completions ## Make archives, packages, an image and sums in build/release
	rm -rf build/release build/stage
	for arch in amd64 arm64; do \
		GOOS=linux GOARCH=$$arch $(BUILD) -o build/stage/nsx-$$arch ./cmd/nsx; \
		$(MAKE) -s install BINARY=build/stage/nsx-$$arch DESTDIR=build/stage/$$arch PREFIX=/usr; \
		rm build/stage/nsx-$$arch; \
	done
	$(GO) run ./internal/release -version $(VERSION) -epoch $(RELEASE_EPOCH) -nfpm $(NFPM) \
		$(if $(MAINTAINER),-maintainer '$(MAINTAINER)') -stage build/stage -out build/release
	cat build/release/SHA256SUMS

.PHONY: clean
clean: ## Remove what was built, except the tools
	rm -rf build bin/nsx bin/nsx-linux-arm64
