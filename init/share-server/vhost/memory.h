/* The guest's memory, as QEMU shares it: pieces of files that are mapped here. */
#ifndef VS_VHOST_MEMORY_H
#define VS_VHOST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* As many as a vhost-user message can name. */
#define MEMORY_REGIONS 8

/* As it stands in the message, of the machine's byte order. */
struct memory_piece {
	uint64_t guest;
	uint64_t bytes;
	/* Where QEMU has it in its own address space. */
	uint64_t user;
	/* Where it begins in its file. */
	uint64_t offset;
};

struct memory_table {
	uint32_t count;
	uint32_t padding;
	struct memory_piece pieces[MEMORY_REGIONS];
};

struct memory_region {
	uint64_t guest;
	uint64_t user;
	uint64_t bytes;
	uint8_t *at;
	void *mapped;
	size_t mapped_bytes;
};

struct memory {
	struct memory_region regions[MEMORY_REGIONS];
	size_t count;
};

/*
 * Maps these pieces in place of those before, one of each file. The files stay the caller's. NULL, or what is wrong with
 * them; nothing is mapped then.
 */
const char *memory_replace(struct memory *memory, const struct memory_table *table, const int fds[], size_t fd_count);

void memory_clear(struct memory *memory);

/* Where the guest's address is. *length is shortened to what follows it in one piece. NULL: the guest has no such memory. */
void *memory_of_guest(const struct memory *memory, uint64_t address, uint64_t *length);

/* Where QEMU's address is, with `length` bytes in one piece. NULL: it shares no such memory. */
void *memory_of_user(const struct memory *memory, uint64_t address, uint64_t length);

#endif
