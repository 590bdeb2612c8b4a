/*
 * A kernel takes from a module the sections that it knows by name and that are to be loaded (SHF_ALLOC); it takes a section that is not to be loaded
 * for one that is not there, and does not relocate it (kernel/module/main.c: find_sec, apply_relocations).
 */
#include "boot/sections.h"

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static const char *const COSTLY[] = {
	/*
	 * Where static calls are, so that each can be turned into a direct one: the kernel stops for each of them. Without, they go by their trampolines,
	 * which it keeps up to date as well (include/linux/static_call.h).
	 */
	".static_call_sites",
	/* Names of numbers in traces, which the kernel looks for in the format of each of its events. */
	"_ftrace_eval_map",
};

static bool is_costly(const char *name, size_t room)
{
	for (size_t i = 0; i < sizeof(COSTLY) / sizeof(COSTLY[0]); i++)
		if (strlen(COSTLY[i]) < room && strcmp(name, COSTLY[i]) == 0)
			return true;
	return false;
}

/* The section header of that number; NULL where it is not in the file. */
static Elf64_Shdr *section_at(unsigned char *module, size_t size, const Elf64_Ehdr *header, size_t number)
{
	size_t start = header->e_shoff + number * sizeof(Elf64_Shdr);

	if (header->e_shoff > size || number >= header->e_shnum || start > size - sizeof(Elf64_Shdr) || start % 8 != 0)
		return NULL;
	return (Elf64_Shdr *)(void *)(module + start);
}

void sections_pass_over(unsigned char *module, size_t size)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)(const void *)module;
	const Elf64_Shdr *names;

	if (size < sizeof(*header) || size > SIZE_MAX / 2 || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_shentsize != sizeof(Elf64_Shdr))
		return;
	names = section_at(module, size, header, header->e_shstrndx);
	if (names == NULL || names->sh_offset > size || names->sh_size > size - names->sh_offset ||
	    names->sh_size == 0 || module[names->sh_offset + names->sh_size - 1] != '\0')
		return;
	for (size_t number = 0; number < header->e_shnum; number++) {
		Elf64_Shdr *section = section_at(module, size, header, number);

		if (section == NULL || section->sh_name >= names->sh_size)
			continue;
		if (is_costly((const char *)module + names->sh_offset + section->sh_name,
			      names->sh_size - section->sh_name))
			section->sh_flags &= ~(Elf64_Xword)SHF_ALLOC;
	}
}
