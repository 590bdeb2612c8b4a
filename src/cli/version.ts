/** Both are written in by the bundler. */
declare const VERSION: string;
declare const REVISION: string;

/** The version of this program. */
export const version = VERSION;

/** With the revision that it was built from, as `0.9.0 (1a2b3c4)` or `0.9.0 (1a2b3c4-dirty)`, where there was a repository. */
export const build = REVISION === '' ? VERSION : `${VERSION} (${REVISION})`;
