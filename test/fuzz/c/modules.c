/*
 * The module of a custom kernel, whose sections are marked and whose signature is cut off before the kernel gets it.
 *
 * What must hold: the size stays, and of the content nothing changes but the flag for loading (SHF_ALLOC).
 */
#include "boot/sections.h"
#include "boot/signature.h"
#include "harness/check.h"
#include "harness/input.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define MARK "~Module signature appended~\n"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

/* Makes the header one that is looked into, with the sections and their names somewhere in the file. */
static void write_header(uint8_t *data, size_t size, uint32_t *random)
{
	static const char *const names[] = {".static_call_sites", "_ftrace_eval_map"};
	Elf64_Ehdr header;
	const char *name = names[input_random(random) % 2];
	size_t at = input_random(random) % size;

	memcpy(&header, data, sizeof(header));
	memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_shentsize = sizeof(Elf64_Shdr);
	if (input_random(random) % 2 == 0)
		header.e_shoff = input_random(random) % (size + 8) & ~7ULL;
	if (input_random(random) % 2 == 0)
		header.e_shnum = (Elf64_Half)(input_random(random) % 8);
	if (input_random(random) % 2 == 0)
		header.e_shstrndx = (Elf64_Half)(input_random(random) % 8);
	memcpy(data, &header, sizeof(header));
	if (input_random(random) % 4 == 0 && size - at > strlen(name))
		memcpy(data + at, name, strlen(name) + 1);
}

/* Makes one of the sections lie in the file, so that it may serve for names. */
static void write_section(uint8_t *data, size_t size, uint32_t *random)
{
	Elf64_Ehdr header;
	Elf64_Shdr section;
	size_t at;

	memcpy(&header, data, sizeof(header));
	at = header.e_shoff + input_random(random) % 8 * sizeof(section);
	if (header.e_shoff > size || at > size || size - at < sizeof(section))
		return;
	memcpy(&section, data + at, sizeof(section));
	section.sh_offset = input_random(random) % size;
	section.sh_size = input_random(random) % 4 == 0 ? size - section.sh_offset : input_random(random) % 64;
	section.sh_name = input_random(random) % 64;
	if (section.sh_offset + section.sh_size <= size && section.sh_size > 0)
		data[section.sh_offset + section.sh_size - 1] = '\0';
	memcpy(data + at, &section, sizeof(section));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
	uint32_t random = seed * 2654435761U | 1;

	if (most < sizeof(Elf64_Ehdr) || input_random(&random) % 4 == 0)
		return LLVMFuzzerMutate(data, size, most);
	while (size < sizeof(Elf64_Ehdr))
		data[size++] = 0;
	switch (input_random(&random) % 4) {
	case 0:
		write_header(data, size, &random);
		return size;
	case 1:
		write_section(data, size, &random);
		return size;
	case 2:
		if (size + strlen(MARK) <= most) {
			memcpy(data + size, MARK, strlen(MARK));
			size += strlen(MARK);
		}
		return size;
	default:
		return LLVMFuzzerMutate(data, size, most);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *module = input_exact(data, size);

	sections_pass_over(module, size);
	for (size_t i = 0; i < size; i++)
		check((data[i] ^ module[i]) == 0 || ((data[i] ^ module[i]) == SHF_ALLOC && (data[i] & SHF_ALLOC) != 0),
		      "nothing changes but a flag");
	check(signature_start(module, size) <= size, "a module without its signature is not longer");
	free(module);
	return 0;
}
