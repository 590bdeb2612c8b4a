/* The attacks of the hostile init. */
#ifndef HOSTILE_ATTACKS_H
#define HOSTILE_ATTACKS_H

/* Carries out the attack of that name, if there is one. */
void attack_run(const char *name);
/* Bytes that are no answer to a greeting, and perhaps one that is. */
void attack_greeting(void);
/* A READY with escapes in its words, other numbers, or too many modules; or half of it. */
void attack_ready(void);

#endif
