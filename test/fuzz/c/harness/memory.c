#include "harness/memory.h"

#include "harness/check.h"

#include <sanitizer/allocator_interface.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096

#define LARGE_BYTES (1U << 20)
#define MOST_LARGE 16

static struct {
	uint8_t *at;
	size_t size;
} large[MOST_LARGE];

static void on_malloc(const volatile void *at, size_t size)
{
	for (size_t i = 0; size >= LARGE_BYTES && i < MOST_LARGE; i++) {
		if (large[i].at != NULL)
			continue;
		large[i].at = (uint8_t *)(uintptr_t)at;
		large[i].size = size;
		return;
	}
}

static void on_free(const volatile void *at)
{
	for (size_t i = 0; at != NULL && i < MOST_LARGE; i++) {
		if (large[i].at == at)
			large[i].at = NULL;
	}
}

void memory_watch(void)
{
	check(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) != 0, "hooks of malloc and free");
}

/* Only whole pages can be kept back. */
void memory_keep_from_children(void)
{
	for (size_t i = 0; i < MOST_LARGE; i++) {
		size_t before = (PAGE_BYTES - (uintptr_t)large[i].at % PAGE_BYTES) % PAGE_BYTES;

		if (large[i].at != NULL)
			check(madvise(large[i].at + before, (large[i].size - before) & ~(size_t)(PAGE_BYTES - 1),
				      MADV_DONTFORK) == 0,
			      "memory is kept back");
	}
}
