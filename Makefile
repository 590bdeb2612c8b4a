# virt-sandbox: the whole toolchain.
#
#   make run [CMD="uname -a"]     set up what is missing, build, and run a command in a sandbox
#   make build                    build; nothing is installed but npm packages, nothing is run
#   make unit [ONLY="config"] [JOBS=3]
#                                 the tests that need no machine, no daemon and no program with sanitizers
#   make test [ONLY="cli guest"] [JOBS=3] [THOROUGH=1]
#                                 set up, build, check, and run the tests; ONLY: folders, or parts of file names;
#                                 THOROUGH: also those that take minutes, and kill programs at each of their steps
#   make test-profiles            the tests that boot guests, under every profile
#   make fuzz [ONLY="packets"] [FUZZ_SECONDS=60] [FUZZ_RUNS=] [SEED=]
#                                 fuzz the C programs and the TypeScript, and print a table; ONLY: targets
#   make fuzz BUGS=1              whether the fuzzers find bugs that are put back in on purpose; ONLY: bugs
#   make check                    formatters, linter, types, layers
#   make bench                    boot times as ratios, against bare QEMU and virtme-ng
#   make soak [ONLY=signals] [SEED=1] [COUNT=1] [SOAK_HOURS=2]
#                                 faults, load and hostile guests, with a search for leftovers after each run
#   make install PREFIX=/usr/local [DESTDIR=]
#   make clean

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
# Setting up ends before building begins. The Makefiles of the C programs run jobs in parallel.
.NOTPARALLEL:

PREFIX ?= /usr/local
DESTDIR ?=
CMD ?= /bin/date
ONLY ?=
JOBS ?=
THOROUGH ?=
BUGS ?=
SEED ?=
COUNT ?=
SOAK_HOURS ?=
SOAK ?=

NATIVE := dist/native
INSTALLED := $(DESTDIR)$(PREFIX)/lib/virt-sandbox
# The programs of C, each of a folder of init/; init itself is of init/native.
NATIVE_PROGRAMS := init dhcp supervisor root-view root-overlay share-server qemu-wall netwall
PROGRAMS := virt-sandbox virt-sandbox-bake virt-sandbox-bench virt-sandbox-ctl virt-sandbox-image \
  virt-sandbox-service
# What systemd runs to learn of services, as the host's and as that of a user.
GENERATOR := virt-sandbox-service-generator
GENERATORS := $(DESTDIR)$(PREFIX)/lib/systemd
TS_SOURCES := $(shell find src init/common man -name '*.ts' -o -path 'src/viewer/page/page.*' 2>/dev/null)
TEST_SOURCES := $(shell find test -name '*.ts' 2>/dev/null)
C_SOURCES := $(shell find init test -name '*.[ch]' 2>/dev/null)

