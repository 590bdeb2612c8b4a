/* The options of a DHCP message. */
#ifndef VS_DHCP_OPTIONS_H
#define VS_DHCP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AT_SNAME 44
#define SNAME_BYTES 64
#define AT_FILE 108
#define FILE_BYTES 128
#define AT_OPTIONS 240

#define OPTION_PAD 0
#define OPTION_MASK 1
#define OPTION_ROUTER 3
#define OPTION_NAMES 6
#define OPTION_HOSTNAME 12
#define OPTION_DOMAIN 15
#define OPTION_MTU 26
#define OPTION_BROADCAST 28
#define OPTION_WANTED 50
#define OPTION_LEASE 51
#define OPTION_OVERLOAD 52
#define OPTION_TYPE 53
#define OPTION_SERVER 54
#define OPTION_PARAMETERS 55
#define OPTION_LARGEST 57
#define OPTION_RENEWAL 58
#define OPTION_REBINDING 59
#define OPTION_CLIENT 61
#define OPTION_CLASSLESS_ROUTES 121
#define OPTION_END 255

#define MAX_OPTION_BYTES 1024

/* An option's value, its parts put together. */
struct option {
	uint8_t data[MAX_OPTION_BYTES];
	size_t size;
};

/* Finds an option in a message of at least AT_OPTIONS bytes. False if the message has none of that code. */
bool option_find(struct option *option, const uint8_t *message, size_t size, uint8_t code);

#endif
