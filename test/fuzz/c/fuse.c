/*
 * Requests of a guest to the server of its root, which serves /etc here.
 *
 * What must hold: a reply fits into its room and says how long it is; no number is of another node than it was given for;
 * when the guest has forgotten all and closed all, nothing of it is left.
 */
#include "files/handle.h"
#include "files/service.h"

#include "harness/check.h"
#include "harness/input.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_REQUESTS 64
#define MOST_ROOM 16384U
#define REMEMBERED 16

static struct files files;
static uint64_t nodes[REMEMBERED];
static uint64_t numbers[REMEMBERED];
static uint8_t *room;

static uint64_t choose(const uint64_t known[], uint8_t which)
{
	/* One in sixteen is nobody's. */
	return which % REMEMBERED == REMEMBERED - 1 ? which * UINT64_C(0x0101010101010101) : known[which % REMEMBERED];
}

static void remember(uint64_t known[], uint8_t where, uint64_t number)
{
	known[1 + where % (REMEMBERED - 2)] = number;
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
	if (kind == FUSE_LOOKUP) {
		struct fuse_entry_out entry;

		check(written == sizeof(reply) + sizeof(entry), "an entry");
		(void)memcpy(&entry, room + sizeof(reply), sizeof(entry));
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
	static const char *const names[] = {"passwd", "ssl",     "alternatives", "hostname",
					    "mtab",   "no such", "..",           "a/b"};
	static const uint8_t kinds[] = {1, 2, 3, 5, 14, 15, 17, 18, 26, 27, 28, 29, 36, 42, 44, 46, 50, 16, 52, 22};
	const uint8_t kind = input_byte(input);
	const uint8_t which = input_byte(input);
	const uint8_t where = input_byte(input);
	const struct piece rest = input_piece(input);
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
		const char *name = names[where % 8];

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
	struct input input = {.at = data, .left = size};
	const uint8_t mode = input_byte(&input);
	const struct files_options options = {
		.root = open("/etc", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.cache = mode % 3,
		.announces_mounts = (mode & 4) != 0,
		.nobody = mode & 8 ? 0 : (uid_t)-1,
		.nogroup = (gid_t)-1,
		/* So few that they run out. */
		.descriptors = mode & 16 ? 1024 : 3,
	};

	check(options.root >= 0 && service_open(&files, &options), "it is served");
	room = malloc(MOST_ROOM);
	check(room != NULL, "room");
	for (size_t at = 0; at < REMEMBERED; at++) {
		nodes[at] = FUSE_ROOT_ID;
		numbers[at] = 0;
	}
	for (int count = 0; count < MOST_REQUESTS && input.left > 0; count++)
		ask_input(&input);
	forget_all();
	free(room);
	service_close(&files);
	(void)close(options.root);
	return 0;
}
