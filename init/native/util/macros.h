/* Macros for every file, and whether this is a test build. */
#ifndef VS_MACROS_H
#define VS_MACROS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define PRINTF(text, first) __attribute__((format(printf, text, first)))

/*
 * A test build runs on the host as an ordinary process. It decodes and then refuses what would change the host (mounts,
 * the clock, networking, power off), and it kills only its own children.
 */
#ifdef VS_TEST
#define TEST_BUILD true
#else
#define TEST_BUILD false
#endif

#endif
