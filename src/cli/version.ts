/** The bundler writes both in (scripts/bundle.mjs). */
declare const VERSION: string;
declare const REVISION: string;

/** The version of this program. */
export const version = VERSION;

/**
 * The version with the revision that was built: `0.9.0 (1a2b3c4)` or `0.9.0 (1a2b3c4-dirty)`. Without the revision if
 * it was built outside a repository.
 */
export const build = REVISION === '' ? VERSION : `${VERSION} (${REVISION})`;
