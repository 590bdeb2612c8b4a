/** Sets of capabilities, as a bit for each: capabilities(7). */

export const ALL_CAPABILITIES = 0xffff_ffff_ffff_ffffn;

/**
 * The same in effect, of the user namespace of a container: no kernel has the last one, and only what has the whole set
 * stays in the namespace of the host.
 */
export const ALL_IN_NAMESPACE = ALL_CAPABILITIES >> 1n;
