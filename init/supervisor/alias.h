/*
 * The other name of a state directory: a link to DIRECTORY, alone in a directory of its own. DIRECTORY/alias says where
 * it is.
 */
#ifndef VS_ALIAS_H
#define VS_ALIAS_H

/*
 * Removes the other name, if there is one: src/sandbox/state/alias.ts makes it. `directory` is the path of the state
 * directory, `at` is where it lies now, which differs once it was moved out of the way.
 */
void alias_remove(const char *at, const char *directory);

#endif
