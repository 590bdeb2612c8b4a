/** Sets of capabilities, as a bit for each: capabilities(7). */

export const ALL_CAPABILITIES = 0xffff_ffff_ffff_ffffn;
