/* What a program of the init writes to stdout: records, in a buffer. A failure ends the program. */
#ifndef VS_BUILTIN_OUTPUT_H
#define VS_BUILTIN_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

/* More than any record has. */
#define RECORD_BYTES 8192

/* Begins a record, whose fields follow. */
void record_begin(void);
void record_u32(uint32_t value);
void record_u64(uint64_t value);
/* u32 size, then the bytes. */
void record_text(const char *text, size_t size);
/* Ends the record: its size stands before its fields. */
void record_end(void);

/* Writes what is in the buffer. */
void output_flush(void);

#endif
