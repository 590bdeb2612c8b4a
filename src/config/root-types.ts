/** What the root of a sandbox is, and how a machine gets it. */
import type { Digest } from '../oci-names/digest.js';
import type { Platform } from '../oci-names/platform.js';
import type { PullPolicy } from '../oci-names/pull-policy.js';
import type { RootImage } from '../oci-names/root-image.js';

/** What the root is. */
export type Root = DirectoryRoot | ImageRoot;

/** A directory of the host. */
export interface DirectoryRoot {
  readonly type: 'directory';
  readonly path: string;
}

/** The file system of an OCI image. Its config says what runs, as whom and where, but for what is said here. */
export interface ImageRoot {
  readonly type: 'image';
  readonly image: RootImage;
  readonly pull: PullPolicy;
  /** That of the image which is meant, whatever its name means by now; undefined: what the name means. */
  readonly manifest: Digest | undefined;
  /** Undefined: that of this host. */
  readonly platform: Platform | undefined;
  /** Where passwords of registries are; undefined: where other tools look for them. */
  readonly authFile: string | undefined;
  /** False: registries may have certificates that nobody vouches for, or no TLS. */
  readonly tlsVerify: boolean;
  /** Replaces the image's entrypoint and its command. */
  readonly entrypoint: string | undefined;
  /** By the image's passwd and group: `user`, `uid`, `user:group`; undefined: the image says so. */
  readonly user: string | undefined;
  /** Publish the ports that the image exposes. */
  readonly publishAll: boolean;
  /** Undefined until the image is in the store, and its config is applied. */
  readonly stored: StoredImage | undefined;
}

/** What an image has become. */
export interface StoredImage {
  /** Of its file system: 64 hexadecimal digits. */
  readonly id: string;
  /** The file system: an EROFS image. */
  readonly path: string;
  /** What its topmost directory has. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Number of the signal that asks the command to end; undefined: that of SIGTERM. */
  readonly stopSignal: number | undefined;
}

/** What serves the root of a machine: QEMU (`9p`), a program of ours (`virtiofs`), or what the kernel and the host have. */
export type RootFs = 'auto' | '9p' | 'virtiofs';

/**
 * What the guest keeps of the root that it has read: nothing (`never`), all (`always`), or what it can without being
 * stale for more than a second (`auto`).
 */
export type RootCache = 'auto' | 'never' | 'always';
