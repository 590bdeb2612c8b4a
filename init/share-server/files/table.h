/* A hash table of things that have a link in them. */
#ifndef VS_FILES_TABLE_H
#define VS_FILES_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link {
	struct link *next;
	uint64_t hash;
};

struct table {
	struct link **heads;
	/* A power of two. */
	size_t room;
	size_t count;
};

/* A table of nothing. False if there is no memory. */
bool table_open(struct table *table);

void table_close(struct table *table);

/* Makes room for one more. False if there is no memory. */
bool table_reserve(struct table *table);

/* Adds a link whose hash is set. There must be room. */
void table_add(struct table *table, struct link *link);

void table_remove(struct table *table, struct link *link);

/* The first of those of a hash's chain, the newest first; others may be in it. NULL: none. */
struct link *table_chain(const struct table *table, uint64_t hash);

/* A number whose bits depend on all bits of this one. */
uint64_t table_mix(uint64_t number);

#endif
