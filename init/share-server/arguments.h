/* The words of libvirt's command, and those for virtiofsd. */
#ifndef VS_ARGUMENTS_H
#define VS_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_WORDS 64
#define MODCAPS_BYTES 256
#define LIMIT_BYTES 48

struct arguments {
	/* virtiofsd's path. */
	const char *program;
	/* The listening socket, which QEMU connects to. */
	int socket;
	/* The share. */
	const char *directory;
	bool read_only;
	/* What the guest keeps of what it has read, as virtiofsd names it. */
	const char *cache;
	/* It serves layers of an overlay. */
	bool layers;
	/* virtiofsd keeps file handles instead of descriptors. */
	bool handles;
	/* It has namespaces and a root of its own. */
	bool walled;
	/* virtiofsd's arguments, and the text of those that are made here. */
	const char *words[MAX_WORDS + 1];
	char modcaps[MODCAPS_BYTES];
	char limit[LIMIT_BYTES];
};

/* Where distributions install virtiofsd. False if it is in none of these places. */
bool arguments_find_program(struct arguments *arguments);

/* Whether the command asks about virtiofsd itself, and serves nothing. */
bool arguments_are_question(int argc, char *const argv[]);

/* Reads libvirt's command. False if it names no socket or no directory. */
bool arguments_read(struct arguments *arguments, int argc, char *const argv[]);

/*
 * Makes virtiofsd's words of libvirt's. `limit` is this process's limit of open files. False if there are too many words.
 */
bool arguments_complete(struct arguments *arguments, int argc, char *const argv[], unsigned long limit);

/* The capabilities that virtiofsd keeps while it serves, as a set: 1 << CAP_X for each. */
uint64_t arguments_capabilities(const struct arguments *arguments);

#endif
