#include "harness/input.h"

#include "harness/check.h"

#include <stdlib.h>
#include <string.h>

uint8_t input_byte(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->at++;
}

struct piece input_piece(struct input *input)
{
	size_t size = input_byte(input);
	struct piece piece;

	size |= (size_t)input_byte(input) << 8;
	piece = (struct piece){.data = input->at, .size = size < input->left ? size : input->left};
	input->at += piece.size;
	input->left -= piece.size;
	return piece;
}

uint8_t *input_exact(const uint8_t *data, size_t size)
{
	/* malloc(0) may be NULL. */
	uint8_t *copy = malloc(size == 0 ? 1 : size);

	check(copy != NULL, "memory");
	if (size > 0)
		memcpy(copy, data, size);
	return copy;
}

char *input_string(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1);

	check(copy != NULL, "memory");
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	return copy;
}

char **input_words(const uint8_t *data, size_t size, size_t most)
{
	char **words = calloc(most + 1, sizeof(*words));
	size_t count = 0;

	check(words != NULL, "memory");
	for (size_t at = 0; at < size && count < most;) {
		const uint8_t *end = memchr(data + at, '\0', size - at);
		size_t length = end == NULL ? size - at : (size_t)(end - (data + at));

		words[count++] = input_string(data + at, length);
		at += length + 1;
	}
	return words;
}

void input_free_words(char **words)
{
	for (size_t i = 0; words[i] != NULL; i++)
		free(words[i]);
	free(words);
}

uint32_t input_random(uint32_t *state)
{
	/* xorshift32 */
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}
