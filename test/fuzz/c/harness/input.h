/* Takes an input to pieces, for targets that need more than one. At the end all pieces are empty or 0. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct input {
	const uint8_t *at;
	size_t left;
};

struct piece {
	const uint8_t *data;
	size_t size;
};

uint8_t input_byte(struct input *input);

/* The next bytes, as many as the two bytes before them say (little-endian), or what is left. */
struct piece input_piece(struct input *input);

/* A copy in memory of exactly its size, so that a sanitizer sees a look beyond either end. free(3) it. */
uint8_t *input_exact(const uint8_t *data, size_t size);

/* The same as a string of C. free(3) it. */
char *input_string(const uint8_t *data, size_t size);

/*
 * The words of a command line: the texts between NULs, at most `most`. Behind the last is NULL. input_free_words()
 * frees them.
 */
char **input_words(const uint8_t *data, size_t size, size_t most);
void input_free_words(char **words);

/* Numbers that depend on the input alone: how a read or a write is cut. The state is not 0. */
uint32_t input_random(uint32_t *state);

#endif
