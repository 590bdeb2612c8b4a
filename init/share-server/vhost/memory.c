#include "vhost/memory.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *map(struct memory_region *region, const struct memory_piece *piece, int fd)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	const uint64_t before = piece->offset % page;
	struct stat file;
	uint64_t end;

	if (piece->bytes == 0 || __builtin_add_overflow(piece->guest, piece->bytes, &end) ||
	    __builtin_add_overflow(piece->user, piece->bytes, &end) ||
	    __builtin_add_overflow(piece->offset, piece->bytes, &end))
		return "a piece of memory has no end";
	/* Of memory behind the end of a file, the first access would end this process. */
	if (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode) || file.st_size < 0 || end > (uint64_t)file.st_size)
		return "a piece of memory is not in its file";
	/* It cannot overflow: both are less than a file's size. */
	region->mapped_bytes = (size_t)(before + piece->bytes);
	region->mapped = mmap(NULL, region->mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
			      (off_t)(piece->offset - before));
	if (region->mapped == MAP_FAILED)
		return "a piece of memory cannot be mapped";
	region->at = (uint8_t *)region->mapped + before;
	region->guest = piece->guest;
	region->user = piece->user;
	region->bytes = piece->bytes;
	return NULL;
}

const char *memory_replace(struct memory *memory, const struct memory_table *table, const int fds[], size_t fd_count)
{
	memory_clear(memory);
	if (table->count > MEMORY_REGIONS || table->count != fd_count)
		return "a table of memory has another number of files";
	while (memory->count < table->count) {
		const char *failed =
			map(&memory->regions[memory->count], &table->pieces[memory->count], fds[memory->count]);

		if (failed != NULL) {
			memory_clear(memory);
			return failed;
		}
		memory->count += 1;
	}
	return NULL;
}

void memory_clear(struct memory *memory)
{
	while (memory->count > 0) {
		memory->count -= 1;
		(void)munmap(memory->regions[memory->count].mapped, memory->regions[memory->count].mapped_bytes);
	}
}

void *memory_of_guest(const struct memory *memory, uint64_t address, uint64_t *length)
{
	for (size_t index = 0; index < memory->count; index += 1) {
		const struct memory_region *region = &memory->regions[index];
		/* What lies before the region comes out as a large number. */
		const uint64_t offset = address - region->guest;

		if (offset >= region->bytes)
			continue;
		if (*length > region->bytes - offset)
			*length = region->bytes - offset;
		return region->at + offset;
	}
	return NULL;
}

void *memory_of_user(const struct memory *memory, uint64_t address, uint64_t length)
{
	for (size_t index = 0; index < memory->count; index += 1) {
		const struct memory_region *region = &memory->regions[index];
		const uint64_t offset = address - region->user;

		if (offset < region->bytes && length <= region->bytes - offset)
			return region->at + offset;
	}
	return NULL;
}
