/* What must hold in every run. */
#ifndef FUZZ_CHECK_H
#define FUZZ_CHECK_H

/* Ends the fuzzer, which keeps the input, if `condition` does not hold. `what` says what should. */
#define check(condition, what)                                  \
	do {                                                    \
		if (!(condition))                               \
			check_failed(__FILE__, __LINE__, what); \
	} while (0)

/* From here on a failure ends this process at once, without the fuzzer's work: it is a fork of the fuzzer. */
void check_by_exit(void);

_Noreturn void check_failed(const char *file, int line, const char *what);

#endif
