#include "builtins/attributes.h"

#include <errno.h>

bool attributes_are_refused(int error)
{
	return error == EPERM || error == EOPNOTSUPP || error == ENOSYS;
}
