/**
 * What an image says of itself: manifest.json. It depends on what is in the image and on nothing else — no path, no time, no
 * user — so that the same image has the same manifest wherever it was built.
 */

import { createHash } from 'node:crypto';
import type { FeatureState } from '../kmods/features.js';

/** Changes whenever the same inputs make another image; images of another format are not used. */
export const IMAGE_FORMAT = 3;

export const MANIFEST_NAME = 'manifest.json';
export const INITRD_NAME = 'initrd';

/** How an initrd may be packed. */
export const INITRD_COMPRESSIONS = ['none', 'gzip', 'xz', 'zstd', 'lz4'] as const;
export type InitrdCompression = (typeof INITRD_COMPRESSIONS)[number];

/** Where the common init runs: in the launcher on the host, or in the guest. */
export const COMMON_INITS = ['host', 'guest'] as const;
export type CommonInit = (typeof COMMON_INITS)[number];

/** Content of a file: its size in bytes, and its SHA-256 in hexadecimal digits. */
export interface Digest {
  readonly size: number;
  readonly sha256: string;
}

export interface Manifest {
  readonly format: number;
  /** Hash of all the rest: see {@link imageIdOf}. */
  readonly id: string;
  readonly kernel: {
    readonly version: string;
    /** Which of the two is booted: the ELF file inside, or the kernel file as it was installed. */
    readonly file: 'vmlinux' | 'kernel';
    /** Why that one, as part of a sentence. */
    readonly reason: string;
    /** The installed file. */
    readonly source: Digest & { readonly format: 'bzimage' | 'elf' };
  };
  /** The native init. */
  readonly init: Digest;
  readonly sets: readonly string[];
  readonly features: readonly FeatureState[];
  /** In load order; `file` is the path in the initrd. */
  readonly modules: readonly (Digest & { readonly name: string; readonly file: string })[];
  /** How the initrd is packed. */
  readonly compression: InitrdCompression;
  /** Where the common init runs. */
  readonly commonInit: CommonInit;
  /** None: profiles have them, and a saved machine says what it was booted with (warm.ts). */
  readonly kernelArguments: readonly string[];
  /** The image's own files. */
  readonly files: readonly (Digest & { readonly name: string })[];
}

export function digestOf(data: Buffer): Digest {
  return { size: data.length, sha256: sha256(data) };
}

export function sha256(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex');
}

/** True for what can be an image's id, which is also the name of its directory in a store. */
export function isImageId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

/** The image's name: the first 128 bits of the hash of everything in its manifest, and so of every byte in it. */
function imageIdOf(manifest: Omit<Manifest, 'id'>): string {
  return sha256(JSON.stringify(manifest)).slice(0, 32);
}

/** A manifest with its id. Fields keep the order that the builder gives them: the id depends on it. */
export function sealManifest(content: Omit<Manifest, 'id'>): Manifest {
  return { id: imageIdOf(content), ...content };
}

/** True when nothing in the manifest was changed after it was sealed. */
export function isSealed({ id, ...content }: Manifest): boolean {
  return imageIdOf(content) === id;
}

/** The bytes of manifest.json. */
export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`;
}
