/*
 * Requests of a guest to the server of its root, which serves a few files here that the host changes meanwhile.
 *
 * What must hold: a reply fits into its room and says how long it is; no number is of another file than it was given for,
 * and none is known longer than the guest was told of it; what is read is what is there; when the guest has forgotten all
 * and closed all, or says that it begins anew, nothing of it is left.
 */
#include "files/handle.h"
#include "files/service.h"

#include "harness/check.h"
#include "harness/input.h"
#include "harness/tree.h"
#include "harness/try_calls.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_REQUESTS 64
#define MOST_ROOM 16384U
#define REMEMBERED 16
#define MOST_NODES 64

static struct files files;
static uint64_t nodes[REMEMBERED];
static uint64_t numbers[REMEMBERED];
static uint8_t *room;

/* What the guest was told, by the numbers of nodes. */
static struct {
	uint64_t inode;
	uint32_t kind;
	uint64_t times;
} told[MOST_REQUESTS * 64];

#define TOLD (sizeof(told) / sizeof(told[0]))

static uint64_t choose(const uint64_t known[], uint8_t which)
{
	/* One in sixteen is nobody's. */
	return which % REMEMBERED == REMEMBERED - 1 ? which * UINT64_C(0x0101010101010101) : known[which % REMEMBERED];
}

static void remember(uint64_t known[], uint8_t where, uint64_t number)
{
	known[1 + where % (REMEMBERED - 2)] = number;
}

static void note(const struct fuse_entry_out *entry)
{
	const uint64_t id = entry->nodeid;

	if (id == 0)
		return;
	check(id < TOLD && id != FUSE_ROOT_ID, "a number that is new");
	check(told[id].times == 0 ||
		      (told[id].inode == entry->attr.ino && told[id].kind == (entry->attr.mode & S_IFMT)),
	      "a number stays that of its file");
	told[id].inode = entry->attr.ino;
	told[id].kind = entry->attr.mode & S_IFMT;
	told[id].times += 1;
}

static void note_list(const uint8_t *list, size_t bytes)
{
	for (size_t at = 0; at < bytes;) {
		struct fuse_direntplus one;

		check(bytes - at >= FUSE_NAME_OFFSET_DIRENTPLUS, "an entry of a list");
		(void)memcpy(&one, list + at, FUSE_NAME_OFFSET_DIRENTPLUS);
		note(&one.entry_out);
		at += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET_DIRENTPLUS + one.dirent.namelen);
		check(at <= bytes, "its name");
	}
}

static void note_forgotten(uint64_t id, uint64_t times)
{
	if (id < TOLD)
		told[id].times -= times < told[id].times ? times : told[id].times;
}

/* What the guest says and gets no reply to. */
static void note_request(uint32_t kind, uint64_t node, const uint8_t *arguments, size_t bytes)
{
	struct fuse_batch_forget_in many;
	struct fuse_forget_one one;
	uint64_t times;

	if (kind == FUSE_FORGET && bytes >= sizeof(times)) {
		(void)memcpy(&times, arguments, sizeof(times));
		note_forgotten(node, times);
	}
	if (kind == FUSE_BATCH_FORGET && bytes >= sizeof(many)) {
		(void)memcpy(&many, arguments, sizeof(many));
		for (size_t at = sizeof(many); many.count > 0 && bytes - at >= sizeof(one);
		     at += sizeof(one), many.count--) {
			(void)memcpy(&one, arguments + at, sizeof(one));
			note_forgotten(one.nodeid, one.nlookup);
		}
	}
	if (kind == FUSE_INIT || kind == FUSE_DESTROY) {
		(void)memset(told, 0, sizeof(told));
		check(files.handles_count == 0 && files.by_id.count == 1, "nothing is left of the guest before");
	}
}

static void check_reply(uint32_t kind, uint64_t node, const uint8_t *reply, size_t bytes)
{
	struct fuse_attr_out attributes;

	if (kind == FUSE_GETATTR && node != FUSE_ROOT_ID) {
		(void)memcpy(&attributes, reply, sizeof(attributes));
		check(node < TOLD && told[node].inode == attributes.attr.ino &&
			      told[node].kind == (attributes.attr.mode & S_IFMT),
		      "attributes of the node's file");
	}
	if (kind == FUSE_READDIRPLUS)
		note_list(reply, bytes);
	for (size_t at = 0; kind == FUSE_READ && at < bytes; at++)
		check(reply[at] == TREE_CONTENT, "what is read");
}

/* Asks, in pieces, with room of this size, and looks at the reply. */
static void ask(uint32_t kind, uint64_t node, const void *arguments, size_t bytes, size_t size, uint8_t where)
{
	struct fuse_in_header header = {
		.len = (uint32_t)(sizeof(header) + bytes), .opcode = kind, .unique = 7, .nodeid = node};
	const struct iovec in[] = {{.iov_base = &header, .iov_len = sizeof(header)},
				   {.iov_base = (void *)(uintptr_t)arguments, .iov_len = bytes}};
	/* In pieces of odd sizes. */
	const size_t first = size < 16 ? size : 16 + where % 3;
	const struct iovec out[] = {{.iov_base = room, .iov_len = first < size ? first : size},
				    {.iov_base = room + first, .iov_len = first < size ? size - first : 0}};
	struct fuse_out_header reply;

	(void)memset(room, 0xa5, MOST_ROOM);
	const uint32_t written = service_answer(&files, in, 2, out, 2);

	note_request(kind, node, arguments, bytes);
	check(written <= size, "a reply fits");
	for (size_t at = size; at < MOST_ROOM; at++)
		check(room[at] == 0xa5, "nothing is written behind the room");
	if (written == 0)
		return;
	(void)memcpy(&reply, room, sizeof(reply));
	check(reply.len == written && reply.unique == 7, "the header says so");
	check(reply.error <= 0 && reply.error > -512, "an error is one");
	check(reply.error == 0 || written == sizeof(reply), "an error has no more");
	if (reply.error != 0)
		return;
	check_reply(kind, node, room + sizeof(reply), written - sizeof(reply));
	if (kind == FUSE_LOOKUP) {
		struct fuse_entry_out entry;

		check(written == sizeof(reply) + sizeof(entry), "an entry");
		(void)memcpy(&entry, room + sizeof(reply), sizeof(entry));
		note(&entry);
		if (entry.nodeid != 0)
			remember(nodes, where, entry.nodeid);
	}
	if (kind == FUSE_OPEN || kind == FUSE_OPENDIR) {
		struct fuse_open_out opened;

		(void)memcpy(&opened, room + sizeof(reply), sizeof(opened));
		remember(numbers, where, opened.fh);
	}
}

