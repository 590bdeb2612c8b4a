/* seccomp(2)'s number of the architecture that this program is built for. */
#ifndef VS_ARCHITECTURE_H
#define VS_ARCHITECTURE_H

#include <linux/audit.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "the architecture's number for seccomp(2) is needed"
#endif

/* Of x32, whose system calls are x86_64's with this bit. Other architectures have no such numbers. */
#define X32_FIRST 0x40000000U

#endif
