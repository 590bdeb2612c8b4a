/*
 * Large memory of the fuzzer, such as its tables of inputs. A forked process has no use for it, and to copy the tables
 * of its pages takes a third of the time.
 */
#ifndef FUZZ_MEMORY_H
#define FUZZ_MEMORY_H

/* Notes what is allocated and freed from now on. Call it once, first in LLVMFuzzerInitialize(). */
void memory_watch(void);

/* Keeps what is noted out of the processes that this one forks. */
void memory_keep_from_children(void);

#endif
