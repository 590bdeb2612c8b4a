/*
 * Trees of files as a stream: what pack writes and unpack reads. docs/protocol.md has the format, and says what each
 * record is followed by.
 */
#ifndef VS_TREE_H
#define VS_TREE_H

#define TREE_DIRECTORY 1
#define TREE_LEAVE 2
#define TREE_FILE 3
#define TREE_EXTENT 4
#define TREE_FILE_END 5
#define TREE_LINK 6
#define TREE_FIFO 7
#define TREE_SKIPPED 8
#define TREE_END 9
#define TREE_SHARED_FILE 10
#define TREE_HARD_LINK 11

/* Why an entry is skipped. */
#define TREE_REASON_SOCKET 1
#define TREE_REASON_DEVICE 2
#define TREE_REASON_VANISHED 3

/* What unpack reports: the file system does not keep it. */
#define TREE_LOST_MODE 1
#define TREE_LOST_TIME 2

/* Of TREE_FILE_END: less could be read than its size, or it became shorter; the rest is a hole. */
#define TREE_SHRANK 1

#define TREE_MODE_BITS 07777
#define TREE_MAX_NAME_BYTES 255
#define TREE_MAX_TARGET_BYTES 4095
#define TREE_MAX_EXTENT_BYTES 1048576
#define TREE_MAX_DEPTH 4096
/* Of files with several names: of one path in the tree, of all together, and how many there are. */
#define TREE_MAX_SHARED_PATH_BYTES 4095
#define TREE_MAX_SHARED_BYTES 16777216
#define TREE_MAX_SHARED_FILES 65536

#endif
