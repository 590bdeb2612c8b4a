/** Digests: the names of blobs, and the check that a blob is what its name says. */
import { createHash, type Hash } from 'node:crypto';
import { imageError, quoted } from './errors.js';

/** `sha256:HEX` or `sha512:HEX`, in small letters. Only {@link parseDigest} and {@link digestOf} make one. */
export type Digest = `${Algorithm}:${string}`;

type Algorithm = 'sha256' | 'sha512';

/** Hexadecimal digits by algorithm: OCI image specification, descriptor.md. */
const DIGITS: Readonly<Record<Algorithm, number>> = { sha256: 64, sha512: 128 };

/** True for the digest of an algorithm that is known here. */
export function isDigest(text: string): text is Digest {
  const [algorithm = '', digits = '', ...more] = text.split(':');
  const length = Object.hasOwn(DIGITS, algorithm) ? DIGITS[algorithm as Algorithm] : undefined;
  return more.length === 0 && digits.length === length && /^[0-9a-f]+$/.test(digits);
}

/** @throws {SandboxError} `digest-invalid` */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw imageError(
    'digest-invalid',
    `${quoted(text)} is no digest`,
    'a digest is sha256: and 64 hexadecimal digits in small letters, or sha512: and 128',
  );
}

/** The algorithm of a digest, and its hexadecimal digits. */
export function digestParts(digest: Digest): { readonly algorithm: Algorithm; readonly digits: string } {
  const at = digest.indexOf(':');
  return { algorithm: digest.slice(0, at) as Algorithm, digits: digest.slice(at + 1) };
}

/** The digest of data that are all there. */
export function digestOf(data: Uint8Array, algorithm: Algorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(data).digest('hex')}`;
}

/** Calculates the digest of data that come in pieces, to compare it with the one that is expected. */
export class DigestCheck {
  readonly #hash: Hash;

  constructor(readonly expected: Digest) {
    this.#hash = createHash(digestParts(expected).algorithm);
  }

  update(piece: Uint8Array): void {
    this.#hash.update(piece);
  }

  /** Whether the pieces are what was expected. Call it once, at their end. */
  finish(): { readonly matches: boolean; readonly actual: Digest } {
    const actual: Digest = `${digestParts(this.expected).algorithm}:${this.#hash.digest('hex')}`;
    return { matches: actual === this.expected, actual };
  }
}
