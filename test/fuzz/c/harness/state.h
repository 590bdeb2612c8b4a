/*
 * The variables of the program under test. A program is made for one life, and a fuzzer runs it again and again: before
 * each run its variables become what they were at the start, but for the content of large buffers. The Makefile puts them
 * in sections of their own.
 */
#ifndef FUZZ_STATE_H
#define FUZZ_STATE_H

/* Remembers all variables as they are now. Call it once, before the first run. */
void state_keep(void);

/* Makes all variables what they were at state_keep(). */
void state_reset(void);

/* Lets forked processes count what they cover, and tells their parent of a sanitizer's finding. Call it once. */
void state_share_coverage(void);

/* Ends this process with a message if a sanitizer has found something in a forked one. */
void state_check_children(void);

#endif
