/*
 * What POSIX and Linux promise of files, tried in one directory: prints the name of each check that fails, a line each,
 * in the order below. Each check has a directory of its own, so none depends on another.
 *
 *   checks DIRECTORY
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PAGE 4096

static int create(const char *name, const char *content)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	if (fd >= 0 && write(fd, content, strlen(content)) != (ssize_t)strlen(content)) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* Whether the file begins with the text. */
static bool holds(int fd, const char *text)
{
	char found[64] = "";

	return pread(fd, found, sizeof(found) - 1, 0) >= (ssize_t)strlen(text) &&
	       strncmp(found, text, strlen(text)) == 0;
}

static bool file_holds(const char *name, const char *text)
{
	int fd = open(name, O_RDONLY);
	bool same = fd >= 0 && holds(fd, text);

	if (fd >= 0)
		(void)close(fd);
	return same;
}

/* Whether `attempt` is true in a child process. */
static bool in_child(bool (*attempt)(const char *name), const char *name)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(attempt(name) ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool unlinked_read(void)
{
	int fd = create("f", "content");

	return fd >= 0 && unlink("f") == 0 && holds(fd, "content") && pwrite(fd, "C", 1, 0) == 1 &&
	       holds(fd, "Content");
}

static bool unlinked_fstat(void)
{
	struct stat found;
	int fd = create("f", "content");

	return fd >= 0 && unlink("f") == 0 && fstat(fd, &found) == 0 && found.st_size == 7 && found.st_nlink == 0;
}

static bool unlinked_ftruncate(void)
{
	int fd = create("f", "content");
	char byte;

	return fd >= 0 && unlink("f") == 0 && ftruncate(fd, 3) == 0 && pread(fd, &byte, 1, 3) == 0 && holds(fd, "con");
}

static bool rename_over_open(void)
{
	int old = create("f", "old"), next = create("g", "next");

	return old >= 0 && next >= 0 && rename("g", "f") == 0 && holds(old, "old") && file_holds("f", "next");
}

static bool rename_over_fstat(void)
{
	struct stat found;
	int old = create("f", "old"), next = create("g", "next");

	return old >= 0 && next >= 0 && rename("g", "f") == 0 && fstat(old, &found) == 0 && found.st_size == 3;
}

static bool rename_directory(void)
{
	int fd;

	if (mkdir("a", 0755) != 0 || mkdir("b", 0755) != 0 || rename("a", "b") != 0 || mkdir("a", 0755) != 0)
		return false;
	fd = create("b/f", "");
	return fd >= 0 && rename("a", "b") != 0 && (errno == ENOTEMPTY || errno == EEXIST);
}

static bool rename_noreplace(void)
{
	return create("f", "f") >= 0 && create("g", "g") >= 0 &&
	       renameat2(AT_FDCWD, "f", AT_FDCWD, "g", RENAME_NOREPLACE) != 0 && errno == EEXIST &&
	       renameat2(AT_FDCWD, "f", AT_FDCWD, "h", RENAME_NOREPLACE) == 0 && file_holds("h", "f");
}

static bool rename_exchange(void)
{
	return create("f", "f") >= 0 && create("g", "g") >= 0 &&
	       renameat2(AT_FDCWD, "f", AT_FDCWD, "g", RENAME_EXCHANGE) == 0 && file_holds("f", "g");
}

static bool append_of_two(void)
{
	int one, other;

	if (create("f", "") < 0)
		return false;
	one = open("f", O_WRONLY | O_APPEND);
	other = open("f", O_WRONLY | O_APPEND);
	for (int at = 0; at < 3; at += 1)
		if (write(one, "1", 1) != 1 || write(other, "2", 1) != 1)
			return false;
	return file_holds("f", "121212");
}

static char *mapped(int fd)
{
	return ftruncate(fd, PAGE) == 0 ? mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
}

static bool mapping_is_written(void)
{
	char *map = mapped(create("f", "content"));

	if (map == MAP_FAILED)
		return false;
	map[0] = 'C';
	return msync(map, PAGE, MS_SYNC) == 0 && file_holds("f", "Content");
}

static bool mapping_is_seen_by_read(void)
{
	char *map = mapped(create("f", "content"));

	if (map == MAP_FAILED)
		return false;
	map[0] = 'C';
	return file_holds("f", "Content");
}

static bool mapping_sees_write(void)
{
	int fd = create("f", "content");
	volatile char *map = mapped(fd);

	return map != MAP_FAILED && map[0] == 'c' && pwrite(fd, "C", 1, 0) == 1 && map[0] == 'C';
}

static bool grown_is_zero(void)
{
	char found[3] = "xx";
	int fd = create("f", "content");

	return fd >= 0 && ftruncate(fd, 2) == 0 && ftruncate(fd, PAGE) == 0 && pread(fd, found, 2, 2) == 2 &&
	       found[0] == 0 && found[1] == 0;
}

static bool sparse(void)
{
	struct stat found;
	int fd = create("f", "");

	return fd >= 0 && pwrite(fd, "x", 1, 1L << 30) == 1 && fsync(fd) == 0 && fstat(fd, &found) == 0 &&
	       found.st_size == (1L << 30) + 1 && found.st_blocks < 2048;
}

static bool seek_data(void)
{
	int fd = create("f", "");

	return fd >= 0 && pwrite(fd, "x", 1, 1L << 20) == 1 && fsync(fd) == 0 && lseek(fd, 0, SEEK_DATA) > 0;
}

static bool allocate(void)
{
	struct stat found;
	int fd = create("f", "");

	return fd >= 0 && fallocate(fd, 0, 0, 1 << 20) == 0 && fstat(fd, &found) == 0 && found.st_size == 1 << 20;
}

static bool hard_link(void)
{
	struct stat one, other;

	return create("f", "content") >= 0 && link("f", "g") == 0 && stat("f", &one) == 0 && stat("g", &other) == 0 &&
	       one.st_ino == other.st_ino && one.st_nlink == 2 && unlink("f") == 0 && stat("g", &other) == 0 &&
	       other.st_nlink == 1;
}

static bool long_names(void)
{
	char name[257];

	memset(name, 'n', sizeof(name) - 1);
	name[256] = 0;
	if (create(name, "") >= 0 || errno != ENAMETOOLONG)
		return false;
	name[255] = 0;
	return create(name, "content") >= 0 && file_holds(name, "content") && unlink(name) == 0;
}

static bool user_attributes(void)
{
	char value[8] = "", names[64] = "";

	return create("f", "") >= 0 && setxattr("f", "user.check", "value", 5, 0) == 0 &&
	       getxattr("f", "user.check", value, sizeof(value)) == 5 && memcmp(value, "value", 5) == 0 &&
	       listxattr("f", names, sizeof(names)) > 0;
}

static bool may_lock(const char *name)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(open(name, O_RDWR), F_SETLK, &lock) == 0;
}

