/*
 * A signature is a PKCS#7 message, 12 bytes that end with its size, and a line that marks it.
 * https://docs.kernel.org/admin-guide/module-signing.html
 */
#include "boot/signature.h"

#include <stdint.h>
#include <string.h>

static const char mark[] = "~Module signature appended~\n";

/*
 * The size of struct module_signature (include/linux/module_signature.h). Its last field is the message's size,
 * big-endian.
 */
#define TRAILER_BYTES 12
#define MARK_BYTES (sizeof(mark) - 1)

size_t signature_start(const unsigned char *module, size_t size)
{
	const unsigned char *end;
	size_t message;

	if (size <= TRAILER_BYTES + MARK_BYTES || memcmp(module + size - MARK_BYTES, mark, MARK_BYTES) != 0)
		return size;
	end = module + size - MARK_BYTES;
	message = (size_t)end[-4] << 24 | (size_t)end[-3] << 16 | (size_t)end[-2] << 8 | end[-1];
	return message < size - TRAILER_BYTES - MARK_BYTES ? size - TRAILER_BYTES - MARK_BYTES - message : size;
}
