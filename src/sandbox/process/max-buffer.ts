/** How much output is kept for a program that does not take it piece by piece. */

/** The default of `maxBuffer`, in bytes. */
export const USUAL_BYTES = 64 << 20;
