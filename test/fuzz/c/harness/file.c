#include "harness/file.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A descriptor that no process has. */
#define FILE_FD 6000

static const uint8_t *content;
static size_t content_size;
static size_t content_at;
static size_t content_part;
static int open_files;

void file_set(const uint8_t *data, size_t size, size_t part)
{
	content = data;
	content_size = size;
	content_at = 0;
	content_part = part;
	open_files = 0;
}

int file_count_open(void)
{
	return open_files;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	if (content == NULL) {
		va_list arguments;
		mode_t mode;

		va_start(arguments, flags);
		mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
		va_end(arguments);
		return __real_open(path, flags, mode);
	}
	content_at = 0;
	open_files++;
	return FILE_FD;
}

int __real_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status)
{
	if (fd != FILE_FD)
		return __real_fstat(fd, status);
	memset(status, 0, sizeof(*status));
	status->st_mode = S_IFREG | 0600;
	status->st_size = (off_t)content_size;
	return 0;
}

ssize_t __real_read(int fd, void *to, size_t size);
ssize_t __wrap_read(int fd, void *to, size_t size);
ssize_t __wrap_read(int fd, void *to, size_t size)
{
	if (fd != FILE_FD)
		return __real_read(fd, to, size);
	if (size > content_size - content_at)
		size = content_size - content_at;
	if (content_part > 0 && size > content_part)
		size = content_part;
	memcpy(to, content + content_at, size);
	content_at += size;
	return (ssize_t)size;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	if (fd != FILE_FD)
		return __real_close(fd);
	open_files--;
	return 0;
}
