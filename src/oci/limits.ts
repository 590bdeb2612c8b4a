/** Bounds of what registries and images may hold. What exceeds one is refused before it is stored. */

/** Bytes of a manifest, an index, a config, or any other answer that is no layer. As registries bound manifests. */
export const MOST_DOCUMENT_BYTES = 4 << 20;

/** Layers of one image. Docker allows 127. */
export const MOST_LAYERS = 512;

/** Manifests that an index lists, and how deep one index may stand in another. */
export const MOST_INDEX_ENTRIES = 1024;
export const MOST_INDEX_DEPTH = 3;

/** Bytes of one layer as it is in the registry. */
export const MOST_BLOB_BYTES = 64 * 2 ** 30;

/** Bytes that all layers of an image may unpack to, holes included. */
export const MOST_UNPACKED_BYTES = 128 * 2 ** 30;

/**
 * Files, directories and other entries of all layers of an image, and directories that are made since no entry names
 * them. Each takes about 80 bytes of memory and its name.
 */
export const MOST_ENTRIES = 2_000_000;

/** Bytes of all names in an image, each without its directory. */
export const MOST_NAME_BYTES = 64 << 20;

/** Bytes of the whole paths of all that an image has: 100,000 files of a distribution have 6 MB. */
export const MOST_PATH_BYTES_IN_ALL = 256 << 20;

/** Parts of paths that are gone through to find the directory of an entry, over symbolic links, and in all. */
export const MOST_STEPS = 4096;
export const MOST_STEPS_IN_ALL = 50_000_000;

/** Device nodes of an image. A full /dev of the nineties has 1,500. */
export const MOST_DEVICES = 4096;

/** Bytes of one path, as PATH_MAX, and of one of its parts, as NAME_MAX. */
export const MOST_PATH_BYTES = 4095;
export const MOST_PART_BYTES = 255;

/** Bytes of the extended attributes of one file. */
export const MOST_XATTR_BYTES = 128 << 10;

/** Bytes of the names of a file's attributes, each with a zero: listxattr(2) tells no more, and so copies of it fail. */
export const MOST_XATTR_LIST_BYTES = 65_536;

/** Bytes of one attribute's name, as XATTR_NAME_MAX, and of its value. Linux allows one byte more, EROFS does not. */
export const MOST_XATTR_NAME_BYTES = 255;
export const MOST_XATTR_VALUE_BYTES = 65_535;

/** Bytes of memory for the attributes of all entries of an image. Capabilities of a hundred programs take 10 KiB. */
export const MOST_XATTR_MEMORY = 32 << 20;