static void ask_input(struct input *input)
{
	static const uint8_t kinds[] = {1, 2, 3, 5, 14, 15, 17, 18, 26, 27, 28, 29, 36, 42, 44, 46, 50, 16, 52, 22};
	const uint8_t kind = input_byte(input);
	const uint8_t which = input_byte(input);
	const uint8_t where = input_byte(input);
	const struct piece rest = input_piece(input);

	/* It is the host's turn. */
	if (kind >= 0xf0) {
		tree_change(which, where);
		return;
	}
	const uint32_t opcode = kind & 0x80 ? kind & 0x7f : kinds[kind % sizeof(kinds)];
	const size_t size = (where & 0x80) ? MOST_ROOM : (size_t)which * 16;
	const uint64_t node = choose(nodes, which);
	uint8_t arguments[256];

	/* Half of them are as a guest sends them. */
	if ((where & 0x40) != 0) {
		ask(opcode, node, rest.data, rest.size, size, where);
		return;
	}
	(void)memset(arguments, 0, sizeof(arguments));
	(void)memcpy(arguments, rest.data, rest.size < sizeof(arguments) ? rest.size : sizeof(arguments));
	if (opcode == FUSE_LOOKUP) {
		const char *name = tree_name(where);

		ask(opcode, node, name, strlen(name) + 1, size, where);
		return;
	}
	if (opcode == FUSE_READ || opcode == FUSE_READDIR || opcode == FUSE_READDIRPLUS || opcode == FUSE_LSEEK ||
	    opcode == FUSE_RELEASE || opcode == FUSE_RELEASEDIR) {
		const uint64_t number = choose(numbers, where);

		(void)memcpy(arguments, &number, sizeof(number));
	}
	if (opcode == FUSE_INIT) {
		const uint32_t version[] = {7, 31 + where % 8, 0x20000, ~0U};

		(void)memcpy(arguments, version, sizeof(version));
	}
	if (opcode == FUSE_BATCH_FORGET) {
		const uint32_t count[] = {where};

		(void)memcpy(arguments, count, sizeof(count));
		(void)memcpy(arguments + 8, &node, sizeof(node));
	}
	ask(opcode, node, arguments, sizeof(arguments), size, where);
}

/* The server knows what the guest was told, and nothing more but what leads there and what is open. */
static void check_known(void)
{
	for (uint64_t id = FUSE_ROOT_ID + 1; id < files.next_id; id++) {
		const struct node *node = node_of(&files, id);

		check(told[id].times == (node == NULL ? 0 : node->lookups), "how often the guest was told");
	}
}

/* All that is left goes when all is closed and forgotten. */
static void forget_all(void)
{
	for (uint32_t at = 0; at < files.handles_room; at++)
		if (files.handles[at] != NULL)
			handle_close(&files, files.handles[at]);
	for (uint64_t id = FUSE_ROOT_ID; id < files.next_id; id++) {
		const uint64_t times[] = {~UINT64_C(0)};

		ask(FUSE_FORGET, id, times, sizeof(times), 0, 0);
	}
	check(files.handles_count == 0 && files.by_id.count == 1 && files.by_identity.count == 1,
	      "only the root is left");
	check(files.directories == 0 && files.newest == NULL && files.oldest == NULL, "no directory is open");
	check(files.root->children == 0, "nothing names the root");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool is_checked;
	struct input input = {.at = data, .left = size};
	const uint8_t mode = input_byte(&input);
	const struct files_options options = {
		.root = tree_open(),
		.cache = mode % 3,
		.announces_mounts = (mode & 4) != 0,
		.is_below_overlay = (mode & 4) == 0,
		.nobody = mode & 8 ? 0 : (uid_t)-1,
		.nogroup = (gid_t)-1,
		/* So few that they run out. */
		.descriptors = mode & 16 ? 1024 : 3,
		.nodes = MOST_NODES,
		.settled = 60,
	};

	if (!is_checked)
		try_calls();
	is_checked = true;
	check(options.root >= 0 && service_open(&files, &options), "it is served");
	room = malloc(MOST_ROOM);
	check(room != NULL, "room");
	(void)memset(told, 0, sizeof(told));
	for (size_t at = 0; at < REMEMBERED; at++) {
		nodes[at] = FUSE_ROOT_ID;
		numbers[at] = 0;
	}
	for (int count = 0; count < MOST_REQUESTS && input.left > 0; count++)
		ask_input(&input);
	check_known();
	forget_all();
	free(room);
	service_close(&files);
	(void)close(options.root);
	return 0;
}
