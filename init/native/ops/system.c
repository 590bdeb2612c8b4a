/* Operations on the kernel as a whole. */
#include "ops/operations.h"

#include "boot/kernel_dirs.h"
#include "boot/modules.h"
#include "transport/channel.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

/* The room that rand_pool_info has here. */
#define MAX_ENTROPY_BYTES 4096
#define MAX_CLEARED_MEBIBYTES 1024
/* The smallest page size that exists. */
#define PAGE_BYTES 4096

int op_hostname(struct call *call)
{
	const char *name = read_str(&call->arguments);
	int error = call_arguments(call);

	if (error != 0)
		return error;
	if (sethostname(name, strlen(name)) < 0)
		return call_fail(call, errno, "sethostname(%s)", name);
	return 0;
}

int op_set_clock(struct call *call)
{
	uint64_t seconds = read_u64(&call->arguments);
	uint32_t nanoseconds = read_u32(&call->arguments);
	struct timespec now = {.tv_sec = (time_t)seconds, .tv_nsec = (long)nanoseconds};
	int error = call_arguments(call);

	if (error != 0)
		return error;
	if (clock_settime(CLOCK_REALTIME, &now) < 0)
		return call_fail(call, errno, "clock_settime(%llu, %u)", (unsigned long long)seconds, nanoseconds);
	return 0;
}

int op_add_entropy(struct call *call)
{
	static union {
		struct rand_pool_info info;
		uint8_t room[sizeof(struct rand_pool_info) + MAX_ENTROPY_BYTES];
	} pool;
	struct span seed = read_bytes(&call->arguments);
	int error = call_arguments(call);
	int fd;

	if (error != 0)
		return error;
	if (seed.size > MAX_ENTROPY_BYTES)
		return call_fail(call, EINVAL, "add_entropy(%zu bytes): more than %d", seed.size, MAX_ENTROPY_BYTES);
	fd = kernel_dirs_open_device("urandom", O_RDWR);
	if (fd < 0)
		return call_fail(call, errno, "open(/dev/urandom)");
	pool.info.entropy_count = (int)seed.size * 8;
	pool.info.buf_size = (int)seed.size;
	if (seed.size > 0)
		memcpy(pool.room + offsetof(struct rand_pool_info, buf), seed.data, seed.size);
	if (ioctl(fd, RNDADDENTROPY, &pool.info) < 0)
		error = call_fail(call, errno, "ioctl(RNDADDENTROPY, %zu bytes)", seed.size);
	else if (ioctl(fd, RNDRESEEDCRNG) < 0)
		error = call_fail(call, errno, "ioctl(RNDRESEEDCRNG)");
	explicit_bzero(&pool, sizeof(pool));
	fd_close(&fd);
	return error;
}

int op_load_module(struct call *call)
{
	const char *path = read_path(&call->arguments);
	const char *parameters = read_str(&call->arguments);
	int error = call_arguments(call);

	if (error != 0)
		return error;
	error = module_load(path, parameters);
	if (error != 0 && error != EEXIST)
		return call_fail(call, error, "finit_module(%s, %s)", path, parameters);
	return 0;
}

/*
 * Freed memory keeps its old content, which a snapshot would contain. The kernel zeroes pages that it gives to a
 * process, and gives the pages first that were freed last. That holds for small pages only: pieces of 2 MiB would come
 * from memory that was never used.
 */
int op_clear_memory(struct call *call)
{
	uint32_t mebibytes = read_u32(&call->arguments);
	size_t size = (size_t)mebibytes << 20;
	int error = call_arguments(call);
	struct sysinfo memory;
	volatile uint8_t *at;

	if (error != 0)
		return error;
	if (mebibytes == 0 || mebibytes > MAX_CLEARED_MEBIBYTES)
		return call_fail(call, EINVAL, "clear_memory(%u MiB): not 1 to %d", mebibytes, MAX_CLEARED_MEBIBYTES);
	if (sysinfo(&memory) < 0)
		return call_fail(call, errno, "sysinfo()");
	/* No process may be killed for lack of memory. */
	if (size > (uint64_t)memory.freeram * memory.mem_unit / 2)
		return call_fail(call, ENOMEM, "clear_memory(%u MiB): that is more than half of what is free",
				 mebibytes);
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return call_fail(call, errno, "mmap(%u MiB)", mebibytes);
	/* EINVAL: a kernel without pieces of 2 MiB does not know this advice. */
	if (madvise((void *)at, size, MADV_NOHUGEPAGE) < 0 && errno != EINVAL)
		error = call_fail(call, errno, "madvise(%u MiB)", mebibytes);
	for (size_t page = 0; error == 0 && page < size; page += PAGE_BYTES)
		at[page] = 0;
	if (munmap((void *)at, size) < 0 && error == 0)
		error = call_fail(call, errno, "munmap(%u MiB)", mebibytes);
	return error;
}

int op_power_off(struct call *call)
{
	int error = call_arguments(call);

	if (error == 0)
		channel_end("POWER_OFF");
	return error;
}
