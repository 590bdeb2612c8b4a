/**
 * The manifest of an image: manifest.json. It depends only on the content of the image, not on paths, times or users,
 * so the same image has the same manifest wherever it is built.
 */

import { createHash } from 'node:crypto';
import { PACK_FORMATS, type PackFormat } from '../compression/formats.js';
import type { FeatureState } from '../kmods/features.js';

/** Increase it when the same inputs make another image. Images of another format are not used. */
export const IMAGE_FORMAT = 3;

export const MANIFEST_NAME = 'manifest.json';
export const INITRD_NAME = 'initrd';

/** The largest manifest and the largest file of an image that are read, in bytes: Node.js reads no larger buffers. */
export const MOST_MANIFEST = 4 << 20;
export const MOST_IMAGE_FILE = 2 ** 31 - 1;

export type InitrdCompression = 'none' | PackFormat;

/** How an initrd can be packed. */
export const INITRD_COMPRESSIONS: readonly InitrdCompression[] = ['none', ...PACK_FORMATS];

/** Where the common init runs: in the launcher on the host, or in the guest. */
export const COMMON_INITS = ['host', 'guest'] as const;
export type CommonInit = (typeof COMMON_INITS)[number];

/** Size of a file in bytes, and the SHA-256 of its content in hexadecimal digits. */
export interface Digest {
  readonly size: number;
  readonly sha256: string;
}

export interface Manifest {
  readonly format: number;
  /** Hash of all other fields: see {@link imageIdOf}. */
  readonly id: string;
  readonly kernel: {
    readonly version: string;
    /** The file that is booted: the ELF file inside the kernel (`vmlinux`), or the installed file (`kernel`). */
    readonly file: 'vmlinux' | 'kernel';
    /** Why that file, as part of a sentence. */
    readonly reason: string;
    /** The installed kernel file. */
    readonly source: Digest & { readonly format: 'bzimage' | 'elf' };
  };
  /** The native init. */
  readonly init: Digest;
  readonly sets: readonly string[];
  readonly features: readonly FeatureState[];
  /** Modules in load order; `file` is the path in the initrd. */
  readonly modules: readonly (Digest & { readonly name: string; readonly file: string })[];
  /** How the initrd is packed. */
  readonly compression: InitrdCompression;
  /** Where the common init runs. */
  readonly commonInit: CommonInit;
  /**
   * Always empty: kernel arguments come from the profile, and a snapshot's record has those that it was booted with.
   */
  readonly kernelArguments: readonly string[];
  /** The files in the image's directory, except the manifest. */
  readonly files: readonly (Digest & { readonly name: string })[];
}

export function digestOf(data: Buffer): Digest {
  return { size: data.length, sha256: sha256(data) };
}

export function sha256(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex');
}

/** True for a valid image id, which is also the name of the image's directory in a store. */
export function isImageId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

/** The image's id: the first 128 bits of the hash of its manifest, which holds the hash of every file. */
function imageIdOf(manifest: Omit<Manifest, 'id'>): string {
  return sha256(JSON.stringify(manifest)).slice(0, 32);
}

/** Adds the id to a manifest. The id depends on the order of the fields, so the builder's order is kept. */
export function sealManifest(content: Omit<Manifest, 'id'>): Manifest {
  return { id: imageIdOf(content), ...content };
}

/** True if the manifest is unchanged since it was sealed. */
export function isSealed({ id, ...content }: Manifest): boolean {
  return imageIdOf(content) === id;
}

/** The bytes of manifest.json. */
export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`;
}
