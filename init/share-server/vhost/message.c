#include "vhost/message.h"

#include "shared/write_all.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static void keep_fds(struct message *message, struct msghdr *received)
{
	for (struct cmsghdr *each = CMSG_FIRSTHDR(received); each != NULL; each = CMSG_NXTHDR(received, each)) {
		if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS || message->fd_count > 0)
			continue;
		message->fd_count = (each->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		/* It cannot be more: there was no room for them. */
		if (message->fd_count > MESSAGE_FDS)
			message->fd_count = MESSAGE_FDS;
		(void)memcpy(message->fds, CMSG_DATA(each), message->fd_count * sizeof(int));
	}
}

/* The first bytes, with which the descriptors come. As recvmsg(2). */
static ssize_t read_first(int socket, struct message *message, bool *are_all)
{
	union {
		struct cmsghdr aligned;
		char bytes[CMSG_SPACE(MESSAGE_FDS * sizeof(int))];
	} control;
	struct iovec header = {.iov_base = &message->header, .iov_len = sizeof(message->header)};
	struct msghdr received = {
		.msg_iov = &header,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	do {
		n = recvmsg(socket, &received, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		keep_fds(message, &received);
	*are_all = (received.msg_flags & MSG_CTRUNC) == 0;
	return n;
}

/* Reads until all is there. False at an end or an error. */
static bool read_rest(int socket, uint8_t *at, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = read(socket, at, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		bytes -= (size_t)n;
	}
	return true;
}

enum message_result message_read(int socket, struct message *message, const char **failed)
{
	bool are_all = true;

	(void)memset(message, 0, sizeof(*message));

	ssize_t n = read_first(socket, message, &are_all);

	*failed = "the connection";
	/* A QEMU that was killed may have left something unread. */
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return MESSAGE_END;
	if (n < 0)
		return MESSAGE_BROKEN;
	*failed = "a message is cut off";
	if (!read_rest(socket, (uint8_t *)&message->header + n, sizeof(message->header) - (size_t)n))
		return MESSAGE_BROKEN;
	*failed = "a message has more than its descriptors or bytes";
	if (!are_all || message->header.bytes > sizeof(message->body))
		return MESSAGE_BROKEN;
	*failed = "a message is of another version";
	if ((message->header.flags & (MESSAGE_VERSION_MASK | MESSAGE_IS_REPLY)) != MESSAGE_VERSION)
		return MESSAGE_BROKEN;
	*failed = "a message is cut off";
	return read_rest(socket, (uint8_t *)&message->body, message->header.bytes) ? MESSAGE_READ : MESSAGE_BROKEN;
}

void message_close(struct message *message)
{
	for (size_t index = 0; index < message->fd_count; index += 1)
		if (message->fds[index] >= 0)
			(void)close(message->fds[index]);
	message->fd_count = 0;
}

int message_take(struct message *message)
{
	if (message->fd_count != 1)
		return -1;
	int fd = message->fds[0];

	message->fds[0] = -1;
	return fd;
}

bool message_reply(int socket, const struct message *message, const void *body, size_t bytes)
{
	struct {
		uint32_t kind;
		uint32_t flags;
		uint32_t bytes;
		uint8_t body[sizeof(uint64_t)];
	} reply = {.kind = message->header.kind, .flags = MESSAGE_VERSION | MESSAGE_IS_REPLY, .bytes = (uint32_t)bytes};

	if (bytes > 0)
		(void)memcpy(reply.body, body, bytes);
	return write_all(socket, &reply, offsetof(__typeof__(reply), body) + bytes) == 0;
}
