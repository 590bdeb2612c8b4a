/** The version of this program, which the bundler writes in. */
declare const VERSION: string;
export const version = VERSION;
