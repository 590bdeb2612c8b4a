# virt-sandbox: the whole toolchain.
#
#   make run [CMD="uname -a"]   set up what is missing, build, and run a command in a sandbox
#   make test [ONLY="cli guest"]  set up, build, check, and run every test, or those in files with such names
#   make build                  build; nothing is installed but npm packages, nothing is run
#   make test-profiles          the tests that boot guests, under every profile
#   make check                  formatters, linter, types, layers
#   make bench                  boot times as ratios, against bare QEMU and virtme-ng
#   make install PREFIX=/usr/local [DESTDIR=]

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
# What sets up must be done before anything is built. The C programs' own makes run as many jobs as they may.
.NOTPARALLEL:

PREFIX ?= /usr/local
DESTDIR ?=
CMD ?= /bin/date
ONLY ?=

NATIVE := dist/native
TS_SOURCES := $(shell find src init/common man -name '*.ts' 2>/dev/null)
TEST_SOURCES := $(shell find test -name '*.ts' 2>/dev/null)
C_SOURCES := $(shell find init -name '*.[ch]' 2>/dev/null)

PROFILES := $(basename $(notdir $(wildcard profiles/*.json)))

.PHONY: FORCE all build run test test-profiles check bench install clean setup setup-test setup-bench native

all: build

build: node_modules/.installed native dist/virt-sandbox.cjs

setup:
	@scripts/setup run

setup-test:
	@scripts/setup test

setup-bench:
	@scripts/setup bench

node_modules/.installed: package.json package-lock.json .npmrc
	npm ci --no-audit --no-fund
	@touch $@

native:
	@$(MAKE) --silent -C init/native OUT=$(abspath $(NATIVE)) >&2
	@$(MAKE) --silent -C init/dhcp OUT=$(abspath $(NATIVE)) >&2
	@$(MAKE) --silent -C init/supervisor OUT=$(abspath $(NATIVE)) >&2

# Programs tell their revision, and that their sources differ from it: so they are built anew after a commit.
build/.revision: FORCE
	@mkdir -p build
	@revision=$$(git describe --always --dirty 2>/dev/null || true); [[ -e $@ && $$(<$@) == "$$revision" ]] || echo "$$revision" >$@

FORCE:

dist/virt-sandbox.cjs: $(TS_SOURCES) build/.revision scripts/bundle.mjs scripts/revision.mjs node_modules/.installed tsconfig.json
	node scripts/bundle.mjs
	npx tsc -p scripts/tsconfig.types.json
	@touch $@

run: setup build
	@bin/virt-sandbox -- $(CMD)

check: build
	npx biome check --error-on-warnings .
	npx tsc --noEmit -p .
	node scripts/check-c-includes.mjs
	clang-format --dry-run -Werror $(C_SOURCES)

build/.tests: $(TS_SOURCES) $(TEST_SOURCES) node_modules/.installed tsconfig.json
	@# A test whose source is gone must not run on.
	rm -rf build/test
	npx tsc -p .
	@touch $@

test: setup-test build check build/.tests
	@$(MAKE) -C init/native OUT=$(abspath build/native) test-build fuzz
	@$(MAKE) -C init/dhcp OUT=$(abspath build/native) test-build
	node scripts/test.mjs $(ONLY)

# Every test that boots a guest, under every profile that is shipped.
test-profiles: setup-test build build/.tests
	@$(MAKE) -C init/native OUT=$(abspath build/native) test-build
	@failed=; for profile in $(PROFILES); do \
	  echo "profile $$profile"; VIRT_SANDBOX_PROFILE=$$profile node scripts/test.mjs guest/ || failed+=" $$profile"; \
	done; [[ -z $$failed ]] || { echo "failed under:$$failed" >&2; exit 1; }

bench: setup-bench build build/.tests
	@node scripts/bench.mjs $(BENCH)

# A tree of its own, with the packages that run needs and none that building needs, and one link to it.
install: build
	rm -rf '$(DESTDIR)$(PREFIX)/lib/virt-sandbox'
	mkdir -p '$(DESTDIR)$(PREFIX)/lib/virt-sandbox/dist/native' '$(DESTDIR)$(PREFIX)/bin'
	cp -R bin kmods profiles docs package.json package-lock.json README.md '$(DESTDIR)$(PREFIX)/lib/virt-sandbox/'
	cp -R dist/*.cjs dist/*.v8 dist/*.js dist/help dist/types '$(DESTDIR)$(PREFIX)/lib/virt-sandbox/dist/'
	cp dist/native/init dist/native/dhcp dist/native/supervisor '$(DESTDIR)$(PREFIX)/lib/virt-sandbox/dist/native/'
	cd '$(DESTDIR)$(PREFIX)/lib/virt-sandbox' && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error
	cp -R dist/share '$(DESTDIR)$(PREFIX)/'
	for program in virt-sandbox virt-sandbox-bake virt-sandbox-bench; do ln -sfn "../lib/virt-sandbox/bin/$$program" '$(DESTDIR)$(PREFIX)/bin/'"$$program"; done

clean:
	rm -rf build dist node_modules/.installed
