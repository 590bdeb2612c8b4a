/*
 * watch PATH RECURSIVE: writes a record for each change of a file, or of the entries of a directory, until it is gone.
 * With RECURSIVE it is a directory, and names are paths from there. The first record says that all later changes are
 * seen.
 */
#include "builtins/builtins.h"
#include "builtins/output.h"
#include "builtins/watch_tree.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define CHANGES (IN_CREATE | IN_MODIFY | IN_ATTRIB | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF)

/* As in docs/protocol.md. */
enum change { WATCHING, CREATED, MODIFIED, REMOVED, MOVED_FROM, MOVED_TO, OVERFLOW };

static void write_change(enum change change, uint32_t cookie, const char *name)
{
	record_begin();
	record_u32(change);
	record_u32(cookie);
	record_text(name, strlen(name));
	record_end();
}

static void write_event(const struct inotify_event *event, const char *name)
{
	static const struct {
		uint32_t mask;
		enum change change;
	} changes[] = {
		{IN_Q_OVERFLOW, OVERFLOW},   {IN_CREATE, CREATED},    {IN_MODIFY | IN_ATTRIB, MODIFIED},
		{IN_MOVED_FROM, MOVED_FROM}, {IN_MOVED_TO, MOVED_TO}, {IN_DELETE | IN_DELETE_SELF, REMOVED},
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		if ((event->mask & changes[i].mask) != 0)
			write_change(changes[i].change, event->cookie, name);
	}
}

/* Something of the tree is not seen. */
static bool is_lost;

static void write_created(const char *path)
{
	if (path == NULL)
		is_lost = true;
	else
		write_change(CREATED, 0, path);
}

/* These return false when there is nothing to watch any more. */
static bool take_event(const struct inotify_event *event)
{
	if ((event->mask & IN_IGNORED) != 0)
		return false;
	write_event(event, event->len > 0 ? event->name : "");
	return true;
}

static bool take_event_of_tree(const struct inotify_event *event)
{
	const char *name = event->len > 0 ? event->name : "";
	const char *path;

	if ((event->mask & IN_Q_OVERFLOW) != 0) {
		write_event(event, "");
		watch_tree_renew();
		return true;
	}
	if ((event->mask & IN_IGNORED) != 0)
		return watch_tree_end(event->wd);
	path = watch_tree_path(event->wd, name);
	if (path == NULL)
		return true;
	write_event(event, path);
	if ((event->mask & IN_ISDIR) != 0 && (event->mask & (IN_CREATE | IN_MOVED_TO)) != 0)
		watch_tree_add(event->wd, name);
	if ((event->mask & IN_ISDIR) != 0 && (event->mask & IN_MOVED_FROM) != 0)
		watch_tree_take(event->wd, name);
	return true;
}

static bool read_events(int fd, const char *path, bool is_recursive)
{
	static char events[65536] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t size = read(fd, events, sizeof(events));

	if (size < 0 && errno != EINTR)
		builtin_fail(errno, "read(inotify of %s)", path);
	for (ssize_t at = 0; at < size;) {
		const struct inotify_event *event = (const void *)(events + at);

		if (!(is_recursive ? take_event_of_tree(event) : take_event(event)))
			return false;
		at += (ssize_t)(sizeof(*event) + event->len);
	}
	if (is_recursive)
		watch_tree_forget();
	return true;
}

void builtin_watch(char **argv)
{
	bool is_recursive = builtin_flag(argv[1]);
	int fd = inotify_init1(IN_CLOEXEC);

	if (fd < 0)
		builtin_fail(errno, "inotify_init1");
	if (is_recursive)
		watch_tree_start(fd, CHANGES, argv[0], write_created);
	else if (inotify_add_watch(fd, argv[0], CHANGES) < 0)
		builtin_fail(errno == ENOSPC ? EMFILE : errno, "inotify_add_watch(%s)", argv[0]);
	/* Where a process is a directory does not go. */
	if (chdir("/") < 0)
		builtin_fail(errno, "chdir(/)");
	write_change(WATCHING, 0, "");
	do {
		if (is_lost)
			write_change(OVERFLOW, 0, "");
		is_lost = false;
		output_flush();
	} while (read_events(fd, argv[0], is_recursive));
	output_flush();
}
