/* The system calls that the server of a root has, tried. */
#ifndef FUZZ_TRY_CALLS_H
#define FUZZ_TRY_CALLS_H

/* In a process of its own: one that was taken over gets at nothing more than files to read. */
void try_calls(void);

#endif
