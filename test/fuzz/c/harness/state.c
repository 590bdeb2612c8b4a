#include "harness/state.h"

#include "harness/check.h"

#include <sanitizer/common_interface_defs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES 4096

/*
 * Buffers are larger. What is left in one of an earlier run does not count, only how much of it is in use, which a
 * structure says at its beginning if nothing else does.
 */
#define MOST_VARIABLE_BYTES 4096
#define BEGINNING_BYTES 256
#define MOST_VARIABLES 512

/* What AddressSanitizer of LLVM 19 knows of each variable. */
struct described {
	uint8_t *start;
	size_t size;
	uintptr_t rest[6];
};

/* The linker makes these for sections whose names are words of C. A program may have no variable of a kind. */
extern uint8_t __start_vs_data[] __attribute__((weak));
extern uint8_t __stop_vs_data[] __attribute__((weak));
extern uint8_t __start_vs_bss[] __attribute__((weak));
extern uint8_t __stop_vs_bss[] __attribute__((weak));
extern struct described __start_asan_globals[];
extern struct described __stop_asan_globals[];
extern uint8_t __start___sancov_cntrs[];
extern uint8_t __stop___sancov_cntrs[];
extern uint8_t __stop___sancov_pcs[];

static struct variable {
	uint8_t *start;
	uint8_t *first;
	size_t size;
} variables[MOST_VARIABLES];
static size_t variable_count;

/* Shared with forked processes. */
static volatile bool *found;

/* Between variables there is memory that AddressSanitizer lets nobody touch, memcpy() included. */
__attribute__((no_sanitize("address"))) static void copy(volatile uint8_t *to, const volatile uint8_t *from,
							 size_t size)
{
	for (size_t i = 0; i < size; i++)
		to[i] = from[i];
}

static uint8_t *page_of(uint8_t *at)
{
	return at - (uintptr_t)at % PAGE_BYTES;
}

/* Replaces whole pages by a mapping of the same content. */
static void remap(uint8_t *start, uint8_t *end, int flags)
{
	size_t size = (size_t)(end - start);
	int file = memfd_create("fuzz", MFD_CLOEXEC);
	uint8_t *content;

	check(file >= 0 && ftruncate(file, (off_t)size) == 0, "a file for the variables");
	content = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	check(content != MAP_FAILED, "the file for the variables can be mapped");
	copy(content, start, size);
	check(munmap(content, size) == 0 &&
		      mmap(start, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, file, 0) == start,
	      "the variables can be mapped");
	(void)close(file);
}

/* Those of constants cannot be written to, and are elsewhere. */
static bool is_of_program(const uint8_t *at)
{
	return (at >= __start_vs_data && at < __stop_vs_data) || (at >= __start_vs_bss && at < __stop_vs_bss);
}

/* The list of variables lies among them. */
__attribute__((no_sanitize("address"))) void state_keep(void)
{
	for (const struct described *at = __start_asan_globals; at < __stop_asan_globals; at++) {
		struct variable *variable = &variables[variable_count];

		size_t size = at->size > MOST_VARIABLE_BYTES ? BEGINNING_BYTES : at->size;

		if (!is_of_program(at->start))
			continue;
		check(variable_count++ < MOST_VARIABLES, "all variables have room");
		*variable = (struct variable){.start = at->start, .first = malloc(size), .size = size};
		check(variable->first != NULL, "memory");
		memcpy(variable->first, variable->start, variable->size);
	}
	check(variable_count > 0, "a program has variables");
}

void state_reset(void)
{
	for (size_t i = 0; i < variable_count; i++)
		memcpy(variables[i].start, variables[i].first, variables[i].size);
}

static void on_death(void)
{
	*found = true;
}

void state_share_coverage(void)
{
	uint8_t *start = page_of(__start___sancov_cntrs);
	uint8_t *end = page_of(__stop___sancov_cntrs + PAGE_BYTES - 1);

	/* The linker puts them between the variables of the program under test and a table that nobody writes to. */
	check(start >= __start_vs_data && end <= __stop___sancov_pcs, "no other variables are shared");
	remap(start, end, MAP_SHARED);
	found = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(found != MAP_FAILED, "a shared page");
	__sanitizer_set_death_callback(on_death);
}

void state_check_children(void)
{
	check(!*found, "no sanitizer finds anything in a forked process");
}
