#include "harness/make_frame.h"

#include "harness/input.h"
#include "transport/protocol.h"

#include <stdbool.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

/* The fields of each call, as in fields_of(). */
static const struct shape {
	uint32_t proc;
	const char *fields;
} shapes[] = {
	{VS_PROC_MOUNT, "sssus"},       {VS_PROC_MKDIR, "su"},      {VS_PROC_SYMLINK, "ss"},
	{VS_PROC_WRITE_FILE, "suub"},   {VS_PROC_SWITCH_ROOT, "s"}, {VS_PROC_LINK_UP, "s"},
	{VS_PROC_ADDRESS, "ssus"},      {VS_PROC_ROUTE, "ssus"},    {VS_PROC_HOSTNAME, "s"},
	{VS_PROC_SET_CLOCK, "qu"},      {VS_PROC_ADD_ENTROPY, "b"}, {VS_PROC_SPAWN, "llsuunquuuu"},
	{VS_PROC_SIGNAL, "uu"},         {VS_PROC_RESIZE, "uuu"},    {VS_PROC_SYNC, ""},
	{VS_PROC_UNMOUNT, "su"},        {VS_PROC_POWER_OFF, ""},    {VS_PROC_LOAD_MODULE, "ss"},
	{VS_PROC_RUN, "llbu"},          {VS_PROC_READ_FILE, "su"},  {VS_PROC_LIST_DIR, "s"},
	{VS_PROC_STAT, "su"},           {VS_PROC_CHOWN, "suu"},     {VS_PROC_CHMOD, "su"},
	{VS_PROC_MKNOD, "suuu"},        {VS_PROC_READ_LINK, "s"},   {VS_PROC_CONFIGURE, "s"},
	{VS_PROC_SESSIONS, "s"},        {VS_PROC_TERMINAL, "sll"},  {VS_PROC_CLEAR_MEMORY, "u"},
	{VS_PROC_USER_NAMESPACE, "un"}, {VS_PROC_MAP_MOUNT, "ssu"}, {VS_PROC_KEEP, "s"},
};

/* The tree and the program are those that target `calls` has. */
static const char *const texts[] = {
	"",
	"/",
	"/a",
	"/a/b",
	"/a/b/c/d",
	"/a/file",
	"/link",
	"/new",
	"/new/a",
	"/bin/program",
	"program",
	"/proc",
	"/proc/self/fd",
	"/proc/self/mountinfo",
	"/dev",
	"/dev/null",
	"/tmp",
	"..",
	".",
	"tmpfs",
	"proc",
	"none",
	"sysfs",
	"devpts",
	"size=1m",
	"mode=755",
	"lo",
	"eth0",
	"dummy0",
	"127.0.0.1",
	"10.0.0.1",
	"10.0.0.255",
	"::1",
	"fd12::1",
	"fd12::",
	"0.0.0.0",
	"sandbox",
	"PATH=/bin",
	"PATH=",
	"PATH=/a::/bin",
	"exit 3",
	"cat",
	"write 5000",
	"sleep",
	"daemon",
	"kill 9",
	"fork",
	"TERM=linux",
	"org.virt-sandbox.shell.0",
	"/dev/ttyS0",
	"#!/bin/program\n",
	"debug=1",
};

static const uint32_t numbers[] = {
	0,     1,      2,      3,          4,          5,          8,          9,          15,   17,
	19,    20,     24,     32,         64,         80,         100,        128,        1000, 4095,
	4096,  8192,   16384,  65535,      65536,      131072,     262144,     524288,     0755, 0644,
	04755, 010600, 020600, 0x70000000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
};

static uint32_t random_state;

void random_start(unsigned seed)
{
	random_state = seed * 2654435761U | 1;
}

uint32_t random_below(uint32_t limit)
{
	return input_random(&random_state) % limit;
}

uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

void set32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

void add(struct output *to, const void *data, size_t size)
{
	if (size > sizeof(to->bytes) - to->size)
		size = sizeof(to->bytes) - to->size;
	memcpy(to->bytes + to->size, data, size);
	to->size += size;
}

void add32(struct output *to, uint32_t value)
{
	uint8_t bytes[4];

	set32(bytes, value);
	add(to, bytes, sizeof(bytes));
}

uint32_t random_number(void)
{
	return random_below(8) == 0 ? input_random(&random_state) : numbers[random_below(COUNT(numbers))];
}

