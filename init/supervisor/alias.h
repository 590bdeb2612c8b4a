/*
 * The other name of a state directory: a link to DIRECTORY, alone in a directory of its own. DIRECTORY/alias says where
 * it is.
 */
#ifndef VS_ALIAS_H
#define VS_ALIAS_H

/*
 * Removes the other name, if there is one: src/sandbox/state/alias.ts makes it. `directory` is the path of the state
 * directory, `state` is of state_open(). Call it before the directory gets another path, by which nobody would find the
 * other name again.
 */
void alias_remove(const char *directory, int state);

/*
 * Has programs that clean up /tmp by age leave the other name alone as long as this process runs: systemd-tmpfiles(8)
 * passes over a directory that somebody has locked.
 */
void alias_keep(const char *directory);

#endif
