#include "reader.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* mount(2) wants it. It opens no file: that would be CAP_DAC_OVERRIDE or CAP_DAC_READ_SEARCH. capabilities(7) */
#define KEPT (1U << CAP_SYS_ADMIN)

int reader_become(const struct arguments *options)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{.effective = KEPT, .permitted = KEPT}};

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setgroups(options->group_count, options->groups) != 0 ||
	    setresgid(options->gid, options->gid, options->gid) != 0 ||
	    setresuid(options->uid, options->uid, options->uid) != 0)
		return -1;
	return syscall(SYS_capset, &header, data) == 0 ? 0 : -1;
}
