/*
 * Runs inputs in a process that can change nothing of the host: it has namespaces of its own (users, mounts, processes,
 * network, host name, System V), its root is a tmpfs, and its root user is a user of the host that owns nothing. The
 * fuzzer itself stays outside and sees what is covered inside.
 */
#ifndef FUZZ_BOX_H
#define FUZZ_BOX_H

#include <stddef.h>
#include <stdint.h>

/* The longest input, in bytes. */
#define BOX_INPUT_BYTES 65536

/* The directory, inside, that box_clean() makes anew. */
#define BOX_ROOT "/box"

/* Where the program lies that inputs may start, in the new root. */
#define BOX_PROGRAM "bin/program"

struct box {
	/* In the box, before the first input. */
	void (*prepare)(void);
	/* In the box, for each input. */
	void (*run)(const uint8_t *data, size_t size);
	/* The file of the host that becomes BOX_PROGRAM. */
	const char *program;
};

/*
 * Runs an input, in a new box if there is none or the old one is worn out. Ends this process with a message if the box
 * dies. What memory_watch() has noted stays out of the box.
 */
void box_run(const struct box *box, const uint8_t *data, size_t size);

/*
 * In the box, between inputs: ends all other processes, closes all descriptors, and makes an empty root with a few files
 * and directories, /proc and the program in it. The root and the working directory are then that one.
 */
void box_clean(void);

#endif