/* A text of the list, mutated now and then, or one as long as a path may be. */
static void add_text(struct output *to)
{
	static uint8_t text[5000];
	const char *word = texts[random_below(COUNT(texts))];
	size_t size = strlen(word);

	memcpy(text, word, size);
	if (random_below(6) == 0) {
		size = LLVMFuzzerMutate(text, size, 64);
	} else if (random_below(40) == 0) {
		size = VS_MAX_PATH_BYTES - 1 + random_below(3);
		memset(text, 'p', size);
	}
	add32(to, (uint32_t)size);
	add(to, text, size);
}

static void add_list(struct output *to, char kind)
{
	uint32_t count = random_below(5);

	add32(to, kind == 'n' ? 3 * count : count);
	for (uint32_t i = 0; i < count; i++) {
		if (kind == 'l') {
			add_text(to);
			continue;
		}
		for (int part = 0; part < 3; part++)
			add32(to, random_number());
	}
}

void add_field(struct output *to, char kind)
{
	switch (kind) {
	case 's':
	case 'b':
		add_text(to);
		break;
	case 'u':
		add32(to, random_number());
		break;
	case 'q':
		add32(to, random_number());
		add32(to, random_number());
		break;
	default:
		add_list(to, kind);
	}
}

/* The words of a program that exists, or now and then of one whose name fills a path; that is looked for in PATH. */
static void add_program(struct output *to)
{
	static const char usual[] = "/bin/program";
	static uint8_t long_name[VS_MAX_PATH_BYTES + 1];
	bool is_long = random_below(4) == 0;
	size_t size = is_long ? sizeof(long_name) - random_below(8) : sizeof(usual) - 1;
	uint32_t count = 1 + random_below(3);

	memset(long_name, 'p', sizeof(long_name));
	add32(to, count);
	add32(to, (uint32_t)size);
	add(to, is_long ? long_name : (const uint8_t *)usual, size);
	for (uint32_t i = 1; i < count; i++)
		add_text(to);
}

/* The variables of a program, with directories to look for it in. */
static void add_environment(struct output *to)
{
	static const char *const paths[] = {"PATH=/bin", "PATH=/a::/bin", "PATH="};
	const char *path = paths[random_below(COUNT(paths))];
	uint32_t more = random_below(2);

	add32(to, 1 + more);
	add32(to, (uint32_t)strlen(path));
	add(to, path, strlen(path));
	if (more > 0)
		add_text(to);
}

/* Processes have the numbers from 1 on. */
static uint32_t random_process(void)
{
	return random_below(16) == 0 ? random_number() : 1 + random_below(3);
}

static void add_header(struct output *to, uint32_t proc, uint32_t type, uint32_t status, uint32_t serial)
{
	add32(to, 0);
	add32(to, proc);
	add32(to, type);
	add32(to, status);
	add32(to, serial);
}

static void add_call(struct output *to)
{
	const struct shape *shape = &shapes[random_below(COUNT(shapes))];
	/* Behind a call that has failed, one without RECOVER is skipped. */
	uint32_t flags = random_below(8) == 0 ? random_number() : VS_CALL_RECOVER;

	add_header(to, shape->proc, VS_TYPE_CALL, flags, random_below(256));
	for (const char *field = shape->fields; *field != '\0'; field++) {
		bool is_first = field == shape->fields;
		bool is_environment = !is_first && *field == 'l' && field[-1] == 'l';

		if (is_first && *field == 'l' && random_below(2) == 0)
			add_program(to);
		else if (is_environment && random_below(2) == 0)
			add_environment(to);
		else if (is_first && (shape->proc == VS_PROC_SIGNAL || shape->proc == VS_PROC_RESIZE))
			add32(to, random_process());
		else
			add_field(to, *field);
	}
}

static void add_stdin(struct output *to)
{
	uint32_t size = random_below(16) == 0 ? random_below(20000) : random_below(64);

	add_header(to, VS_PROC_STDIN, VS_TYPE_DATA, 0, random_process());
	for (uint32_t i = 0; i < size; i++)
		add(to, (uint8_t[]){(uint8_t)input_random(&random_state)}, 1);
}

static void add_acknowledgement(struct output *to)
{
	add_header(to, random_below(2) == 0 ? VS_PROC_STDOUT : VS_PROC_STDERR, VS_TYPE_REPLY, 0, random_process());
	add32(to, random_below(64));
}

void add_frame(struct output *to)
{
	size_t start = to->size;
	uint32_t kind = random_below(32);

	if (kind == 0)
		add_acknowledgement(to);
	else if (kind <= 4)
		add_stdin(to);
	else
		add_call(to);
	if (to->size >= start + 4)
		set32(to->bytes + start, (uint32_t)(to->size - start));
}

const char *fields_of(uint32_t proc)
{
	for (size_t i = 0; i < COUNT(shapes); i++) {
		if (shapes[i].proc == proc)
			return shapes[i].fields;
	}
	return "";
}