PROFILES := $(basename $(notdir $(wildcard profiles/*.json)))

.PHONY: FORCE all build run unit test test-profiles check bench soak install clean setup setup-test setup-bench native
.PHONY: init-asan init-fuzz dhcp-asan netwall-asan fuzz-c test-programs fuzz

all: build

build: node_modules/.installed native dist/virt-sandbox.cjs dist/types/src/index.d.ts

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
	@for folder in native $(filter-out init,$(NATIVE_PROGRAMS)); do \
	  $(MAKE) --silent -C init/$$folder OUT=$(abspath $(NATIVE)) >&2; \
	done

# Programs print their revision and whether their sources differ from it, so a commit has them built anew.
build/.revision: FORCE
	@mkdir -p build
	@revision=$$(git describe --always --dirty 2>/dev/null || true); \
	[[ -e $@ && $$(<$@) == "$$revision" ]] || echo "$$revision" >$@

FORCE:

dist/virt-sandbox.cjs: $(TS_SOURCES) build/.revision scripts/bundle.mjs scripts/revision.mjs
dist/virt-sandbox.cjs: node_modules/.installed tsconfig.json
	node scripts/bundle.mjs
	@touch $@

# What programs that import the package see of its types.
dist/types/src/index.d.ts: $(TS_SOURCES) node_modules/.installed tsconfig.json scripts/tsconfig.types.json
	npx tsc -p scripts/tsconfig.types.json
	@touch $@

run: setup build
	@bin/virt-sandbox -- $(CMD)

# One check a line. build/.tests checks the types.
check: build build/.tests
	npx biome check --error-on-warnings .
	node scripts/check-c-includes.mjs
	@echo "clang-format --dry-run -Werror"; clang-format --dry-run -Werror $(C_SOURCES)

# The record of the last run is in build/test, so that removing that has everything compiled again.
build/.tests: $(TS_SOURCES) $(TEST_SOURCES) node_modules/.installed tsconfig.json
	npx tsc -p . --incremental --tsBuildInfoFile build/test/.tsbuildinfo
	npx tsc -p src/viewer/page
	@# A test whose source is gone must not run.
	@find build/test -name '*.test.js' | while read -r file; do \
	  source=$${file#build/}; [[ -e $${source%.js}.ts ]] || rm "$$file"; \
	done
	@touch $@

# Programs with sanitizers. scripts/test-needs.mjs knows which tests need which.
init-asan:
	@$(MAKE) -C init/native OUT=$(abspath build/native) test-build

init-fuzz:
	@$(MAKE) -C init/native OUT=$(abspath build/native) fuzz

dhcp-asan:
	@$(MAKE) -C init/dhcp OUT=$(abspath build/native) test-build

netwall-asan:
	@$(MAKE) -C init/netwall OUT=$(abspath build/native) test-build

fuzz-c:
	@command -v clang-19 >/dev/null || { echo "fuzz-c: there is no clang-19; its tests are skipped" >&2; exit 0; }; \
	$(MAKE) -s -j$$(nproc) -C test/fuzz/c OUT=$(abspath build/fuzz/c)

test-programs:
	@programs=$$(node scripts/test-needs.mjs $(ONLY)); [[ -z $$programs ]] || $(MAKE) $$programs

unit: setup-test node_modules/.installed native dist/virt-sandbox.cjs build/.tests
	JOBS=$(JOBS) node scripts/test.mjs --quick $(ONLY)

test: setup-test build check build/.tests test-programs
	JOBS=$(JOBS) TEST_THOROUGH=$(THOROUGH) node scripts/test.mjs $(ONLY)

fuzz: setup-test node_modules/.installed
	@node scripts/$(if $(BUGS),fuzz-bugs,fuzz).mjs $(ONLY)

# Every test that boots a guest, under every profile that is shipped.
test-profiles: setup-test build build/.tests
	@failed=; for profile in $(PROFILES); do \
	  echo "profile $$profile"; VIRT_SANDBOX_PROFILE=$$profile TEST_COLD=1 node scripts/test.mjs guest/ || failed+=" $$profile"; \
	done; [[ -z $$failed ]] || { echo "failed under:$$failed" >&2; exit 1; }

bench: setup-bench build build/.tests
	@node scripts/bench.mjs $(BENCH)

soak: setup-test build build/.tests
	@node scripts/soak.mjs $(addprefix --only ,$(ONLY)) $(addprefix --seed ,$(SEED)) $(addprefix --count ,$(COUNT)) \
	  $(addprefix --hours ,$(SOAK_HOURS)) $(SOAK)

# A tree of its own, with the packages for running and none of those for building, and a link to each program. systemd
# looks for generators below /usr/lib, /usr/local/lib and /etc.
install: build
	rm -rf '$(INSTALLED)'
	mkdir -p '$(INSTALLED)/dist/native' '$(DESTDIR)$(PREFIX)/bin'
	cp -R bin kmods profiles docs examples package.json package-lock.json README.md LICENSE CHANGELOG.md '$(INSTALLED)/'
	cp -R dist/*.cjs dist/*.v8 dist/*.js dist/help dist/types dist/viewer '$(INSTALLED)/dist/'
	cp $(addprefix dist/native/,$(NATIVE_PROGRAMS)) '$(INSTALLED)/dist/native/'
	cd '$(INSTALLED)' && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error
	cp -R dist/share '$(DESTDIR)$(PREFIX)/'
	for program in $(PROGRAMS); do \
	  ln -sfn "../lib/virt-sandbox/bin/$$program" '$(DESTDIR)$(PREFIX)/bin/'"$$program"; \
	done
	for scope in system user; do \
	  mkdir -p '$(GENERATORS)'/$$scope-generators; \
	  ln -sfn ../../virt-sandbox/bin/$(GENERATOR) '$(GENERATORS)'/$$scope-generators/$(GENERATOR); \
	done

clean:
	rm -rf build dist node_modules/.installed
