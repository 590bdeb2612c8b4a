/* The places for the processes that the host starts. stdin.h and streams.h number them alike. */
#ifndef VS_SLOTS_H
#define VS_SLOTS_H

#include "process/ends.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NO_SLOT (-1)

enum process_state { PROCESS_NONE, PROCESS_STARTING, PROCESS_RUNNING, PROCESS_ENDED };

struct process {
	enum process_state state;
	/* What the host names it by. No two processes have the same. */
	uint32_t number;
	bool application;
	pid_t pid;
	int wait_status;
	bool reaped;
	/* It was reaped, and nobody is left of its group, whose number may become another's. */
	bool gone;
	/* Our side of the terminal, for its size and its foreground process group. */
	int terminal_fd;
	uint32_t time_limit;
	/* When it is killed, or UINT64_MAX. */
	uint64_t expires_at;
	bool timed_out;
	uint64_t ended_at;
	uint64_t killed_at;
	/* What is left of its output was given up. */
	bool abandoned;
	/* Our ends of its streams, until it has started. */
	struct ends ours;
};

/* Slots from here on were never used. */
int slots_used(void);
struct process *slot_at(int slot);
/* The slot of a process, or NO_SLOT. */
int slot_of(uint32_t number);
/* The slot of the application, or NO_SLOT. */
int slot_of_application(void);

/* A free slot, which is taken from now on, with a new number; NO_SLOT with errno: EAGAIN if there is none. */
int slot_take(bool application);
/* Closes what its process has. */
void slot_release(int slot);

#endif
