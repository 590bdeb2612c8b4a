/* The attacks of the hostile init. */
#ifndef HOSTILE_ATTACKS_H
#define HOSTILE_ATTACKS_H

/* What a terminal would obey. */
#define ESCAPES                                          \
	"\x1b]0;owned\x07\x1b[2J\x1b[31mred\r\x1b[A\x9b" \
	"1;1H\b\b\x7f\xc2\x9b"                           \
	"2J\xc2\x85\x0b\x0c\x1b"                         \
	"c"

/* Carries out the attack of that name, if there is one. */
void attack_run(const char *name);
/* Bytes that are no answer to a greeting, and perhaps one that is. */
void attack_greeting(void);
/* A READY with escapes in its words, other numbers, or too many modules; or half of it. */
void attack_ready(void);

#endif
