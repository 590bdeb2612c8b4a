#include "files/nodes.h"

#include "files/directories.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define NODE_BY(member, link) ((struct node *)(void *)((char *)(link)-offsetof(struct node, member)))

static uint64_t hash_of(const struct identity *identity)
{
	const uint64_t when = ((uint64_t)identity->seconds << 30) ^ identity->nanoseconds;

	return table_mix(identity->inode ^ table_mix(identity->device ^ (identity->mount << 32)) ^
			 table_mix(when ^ identity->target));
}

struct node *node_of(const struct files *files, uint64_t id)
{
	for (struct link *link = table_chain(&files->by_id, table_mix(id)); link != NULL; link = link->next)
		if (NODE_BY(by_id, link)->id == id)
			return NODE_BY(by_id, link);
	return NULL;
}

static struct node *known(const struct files *files, const struct identity *identity)
{
	for (struct link *link = table_chain(&files->by_identity, hash_of(identity)); link != NULL; link = link->next)
		if (identity_equals(&NODE_BY(by_identity, link)->identity, identity))
			return NODE_BY(by_identity, link);
	return NULL;
}

static struct node *make(struct files *files, const char *name, const struct status *status)
{
	struct node *node;

	if (!table_reserve(&files->by_id) || !table_reserve(&files->by_identity))
		return NULL;
	node = calloc(1, sizeof(*node));
	if (node == NULL)
		return NULL;
	node->name = strdup(name);
	if (node->name == NULL) {
		free(node);
		return NULL;
	}
	node->descriptor = -1;
	node->identity = node_identity(status);
	node->id = files->next_id;
	files->next_id += 1;
	node->by_id.hash = table_mix(node->id);
	node->by_identity.hash = hash_of(&node->identity);
	table_add(&files->by_id, &node->by_id);
	table_add(&files->by_identity, &node->by_identity);
	return node;
}

struct node *node_make_root(struct files *files, const struct status *status)
{
	files->next_id = FUSE_ROOT_ID;
	return make(files, "", status);
}

/* Whether a directory is the node or lies below it. */
static bool is_below(const struct node *directory, const struct node *node)
{
	while (directory != NULL && directory != node)
		directory = directory->parent;
	return directory != NULL;
}

/* It is found again where it was found last. */
static void move(struct files *files, struct node *node, struct node *parent, const char *name)
{
	/*
	 * What was known of directories that were moved on the host may make a circle. Then the old name stays, by which
	 * it is not found again, and the guest looks it up anew.
	 */
	if (node->parent == NULL || (node->parent != parent && is_below(parent, node)))
		return;
	if (strcmp(node->name, name) != 0) {
		char *copy = strdup(name);

		if (copy == NULL)
			return;
		free(node->name);
		node->name = copy;
	}
	if (node->parent != parent) {
		struct node *before = node->parent;

		parent->children += 1;
		node->parent = parent;
		before->children -= 1;
		node_release(files, before);
	}
}

struct node *node_find(struct files *files, struct node *parent, const char *name, const struct status *status,
		       int *error)
{
	const struct identity identity = node_identity(status);
	struct node *node = known(files, &identity);

	if (node != NULL) {
		node->lookups += 1;
		move(files, node, parent, name);
		return node;
	}
	*error = ENFILE;
	if (files->by_id.count >= files->options.nodes)
		return NULL;
	*error = ENOMEM;
	node = make(files, name, status);
	if (node == NULL)
		return NULL;
	node->lookups = 1;
	node->parent = parent;
	parent->children += 1;
	return node;
}

void node_forget(struct files *files, struct node *node, uint64_t times)
{
	node->lookups -= times < node->lookups ? times : node->lookups;
	node_release(files, node);
}

static void free_node(struct files *files, struct node *node)
{
	directories_drop(files, node);
	table_remove(&files->by_id, &node->by_id);
	table_remove(&files->by_identity, &node->by_identity);
	free(node->name);
	free(node);
}

void node_release(struct files *files, struct node *node)
{
	while (node != files->root && node->lookups == 0 && node->children == 0 && node->opened == NULL) {
		struct node *parent = node->parent;

		free_node(files, node);
		parent->children -= 1;
		node = parent;
	}
}

void node_forget_all(struct files *files)
{
	for (size_t at = 0; at < files->by_id.room; at += 1) {
		struct link *next;

		for (struct link *link = files->by_id.heads[at]; link != NULL; link = next) {
			next = link->next;
			if (NODE_BY(by_id, link) != files->root)
				free_node(files, NODE_BY(by_id, link));
		}
	}
	if (files->root != NULL)
		files->root->children = 0;
}

void node_free_all(struct files *files)
{
	node_forget_all(files);
	if (files->root != NULL)
		free_node(files, files->root);
	files->root = NULL;
	table_close(&files->by_id);
	table_close(&files->by_identity);
}
