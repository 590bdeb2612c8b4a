/** Exit statuses of the supervisor when it removes a state directory: `enum removal` in init/supervisor/aside.h. */

/** It is gone. */
export const REMOVED = 0;

/** Its owner lives. */
export const REMOVAL_REFUSED = 1;

/** Its path is free. A process in the background goes on with the removal. */
export const REMOVAL_LASTS = 3;

/** Its path is free. What is left of it beside that path cannot be removed. */
export const REMOVAL_STUCK = 4;
