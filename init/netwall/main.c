/*
 * The wall between a machine's network card and passt. passt makes connections of the host's for what the guest sends,
 * and so would reach every service of the host. This program stands between QEMU and passt, and lets no frame pass that
 * is for the host.
 *
 *   netwall --name NAME [--user UID:GID] --router IPV4 [--resolver IPV4] PASST [ARG...]
 *   netwall --name NAME [--user UID:GID] --open PASST [ARG...]
 *
 * fd 0  QEMU's connection (-netdev stream). Its end is the end of this process and of passt.
 * fd 2  what goes wrong, a line each; passt writes there too
 *
 * NAME is the sandbox's, for who looks at the processes. PASST is a path; it gets its connection as descriptor 3. With
 * --open it gets QEMU's, and takes the place of this process: nothing is held back.
 *
 * The exit status is 0 when QEMU has ended, FAILED when this program has failed by itself, and another when passt has.
 */
#include "confine.h"
#include "filter.h"
#include "log.h"
#include "passt.h"
#include "relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QEMU_FD 0

/* What passt never exits with, nor a shell for a program that it cannot find. src/sandbox/start/user-network.ts */
#define FAILED 125

struct options {
	bool has_user;
	uid_t uid;
	gid_t gid;
	bool open;
	struct in_addr router;
	struct in_addr resolver;
	/* The command line of passt. */
	char **passt;
};

static bool read_user(const char *text, struct options *options)
{
	char *end;

	errno = 0;
	options->uid = (uid_t)strtoul(text, &end, 10);
	if (*end != ':' || errno != 0)
		return false;
	options->gid = (gid_t)strtoul(end + 1, &end, 10);
	options->has_user = *end == '\0' && errno == 0;
	return options->has_user;
}

static bool read_options(char *argv[], struct options *options)
{
	char **at = argv + 1;

	for (; *at != NULL && at[0][0] == '-'; at++) {
		if (strcmp(*at, "--open") == 0) {
			options->open = true;
			continue;
		}
		const char *name = *at++;

		if (*at == NULL)
			return false;
		if (!(strcmp(name, "--name") == 0       ? true
		      : strcmp(name, "--user") == 0     ? read_user(*at, options)
		      : strcmp(name, "--router") == 0   ? inet_pton(AF_INET, *at, &options->router) == 1
		      : strcmp(name, "--resolver") == 0 ? inet_pton(AF_INET, *at, &options->resolver) == 1
							: false))
			return false;
	}
	options->passt = at;
	return *at != NULL && at[0][0] == '/' && options->open == (options->router.s_addr == INADDR_ANY);
}

static int carry(const struct options *options)
{
	static struct filter filter;
	int passt;

	filter.router = options->router;
	filter.resolver = options->resolver;
	if (!addresses_open(&filter.addresses))
		return FAILED;
	pid_t pid = passt_start(options->passt, &passt);

	if (pid < 0)
		return FAILED;
	enum relay_end end = confine_to_relay() ? relay(&filter, QEMU_FD, passt) : RELAY_FAILED;

	(void)close(passt);
	passt_end(pid);
	return end == RELAY_QEMU_CLOSED ? 0 : end == RELAY_PASST_CLOSED ? 1 : FAILED;
}

int main(int argc, char *argv[])
{
	struct options options = {.passt = NULL};

	if (argc < 2 || !read_options(argv, &options)) {
		log_line("usage: netwall --name NAME [--user UID:GID] (--open | --router IPV4 [--resolver IPV4]) PASST "
			 "[ARG...]");
		return FAILED;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	if (options.has_user && !confine_to_user(options.uid, options.gid))
		return FAILED;
	if (!options.open)
		return carry(&options);
	passt_exec(options.passt, QEMU_FD);
	return 1;
}