static bool may_flock(const char *name)
{
	return flock(open(name, O_RDWR), LOCK_EX | LOCK_NB) == 0;
}

static bool record_locks(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = create("f", "");

	if (fd < 0 || fcntl(fd, F_SETLK, &lock) != 0 || in_child(may_lock, "f"))
		return false;
	lock.l_type = F_UNLCK;
	return fcntl(fd, F_SETLK, &lock) == 0 && in_child(may_lock, "f");
}

static bool file_locks(void)
{
	int fd = create("f", "");

	return fd >= 0 && flock(fd, LOCK_EX) == 0 && !in_child(may_flock, "f") && flock(fd, LOCK_UN) == 0 &&
	       in_child(may_flock, "f");
}

static bool exclusive(void)
{
	return create("f", "") >= 0 && open("f", O_CREAT | O_EXCL | O_RDWR, 0644) < 0 && errno == EEXIST;
}

static bool created_read_only(void)
{
	int fd = open("f", O_CREAT | O_RDWR, 0400);

	return fd >= 0 && write(fd, "content", 7) == 7 && file_holds("f", "content");
}

static bool unnamed(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0644);

	return fd >= 0 && write(fd, "content", 7) == 7 && holds(fd, "content");
}

static bool pipe_and_socket(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "s"};
	struct stat found;

	return mkfifo("p", 0644) == 0 && stat("p", &found) == 0 && S_ISFIFO(found.st_mode) &&
	       bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof(address)) == 0 &&
	       stat("s", &found) == 0 && S_ISSOCK(found.st_mode);
}

