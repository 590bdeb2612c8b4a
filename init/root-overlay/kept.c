#include "kept.h"

#include "calls.h"
#include "top.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/*
 * With an index the kernel refuses an upper layer that another overlay uses, and without one it only warns. The lock has
 * nothing in it, so an index of it means nothing else.
 */
#define LOCK_OPTIONS                                                                                     \
	"lowerdir=" KEPT "/lock/lower,upperdir=" KEPT "/lock/upper,workdir=" KEPT "/lock/work,index=on," \
	"redirect_dir=nofollow,metacopy=off"
#define LOCK_FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC)
/* The kernel notes there which lower layer it was: a copy of the directory has another one. */
#define LOCK_ORIGIN "trusted.overlay.origin"

/* Twice as long each time: the kernel's log has a line for each. */
#define FIRST_PAUSE_MS 10
#define LONGEST_PAUSE_MS 1000

static int make_directory(const char *path)
{
	struct stat status;

	if (mkdir(path, 0700) == 0)
		return 0;
	if (errno != EEXIST || lstat(path, &status) != 0)
		return -1;
	errno = ENOTDIR;
	return S_ISDIR(status.st_mode) ? 0 : -1;
}

int kept_take(const char *path, int ids)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int copy = fd < 0 ? -1 : clone_mount(fd);
	int target = -1;
	int result = -1;

	if (copy >= 0 && defuse_mount(copy, ids) == 0 && mkdir(KEPT, 0700) == 0)
		target = open(KEPT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (target >= 0 && attach_mount(copy, target) == 0)
		result = umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);

	int error = errno;

	if (result == 0)
		(void)rmdir(path);

	int all[] = {fd, copy, target};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i] >= 0)
			(void)close(all[i]);
	}
	errno = error;
	return result;
}

static int mount_lock(void)
{
	return mount("overlay", KEPT_LOCK, "overlay", LOCK_FLAGS, LOCK_OPTIONS);
}

/* Makes the lock forget what it was made of. */
static int renew_lock(void)
{
	if (removexattr(KEPT "/lock/upper", LOCK_ORIGIN) != 0 && errno != ENODATA)
		return -1;
	return rmdir(KEPT "/lock/work/index") == 0 || errno == ENOENT ? 0 : -1;
}

int kept_lock(uint64_t wait_seconds)
{
	long pause = FIRST_PAUSE_MS / 2;
	int result;

	if (mkdir(KEPT_LOCK, 0700) != 0 || make_directory(KEPT "/lock") != 0 ||
	    make_directory(KEPT "/lock/lower") != 0 || make_directory(KEPT "/lock/upper") != 0 ||
	    make_directory(KEPT "/lock/work") != 0)
		return -1;
	result = mount_lock();
	if (result != 0 && errno == ESTALE && renew_lock() == 0)
		result = mount_lock();
	/*
	 * Processes of a container that was killed end one after the other, and the kernel writes out all of the file
	 * system before it lets the last overlay go.
	 */
	for (uint64_t waited = 0; result != 0 && errno == EBUSY && waited < wait_seconds * 1000;
	     waited += (uint64_t)pause) {
		pause = pause * 2 > LONGEST_PAUSE_MS ? LONGEST_PAUSE_MS : pause * 2;
		(void)nanosleep(&(struct timespec){.tv_sec = pause / 1000, .tv_nsec = pause % 1000 * 1000000}, NULL);
		result = mount_lock();
	}
	return result;
}

/* The name of a mount's layers: its absolute path, as in a URL. Nothing in it means anything to mount(2). */
static bool name_mount(const char *mount, char name[NAME_MAX + 1])
{
	size_t used = (size_t)sprintf(name, "%%2F");

	for (const char *at = mount; *at != '\0'; at++) {
		bool plain = isascii((unsigned char)*at) &&
			     (isalnum((unsigned char)*at) || *at == '-' || *at == '_' || *at == '.');

		if (used + 3 > NAME_MAX)
			return false;
		if (plain)
			name[used++] = *at;
		else
			used += (size_t)sprintf(name + used, "%%%02X", (unsigned char)*at);
	}
	name[used] = '\0';
	return true;
}

static void name_path(char path[KEPT_PATH_BYTES], const char name[NAME_MAX + 1], const char *what)
{
	(void)snprintf(path, KEPT_PATH_BYTES, KEPT "/mounts/%.*s/%s", NAME_MAX, name, what);
}

/* It appears when it is complete: whoever is killed before leaves no layer that is open to all. */
static int make_upper(const char name[NAME_MAX + 1], const char *lower, const char *upper)
{
	char fresh[KEPT_PATH_BYTES];
	struct stat status;

	if (lstat(upper, &status) == 0) {
		errno = ENOTDIR;
		return S_ISDIR(status.st_mode) ? 0 : -1;
	}
	if (errno != ENOENT)
		return -1;
	name_path(fresh, name, "new");
	if (rmdir(fresh) != 0 && errno != ENOENT)
		return -1;
	return top_copy(lower, fresh) == 0 ? rename(fresh, upper) : -1;
}

int kept_make(const char *mount, const char *lower, char upper[KEPT_PATH_BYTES], char work[KEPT_PATH_BYTES])
{
	char name[NAME_MAX + 1];
	char directory[KEPT_PATH_BYTES];

	if (!name_mount(mount, name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	name_path(directory, name, "");
	name_path(upper, name, "upper");
	name_path(work, name, "work");
	if (make_directory(KEPT "/mounts") != 0 || make_directory(directory) != 0 || make_directory(work) != 0)
		return -1;
	return make_upper(name, lower, upper);
}
