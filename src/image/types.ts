/** Types of the image builder: its options, and the image that it returns. */

import type { KernelSelection } from '../config/types.js';
import type { KernelSearchPaths } from '../kernel/search-paths.js';
import type { InitrdCompression, Manifest } from './manifest.js';

/** Which image to find or build. */
export interface ImageOptions {
  readonly kernel: KernelSelection;
  /** Names of module sets: files of kmods/ without `.json`. Modules are loaded in the order of the sets. */
  readonly sets: readonly string[];
  /** Path of the static binary that becomes /init. */
  readonly nativeInit: string;
  /** Put the host's static busybox into the initrd, as a shell for the time before the root is mounted. */
  readonly debugShell?: boolean | undefined;
  /** `packed`: boot the bzImage; default: `unpacked`, boot the vmlinux inside, where QEMU can. */
  readonly kernelForm?: 'unpacked' | 'packed' | undefined;
  /** How the initrd is packed; default: `none`, which boots fastest. */
  readonly compression?: InitrdCompression | undefined;
  /** Path of a Node.js to run the common init in the guest; default: none, the common init runs in the launcher. */
  readonly guestNode?: string | undefined;
  /** Directory of the store; default: {@link defaultStoreDirectory}. */
  readonly storeDirectory?: string | undefined;
  /** Directory of the module sets; default: the package's own. */
  readonly setsDirectory?: string | undefined;
  /** Directories to search for kernels; default: those of the distributions. */
  readonly searchPaths?: KernelSearchPaths | undefined;
  /** Receives progress messages for people: one sentence each, without a final full stop. */
  readonly onProgress?: ((message: string) => void) | undefined;
  /** Build even if the store has the image. */
  readonly rebuild?: boolean | undefined;
}

/** Durations of the parts, in milliseconds. Parts overlap. */
export interface ImageTimings {
  /** The whole call. */
  readonly total: number;
  /** Looking the request up in the store. */
  readonly lookup: number;
  /** Choosing the kernel. */
  readonly select?: number;
  /** Reading and unpacking the kernel. */
  readonly kernel?: number;
  /** Reading and unpacking modules. */
  readonly modules?: number;
  /** Packing the initrd, without the modules. */
  readonly initrd?: number;
  /** Writing and publishing the image. */
  readonly store?: number;
}

/** A complete image, ready to boot. */
export interface BootImage {
  /** Hash of its content; the name of its directory in the store. */
  readonly id: string;
  readonly directory: string;
  /** Absolute path of the file to boot: an ELF vmlinux or a bzImage. */
  readonly kernel: string;
  /** Absolute path of the initrd. */
  readonly initrd: string;
  /** Output of `uname -r` in the guest. */
  readonly kernelVersion: string;
  readonly manifest: Manifest;
  /** Which kernel was chosen and why, as a sentence without a final full stop. */
  readonly reason: string;
  /** True if it was built now, false if the store had it. */
  readonly fresh: boolean;
  readonly timings: ImageTimings;
}
