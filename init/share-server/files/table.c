#include "files/table.h"

#include <stdlib.h>

#define FIRST_ROOM 256

static struct link **head_of(const struct table *table, uint64_t hash)
{
	return &table->heads[hash & (table->room - 1)];
}

bool table_open(struct table *table)
{
	*table = (struct table){.heads = calloc(FIRST_ROOM, sizeof(struct link *)), .room = FIRST_ROOM};
	return table->heads != NULL;
}

void table_close(struct table *table)
{
	free(table->heads);
	*table = (struct table){.heads = NULL};
}

bool table_reserve(struct table *table)
{
	struct table larger = {.room = 2 * table->room};

	if (table->count < table->room)
		return true;
	larger.heads = calloc(larger.room, sizeof(struct link *));
	if (larger.heads == NULL)
		return false;
	for (size_t at = 0; at < table->room; at += 1) {
		struct link *next;

		for (struct link *link = table->heads[at]; link != NULL; link = next) {
			next = link->next;
			table_add(&larger, link);
		}
	}
	free(table->heads);
	*table = larger;
	return true;
}

void table_add(struct table *table, struct link *link)
{
	struct link **head = head_of(table, link->hash);

	link->next = *head;
	*head = link;
	table->count += 1;
}

void table_remove(struct table *table, struct link *link)
{
	struct link **at = head_of(table, link->hash);

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	table->count -= 1;
}

struct link *table_chain(const struct table *table, uint64_t hash)
{
	return *head_of(table, hash);
}

/* The finalizer of MurmurHash3. */
uint64_t table_mix(uint64_t number)
{
	number ^= number >> 33;
	number *= UINT64_C(0xff51afd7ed558ccd);
	number ^= number >> 33;
	number *= UINT64_C(0xc4ceb9fe1a85ec53);
	return number ^ (number >> 33);
}