static bool times(void)
{
	struct timespec set[2] = {{.tv_sec = 1, .tv_nsec = 2}, {.tv_sec = 3, .tv_nsec = 4}};
	struct stat found;

	return create("f", "") >= 0 && utimensat(AT_FDCWD, "f", set, 0) == 0 && stat("f", &found) == 0 &&
	       found.st_mtim.tv_sec == 3 && found.st_mtim.tv_nsec == 4;
}

static bool modes(void)
{
	struct stat found;

	return create("f", "") >= 0 && chmod("f", 0751) == 0 && stat("f", &found) == 0 &&
	       (found.st_mode & 07777) == 0751;
}

/* Removes each name while the directory is read: none is left out. */
static bool removed_while_read(void)
{
	char name[16];
	struct dirent *entry;

	if (mkdir("d", 0755) != 0 || chdir("d") != 0)
		return false;
	for (int at = 0; at < 300; at += 1) {
		int fd;

		(void)snprintf(name, sizeof(name), "f%d", at);
		fd = create(name, "");
		if (fd < 0 || close(fd) != 0)
			return false;
	}
	DIR *directory = opendir(".");

	while (directory != NULL && (entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.' && unlink(entry->d_name) != 0)
			return false;
	return chdir("..") == 0 && rmdir("d") == 0;
}

static bool synced(void)
{
	int fd = create("f", "content"), directory = open(".", O_RDONLY | O_DIRECTORY);

	return fd >= 0 && fsync(fd) == 0 && fdatasync(fd) == 0 && fsync(directory) == 0;
}

static const struct {
	const char *name;
	bool (*holds)(void);
} CHECKS[] = {
	{"unlinked-read", unlinked_read},
	{"unlinked-fstat", unlinked_fstat},
	{"unlinked-ftruncate", unlinked_ftruncate},
	{"rename-over-open", rename_over_open},
	{"rename-over-fstat", rename_over_fstat},
	{"rename-directory", rename_directory},
	{"rename-noreplace", rename_noreplace},
	{"rename-exchange", rename_exchange},
	{"append-of-two", append_of_two},
	{"mapping-is-written", mapping_is_written},
	{"mapping-is-seen-by-read", mapping_is_seen_by_read},
	{"mapping-sees-write", mapping_sees_write},
	{"grown-is-zero", grown_is_zero},
	{"sparse", sparse},
	{"seek-data", seek_data},
	{"allocate", allocate},
	{"hard-link", hard_link},
	{"long-names", long_names},
	{"user-attributes", user_attributes},
	{"record-locks", record_locks},
	{"file-locks", file_locks},
	{"exclusive", exclusive},
	{"created-read-only", created_read_only},
	{"unnamed", unnamed},
	{"pipe-and-socket", pipe_and_socket},
	{"times", times},
	{"modes", modes},
	{"removed-while-read", removed_while_read},
	{"synced", synced},
};

/* A check that hangs has failed. It may do so where no signal ends it, so it is not waited for then. */
static bool wait_for(pid_t pid, int *status)
{
	struct pollfd fd = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	bool ended = fd.fd >= 0 && poll(&fd, 1, 60 * 1000) == 1;

	if (fd.fd >= 0)
		(void)close(fd.fd);
	if (!ended)
		(void)kill(pid, SIGKILL);
	return ended && waitpid(pid, status, 0) == pid;
}

int main(int argc, char *argv[])
{
	if (argc != 2 || chdir(argv[1]) != 0)
		return 2;
	for (size_t at = 0; at < sizeof(CHECKS) / sizeof(CHECKS[0]); at += 1) {
		/* A check may leave descriptors and mappings behind: they end with its process. */
		pid_t pid = fork();
		int status = -1;

		if (pid == 0) {
			_exit(mkdir(CHECKS[at].name, 0755) == 0 && chdir(CHECKS[at].name) == 0 && CHECKS[at].holds()
				      ? 0
				      : 1);
		}
		if (pid < 0 || !wait_for(pid, &status) || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
			(void)printf("%s\n", CHECKS[at].name);
	}
	(void)printf("%zu checks\n", sizeof(CHECKS) / sizeof(CHECKS[0]));
	return 0;
}
