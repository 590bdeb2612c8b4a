/* The platform that this process runs on. Code that differs between a machine and a container asks here. */
#ifndef VS_PLATFORM_H
#define VS_PLATFORM_H

enum platform {
	PLATFORM_MACHINE,
	PLATFORM_CONTAINER,
	/* An ordinary process that plays process 1; see TEST_BUILD. */
	PLATFORM_TEST,
	/* A process that serves root shells beside process 1; see shells/. */
	PLATFORM_SESSION,
};

enum platform platform(void);
void platform_set(enum platform value);

#endif
