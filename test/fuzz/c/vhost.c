/*
 * What a QEMU and its guest tell the server of a root: messages with descriptors, and rings in memory that both share.
 *
 * What must hold: it ends, with an error or at the end of the messages; requests and the room for their replies lie in the
 * memory that is shared; no descriptor stays open; no request of a machine that is saved is served.
 */
#include "vhost/device.h"

#include "harness/check.h"
#include "harness/input.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGE 4096U
/* Two pieces of it, which follow each other for the guest and not for QEMU. */
#define MEMORY_BYTES (16 * PAGE)
#define FIRST_BYTES (8 * PAGE)
#define GUEST 0x100000U
#define USER_FIRST 0x7f0000000000U
#define USER_SECOND 0x7f1000000000U

#define MOST_MESSAGES 64
#define MOST_PAYLOAD 512U

struct header {
	uint32_t kind;
	uint32_t flags;
	uint32_t bytes;
};

static uint8_t *shared;
static int memory_file = -1;
static size_t served;

static uint32_t serve(void *context, const struct chain *chain)
{
	const struct device *device = context;

	check(chain->in_count <= CHAIN_PARTS && chain->out_count <= CHAIN_PARTS, "parts fit");
	for (size_t at = 0; at < chain->in_count + chain->out_count; at++) {
		const struct iovec *part = at < chain->in_count ? &chain->in[at] : &chain->out[at - chain->in_count];
		bool inside = false;

		for (size_t region = 0; region < device->memory.count; region++) {
			const struct memory_region *one = &device->memory.regions[region];
			const uint8_t *start = part->iov_base;

			if (start >= one->at && part->iov_len <= one->bytes &&
			    (size_t)(start - one->at) <= one->bytes - part->iov_len)
				inside = true;
		}
		check(inside, "a part lies in a region");
		if (at >= chain->in_count && part->iov_len > 0)
			*(uint8_t *)part->iov_base = 1;
	}
	served++;
	return 16;
}

static int count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	check(directory != NULL, "/proc is there");
	while (readdir(directory) != NULL)
		count++;
	(void)closedir(directory);
	return count;
}

static void send_message(int socket, uint32_t kind, uint32_t flags, const void *payload, uint32_t bytes,
			 uint32_t claimed, const int *fds, size_t fd_count)
{
	struct header header = {.kind = kind, .flags = flags, .bytes = claimed};
	struct iovec parts[] = {{.iov_base = &header, .iov_len = sizeof(header)},
				{.iov_base = (void *)(uintptr_t)payload, .iov_len = bytes}};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))];
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	if (fd_count > 0) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		(void)memset(control, 0, sizeof(control));

		struct cmsghdr *first = CMSG_FIRSTHDR(&message);

		first->cmsg_level = SOL_SOCKET;
		first->cmsg_type = SCM_RIGHTS;
		first->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		(void)memcpy(CMSG_DATA(first), fds, fd_count * sizeof(int));
	}
	(void)sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void send_number(int socket, uint32_t kind, uint64_t number, int fd)
{
	send_message(socket, kind, 1, &number, sizeof(number), sizeof(number), &fd, fd >= 0);
}

static void send_state(int socket, uint32_t kind, uint32_t index, uint32_t number)
{
	const uint32_t state[] = {index, number};

	send_message(socket, kind, 1, state, sizeof(state), sizeof(state), NULL, 0);
}

/* What a QEMU says that means well: the second ring, of this size, lies at the start of memory. */
static void set_up(int socket, uint32_t size, bool events, int kick)
{
	const struct memory_table table = {
		.count = 2,
		.pieces = {{.guest = GUEST, .bytes = FIRST_BYTES, .user = USER_FIRST, .offset = 0},
			   {.guest = GUEST + FIRST_BYTES,
			    .bytes = MEMORY_BYTES - FIRST_BYTES,
			    .user = USER_SECOND,
			    .offset = FIRST_BYTES}},
	};
	const struct {
		uint32_t index;
		uint32_t flags;
		uint64_t descriptors, used, available, log;
	} address = {
		.index = 1, .descriptors = USER_FIRST, .used = USER_FIRST + PAGE, .available = USER_FIRST + 2 * PAGE};
	const int files[] = {memory_file, memory_file};

	send_number(socket, 2, (UINT64_C(1) << 32) | (1U << 30) | (1U << 28) | (events ? 1U << 29 : 0), -1);
	send_number(socket, 16, 8 | (1U << 19), -1);
	send_message(socket, 5, 1 | 8, &table, sizeof(table), sizeof(table), files, 2);
	send_state(socket, 8, 1, size);
	send_state(socket, 10, 1, 0);
	send_message(socket, 9, 1, &address, sizeof(address), sizeof(address), NULL, 0);
	send_number(socket, 13, 1, kick);
	send_number(socket, 12, 1, kick);
	send_state(socket, 18, 1, 1);
}

/* Messages of the input: kind, how many descriptors and which, flags, payload. */
static void send_input(int socket, struct input *input, int kick)
{
	const int choices[] = {memory_file, kick, STDIN_FILENO, socket};

	for (int count = 0; count < MOST_MESSAGES && input->left > 0; count++) {
		const uint32_t kind = input_byte(input) % 44;
		const uint8_t control = input_byte(input);
		const struct piece payload = input_piece(input);
		const uint32_t bytes = payload.size < MOST_PAYLOAD ? (uint32_t)payload.size : MOST_PAYLOAD;
		int fds[16];

		for (size_t at = 0; at < 16; at++)
			fds[at] = choices[(control >> 6) & 3];
		send_message(socket, kind, (control & 32) != 0 ? 9 : 1 + ((control & 16) != 0 ? control : 0),
			     payload.data, bytes, (control & 15) == 15 ? 0x7fffffff : bytes, fds, control % 12);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	memory_file = memfd_create("guest", MFD_CLOEXEC);
	check(memory_file >= 0 && ftruncate(memory_file, MEMORY_BYTES) == 0, "memory");
	shared = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory_file, 0);
	check(shared != MAP_FAILED, "it is mapped");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct device device;
	struct input input = {.at = data, .left = size};
	const int before = count_descriptors();
	const uint8_t mode = input_byte(&input);
	const struct piece rings = input_piece(&input);
	const int kick = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	int ends[2];

	check(kick >= 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "a socket");
	(void)memset(shared, 0, MEMORY_BYTES);
	(void)memcpy(shared, rings.data, rings.size < MEMORY_BYTES ? rings.size : MEMORY_BYTES);
	/* Pieces of the same go to the other parts of the ring, so that a short input has all of them. */
	(void)memcpy(shared + 2 * PAGE, rings.data, rings.size < PAGE ? rings.size : PAGE);
	if (mode & 1)
		set_up(ends[0], 1U << ((mode >> 1) & 7), (mode & 16) != 0, kick);
	/* A well-meant request in the first descriptor. */
	if (mode & 32) {
		const uint16_t available[] = {0, 1, 0};

		(void)memcpy(shared + 2 * PAGE, available, sizeof(available));
	}
	send_input(ends[0], &input, kick);
	(void)shutdown(ends[0], SHUT_WR);
	const bool is_saved = (mode & 64) != 0;

	served = 0;
	device_open(&device, ends[1], is_saved, serve, &device);
	(void)device_run(&device);
	check(!is_saved || served == 0, "a machine that is saved gets no answer");
	device_close(&device);
	(void)close(ends[0]);
	(void)close(ends[1]);
	(void)close(kick);
	check(count_descriptors() == before, "no descriptor stays");
	return 0;
}
