#include "boot/modules.h"

#include "boot/sections.h"
#include "boot/signature.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DIRECTORY "/modules/"
#define ORDER_FILE DIRECTORY "order"
#define ORDER_BYTES 32768
#define MAX_MODULES 256
#define NAME_BYTES 64

static struct loaded {
	char name[NAME_BYTES];
	int error;
	uint32_t took;
} loaded[MAX_MODULES];
static size_t loaded_count;
static bool unchecked;

void modules_leave_unchecked(void)
{
	unchecked = true;
}

/* Cuts off the signature before the kernel sees the module, so that the kernel does not check it. */
static int load_unsigned(int fd, const char *parameters)
{
	struct stat info;
	unsigned char *module;
	size_t size;
	int error = 0;

	if (fstat(fd, &info) < 0)
		return errno;
	size = (size_t)info.st_size;
	module = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (module == MAP_FAILED)
		return errno;
	sections_pass_over(module, size);
	if (syscall(SYS_init_module, module, signature_start(module, size), parameters) < 0)
		error = errno;
	if (munmap(module, size) < 0 && error == 0)
		error = errno;
	return error;
}

int module_load(const char *path, const char *parameters)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error;

	if (fd < 0)
		return errno;
	error = unchecked ? load_unsigned(fd, parameters) : ENOEXEC;
	/* A kernel that enforces signatures gets the signed file. EEXIST: the module is loaded already. */
	if (error != 0 && error != EEXIST)
		error = syscall(SYS_finit_module, fd, parameters, 0) < 0 ? errno : 0;
	fd_close(&fd);
	return error;
}

/* The module in "/modules/9pnet_virtio.ko" is called 9pnet_virtio. */
static void copy_name(char name[NAME_BYTES], const char *path)
{
	const char *base = strrchr(path, '/');
	size_t size;

	base = base == NULL ? path : base + 1;
	size = strcspn(base, ".");
	if (size > NAME_BYTES - 1)
		size = NAME_BYTES - 1;
	memcpy(name, base, size);
	name[size] = '\0';
}

/* A line is a path, and parameters after a space. */
static void load_listed(char *line)
{
	char *parameters = strchr(line, ' ');
	struct loaded *module = &loaded[loaded_count++];
	char path[VS_MAX_PATH_BYTES + 1];
	uint64_t start = clock_now();

	if (parameters != NULL)
		*parameters++ = '\0';
	copy_name(module->name, line);
	if ((size_t)snprintf(path, sizeof(path), "%s%s", line[0] == '/' ? "" : DIRECTORY, line) >= sizeof(path))
		module->error = ENAMETOOLONG;
	else
		module->error = module_load(path, parameters == NULL ? "" : parameters);
	module->took = (uint32_t)(clock_now() - start);
	if (module->error != 0 && module->error != EEXIST)
		log_line("finit_module(%s): %s; going on without", path, strerror(module->error));
	else
		log_debug("module %s: %u us", module->name, module->took);
}

void modules_load(void)
{
	static char order[ORDER_BYTES];
	char *rest;
	ssize_t size;
	int fd = open(ORDER_FILE, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		/* A kernel with everything built in needs no list. */
		log_debug("open(%s): %s", ORDER_FILE, strerror(errno));
		return;
	}
	size = read(fd, order, sizeof(order) - 1);
	if (size < 0)
		log_line("read(%s): %s; no module is loaded", ORDER_FILE, strerror(errno));
	else if (size == (ssize_t)sizeof(order) - 1)
		log_line("%s is longer than %d bytes; the rest is ignored", ORDER_FILE, ORDER_BYTES);
	fd_close(&fd);
	if (size <= 0)
		return;
	order[size] = '\0';
	for (char *line = strtok_r(order, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		if (loaded_count == MAX_MODULES) {
			log_line("%s has more than %d lines; the rest is ignored", ORDER_FILE, MAX_MODULES);
			return;
		}
		load_listed(line);
	}
}

void modules_report(struct writer *to)
{
	put_u32(to, (uint32_t)loaded_count);
	for (size_t i = 0; i < loaded_count; i++) {
		put_str(to, loaded[i].name);
		put_u32(to, (uint32_t)loaded[i].error);
		put_u32(to, loaded[i].took);
	}
}
