/* Runs a script, and sums up what it prints. */
#ifndef BENCH_SCRIPT_H
#define BENCH_SCRIPT_H

#include <stddef.h>
#include <stdint.h>

/* What a script printed. The order of the lines makes no difference. */
struct output {
	uint64_t lines, digest, line;
	size_t length;
	int is_over;
	char error[160];
};

/* Returns the script's status; 124 if it was not done in time, in seconds. */
int run_script(const char *script, int seconds, struct output *output);

#endif
