/*
 * The kernel looks up a module's sections by name, and takes only those that are to be loaded (SHF_ALLOC). Without that
 * flag a section counts as missing, and is not relocated (kernel/module/main.c: find_sec, apply_relocations).
 */
#include "boot/sections.h"

#include "util/macros.h"

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static const char *const costly[] = {
	/*
	 * Sites of static calls. The kernel stops for each one to patch it into a direct call. Without the list, calls
	 * go through their trampolines, which the kernel keeps up to date as well (include/linux/static_call.h).
	 */
	".static_call_sites",
	/* Names of numbers in traces. The kernel searches the format of each of its events for them. */
	"_ftrace_eval_map",
	/*
	 * Places in functions where a tracer may hook in. The kernel makes each a no-op, unless it does not know of it:
	 * then it calls a function of the kernel that returns at once. Nobody traces these modules.
	 */
	"__mcount_loc",
};

static bool is_costly(const char *name, size_t room)
{
	for (size_t i = 0; i < ARRAY_LENGTH(costly); i++)
		if (strlen(costly[i]) < room && strcmp(name, costly[i]) == 0)
			return true;
	return false;
}

/* Returns the section header of that number; NULL if the file is too short for it. */
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
