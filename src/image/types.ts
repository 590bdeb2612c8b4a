/**
 * What is asked of the image builder, and what it answers.
 */

import type { KernelSelection } from '../config/types.js';
import type { KernelSearchPaths } from '../kernel/search-paths.js';
import type { InitrdCompression, Manifest } from './manifest.js';

/** What image is wanted. */
export interface ImageOptions {
  readonly kernel: KernelSelection;
  /** Names of module sets: files of kmods/ without their ending. Their order is the order in which modules are loaded. */
  readonly sets: readonly string[];
  /** Path of the static binary that becomes /init. */
  readonly nativeInit: string;
  /** Put the host's static busybox into the initrd, as a shell for a time when there is no root. */
  readonly debugShell?: boolean;
  /** `packed`: the bzImage as it is; default: `unpacked`, the kernel inside, where QEMU can boot it. */
  readonly kernelForm?: 'unpacked' | 'packed' | undefined;
  /** How the initrd is packed; default: not at all, which boots fastest. */
  readonly compression?: InitrdCompression;
  /** Path of a Node.js that runs the common init in the guest; default: the launcher drives it, and there is none in the guest. */
  readonly guestNode?: string | undefined;
  /** Where images are kept; default: {@link defaultStoreDirectory}. */
  readonly storeDirectory?: string;
  /** Where module sets are; default: the package's own. */
  readonly setsDirectory?: string;
  /** Where kernels are looked for; default: the places where distributions put them. */
  readonly searchPaths?: KernelSearchPaths;
  /** Told what is being done, for a person; one sentence without a final full stop. */
  readonly onProgress?: (message: string) => void;
  /** Build even when the store has the image. */
  readonly rebuild?: boolean;
}

/** How long the parts took, in milliseconds. Parts overlap. */
export interface ImageTimings {
  /** From the call to the answer. */
  readonly total: number;
  /** Asking the store. */
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

/** An image that is in the store, whole, and can be booted. */
export interface BootImage {
  /** Hash of what is in it; the name of its directory. */
  readonly id: string;
  readonly directory: string;
  /** Absolute path of the file to boot: an ELF vmlinux or a bzImage. */
  readonly kernel: string;
  /** Absolute path. */
  readonly initrd: string;
  /** What `uname -r` says inside. */
  readonly kernelVersion: string;
  readonly manifest: Manifest;
  /** Which kernel and why, as a sentence without a final full stop. */
  readonly reason: string;
  /** True when it was built now, false when it was found. */
  readonly fresh: boolean;
  readonly timings: ImageTimings;
}
