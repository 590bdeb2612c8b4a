/* Where unpack makes a tree, as cp(1) has it. */
#ifndef VS_PLACE_H
#define VS_PLACE_H

#include <stdbool.h>

struct place {
	/* The directory in which the tree will be, and its path for reports. */
	int directory;
	const char *path;
	/* Of the tree in it; "." if the directory itself becomes the tree. */
	const char *name;
	/* The tree has to be a directory. */
	bool is_directory;
};

/*
 * Finds it: in PATH as NAME if that is a directory, else PATH. With an empty NAME, a directory at PATH becomes the tree.
 * It ends the program if there is no such place.
 */
struct place place_find(char *path, char *name);

#endif
