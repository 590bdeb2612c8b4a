# How each program of C is built: one static binary of the C files beside its Makefile and in the folders there, and of
# what it uses of shared/. That Makefile includes this file and sets
#
#   PROGRAM   its name; `make OUT=DIR` builds DIR/PROGRAM, and knows these targets:
#               all         DIR/PROGRAM, checked to be static and small
#               test-build  DIR/PROGRAM-asan: an ordinary program for tests (VS_TEST), with sanitizers
#   MAX_SIZE  the most bytes that the stripped binary may have
#   APART     C files that are no part of it
#
# A file includes another by its path from the Makefile, "util/log.h", and one that programs share as "shared/FILE".

OUT ?= build
STRIP ?= strip
READELF ?= readelf
HOST_CC ?= gcc

HERE := $(dir $(abspath $(firstword $(MAKEFILE_LIST))))
RULES := $(abspath $(MAKEFILE_LIST))
MUSL_GCC := $(shell command -v musl-gcc 2>/dev/null)
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)

# musl comes without the kernel's headers; behind its own, the system's are searched for those.
ifneq ($(MUSL_GCC),)
STATIC_CC := $(MUSL_GCC)
INCLUDES := -idirafter /usr/include $(if $(MULTIARCH),-idirafter /usr/include/$(MULTIARCH))
else
STATIC_CC := $(CC)
INCLUDES :=
endif

WARNINGS := -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -pedantic-errors -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wcast-align -Wpointer-arith -Wwrite-strings -Wundef
HARDENING := -fstack-protector-strong -fno-common -ffunction-sections -fdata-sections
# Nothing here unwinds a stack.
SMALL := -fno-asynchronous-unwind-tables -fno-unwind-tables
STATIC_CFLAGS := -I$(HERE) -I$(HERE).. $(WARNINGS) $(HARDENING) $(SMALL) -Os $(INCLUDES)
# No relro: musl does not protect it in a static program, and it moves the data up to a page further.
STATIC_LDFLAGS := -static -Wl,-z,norelro,-z,now,-z,noexecstack,-z,noseparate-code,--gc-sections,--build-id=none
SANITIZERS := -fsanitize=address,undefined
ASAN_CFLAGS := -I$(HERE) -I$(HERE).. $(WARNINGS) -DVS_TEST -O1 -g -fno-omit-frame-pointer $(SANITIZERS) -fno-sanitize-recover=all

# The linker leaves out what the program does not use.
SHARED := $(patsubst $(HERE)../%,%,$(wildcard $(HERE)../shared/*.c))
SOURCES := $(filter-out $(APART),$(patsubst $(HERE)%,%,$(wildcard $(HERE)*.c $(HERE)*/*.c))) $(SHARED)
OBJECTS := $(SOURCES:%.c=$(OUT)/objects/$(PROGRAM)/%.o)
ASAN_OBJECTS := $(SOURCES:%.c=$(OUT)/objects/$(PROGRAM)-asan/%.o)

.PHONY: all test-build FORCE
.DELETE_ON_ERROR:

all: $(OUT)/$(PROGRAM)
test-build: $(OUT)/$(PROGRAM)-asan

# The name appears only when every check has passed.
$(OUT)/$(PROGRAM): $(OBJECTS)
	$(STATIC_CC) $(STATIC_LDFLAGS) -o $@.part $(OBJECTS)
	$(STRIP) --strip-all $@.part
	@# What cannot be looked into counts as not static.
	@headers=$$($(READELF) -ldW $@.part) && case $$headers in *INTERP*|*NEEDED*) false ;; *LOAD*) ;; *) false ;; esac || { \
		echo "$@: not static; install musl-tools, or the C library's static archive" >&2; rm -f $@.part; exit 1; }
	@size=$$(wc -c < $@.part); [ "$$size" -le $(MAX_SIZE) ] || { \
		echo "$@: $$size bytes, more than $(MAX_SIZE); install musl-tools" >&2; rm -f $@.part; exit 1; }
	mv $@.part $@

$(OUT)/$(PROGRAM)-asan: $(ASAN_OBJECTS)
	$(HOST_CC) $(SANITIZERS) -o $@ $(ASAN_OBJECTS)

# Objects of one C library do not fit another one: whoever installs musl-tools later has them built anew.
$(OUT)/objects/$(PROGRAM)/.compiler: FORCE
	@mkdir -p $(@D)
	@[ "$$(cat $@ 2>/dev/null)" = "$(STATIC_CC)" ] || echo "$(STATIC_CC)" >$@

$(OBJECTS): $(OUT)/objects/$(PROGRAM)/.compiler

# An object is of the C file of that name here, or of one in shared/.
define objects
$(OUT)/objects/$(1)/%.o: $(HERE)%.c $(RULES)
	@mkdir -p $$(@D)
	$(2) -MMD -MP -c -o $$@ $$<

$(OUT)/objects/$(1)/shared/%.o: $(HERE)../shared/%.c $(RULES)
	@mkdir -p $$(@D)
	$(2) -MMD -MP -c -o $$@ $$<
endef

$(eval $(call objects,$(PROGRAM),$(STATIC_CC) $(STATIC_CFLAGS)))
$(eval $(call objects,$(PROGRAM)-asan,$(HOST_CC) $(ASAN_CFLAGS)))

-include $(OBJECTS:.o=.d) $(ASAN_OBJECTS:.o=.d)
