#include "stale.h"

#include "container.h"
#include "locks.h"
#include "owner.h"
#include "remains.h"
#include "timing.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * How long a supervisor at work may take to free the path, in milliseconds: what ends after SIGTERM gets SIGKILL after
 * GRACE_MS, libvirt starts what is expected within EXPECTED_MS and forgets a container within CONTAINER_MS, and the names
 * are locked within REMOVALS_MS. Another process that removes the directory has the lock for longer only where a
 * killed process does not end; who waits says so then.
 */
#define WORK_MS (EXPECTED_MS + GRACE_MS + CONTAINER_MS + REMOVALS_MS + 2000)

/*
 * How the name of a directory begins that somebody is making or removing, and how long that may take at most, in
 * seconds.
 */
static const char *const passing[] = {".claim-", ".stale-"};
#define PASSING_S 60

/*
 * How long nobody has given a sign of life, in seconds, where nobody here can know the owner. Its supervisor gives one
 * each hour (owner_beat()). That the lock is free proves nothing: hosts and guests may share the file system and not its
 * locks.
 */
#define FOREIGN_S (7 * 24 * 60 * 60)

/* How long the lock of a killed supervisor may take to be released, in milliseconds. */
#define RELEASE_MS 2000

/* How often to look whether the directory is still there while another process has its lock, in milliseconds. */
#define LOOK_MS 50

static enum removal fail(const char *directory, const char *reason)
{
	(void)dprintf(2, "%s: %s\n", directory, reason);
	return REMOVAL_FAILED;
}

/* How to treat a supervisor that has the lock. */
enum supervisor { SPARE, KILL_AT_ONCE, KILL_IF_LATE };

/* As lock_state(); ESTALE as soon as the directory is not at its path any more. */
static int lock_while_there(const char *directory, int state, int milliseconds)
{
	long long deadline = now_ms() + milliseconds;

	for (;;) {
		int lock = lock_state(state, milliseconds > 0 ? LOOK_MS : 0);
		int failed = errno;

		if (!state_is(directory, state)) {
			if (lock >= 0)
				(void)close(lock);
			errno = ESTALE;
			return -1;
		}
		if (lock >= 0 || failed != EWOULDBLOCK || now_ms() >= deadline) {
			errno = failed;
			return lock;
		}
	}
}

static enum removal move_and_remove(const char *directory, int state)
{
	char reason[REASON_BYTES];
	int removals = lock_removals(directory);

	if (removals < 0)
		return fail(directory,
			    errno == EWOULDBLOCK ? "another process holds .lock beside it" : strerror(errno));
	enum removal result = remove_aside(directory, state, removals, reason);

	if (result != REMOVED)
		(void)dprintf(2, "%s\n", reason);
	return result;
}

/* `caller` may be the owner. */
static enum removal remove_state(const char *directory, int state, pid_t caller, enum supervisor supervisor)
{
	if (owner_lives(state, caller))
		return REMOVAL_REFUSED;
	bool was_here = owner_kind(state) == OWNER_HERE;
	int lock = lock_while_there(directory, state, supervisor == KILL_IF_LATE ? WORK_MS : 0);

	if (lock < 0 && errno == EWOULDBLOCK && supervisor != SPARE) {
		/* Its supervisor lives, and its owner may, where this process cannot see it. */
		if (!was_here)
			return REMOVAL_REFUSED;
		remains_kill_supervisors(directory, state);
		lock = lock_while_there(directory, state, RELEASE_MS);
	}
	/* Another process has removed it. The next directory of that name is not looked at here. */
	if (lock < 0 && errno == ESTALE)
		return REMOVED;
	if (lock < 0 && errno != ENOENT)
		return fail(directory, errno == EWOULDBLOCK ? "its supervisor does not end" : strerror(errno));
	/* Without the file `owner` somebody was removing it: all has ended. */
	bool ended = lock < 0 || (remains_end(directory, state) == 0 && container_end(directory, state) == 0);

	if (ended)
		container_remove(directory, state);
	enum removal result = ended ? move_and_remove(directory, state) : REMOVAL_FAILED;

	if (lock >= 0)
		(void)close(lock);
	return result;
}

static enum removal remove_directory(const char *directory, pid_t caller, enum supervisor supervisor)
{
	/* An empty directory may be replaced at any moment. */
	if (rmdir(directory) == 0 || errno == ENOENT)
		return REMOVED;
	int state = state_open(directory);

	if (state < 0)
		return errno == ENOENT ? REMOVED : fail(directory, strerror(errno));
	enum removal result = remove_state(directory, state, caller, supervisor);

	(void)close(state);
	return result;
}

enum removal stale_remove(const char *directory)
{
	return remove_directory(directory, 0, KILL_IF_LATE);
}

enum removal stale_take_over(const char *directory)
{
	return remove_directory(directory, getppid(), KILL_AT_ONCE);
}

static bool is_passing(const char *name)
{
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
		if (strncmp(name, passing[i], strlen(passing[i])) == 0)
			return true;
	}
	return false;
}

static bool is_state_stale(int state, const char *name)
{
	enum owner owner = owner_kind(state);

	if (owner == OWNER_HERE)
		return !owner_lives(state, 0);
	if (is_passing(name) && (owner == OWNER_ABSENT || owner == OWNER_TORN))
		return owner_is_silent(state, PASSING_S);
	/* Of another boot, as after a loss of power, or of another PID namespace, or torn by a loss of power. */
	return owner != OWNER_ABSENT && owner_is_silent(state, FOREIGN_S) && lock_is_free(state);
}

static bool is_stale(const char *path)
{
	int state = state_open(path);
	bool stale = state >= 0 && is_state_stale(state, strrchr(path, '/') + 1);

	if (state >= 0)
		(void)close(state);
	return stale;
}

/* Calls `use` for each directory beside `directory` that is stale, until it returns false. */
static void each_stale(const char *directory, bool (*use)(const char *path))
{
	char path[PATH_MAX];
	int length = (int)(strrchr(directory, '/') - directory);

	(void)snprintf(path, sizeof(path), "%.*s", length, directory);
	DIR *entries = opendir(path);

	if (entries == NULL)
		return;
	for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
		if ((size_t)snprintf(path, sizeof(path), "%.*s/%s", length, directory, entry->d_name) >= sizeof(path))
			continue;
		if (is_stale(path) && !use(path))
			break;
	}
	(void)closedir(entries);
}

static bool remove_spared(const char *path)
{
	int state = state_open(path);

	/* Another sandbox may have taken the name since. */
	if (state >= 0 && is_state_stale(state, strrchr(path, '/') + 1))
		(void)remove_state(path, state, 0, SPARE);
	if (state >= 0)
		(void)close(state);
	return true;
}

static bool start_removing(const char *path)
{
	if (fork() == 0) {
		/* The launcher waits for nothing of this. */
		(void)syscall(SYS_close_range, 0U, ~0U, 0);
		each_stale(path, remove_spared);
		_exit(0);
	}
	return false;
}

void stale_remove_beside(const char *directory)
{
	each_stale(directory, start_removing);
}
