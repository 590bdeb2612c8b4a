/** C libraries of the host, loaded when a codec needs them. */

import type { LibraryHandle } from 'koffi';
import { isSystemError, messageOf, SandboxError } from '../util/errors.js';

/** How the error reads when a library cannot be loaded. */
interface Missing {
  readonly code: string;
  /** What it is needed for: `unpack bzip2`. */
  readonly purpose: string;
  readonly remedy: string;
}

/** @throws {SandboxError} `missing.code`, when the library cannot be loaded */
export async function loadLibrary(name: string, missing: Missing): Promise<LibraryHandle> {
  const { default: koffi } = await import('koffi');
  try {
    return koffi.load(name);
  } catch (error) {
    if (isSystemError(error)) throw error;
    throw new SandboxError({
      stage: 'image',
      code: missing.code,
      message: `${name}, needed to ${missing.purpose}, cannot be loaded: ${messageOf(error)}`,
      remedy: missing.remedy,
      cause: error,
    });
  }
}

/** The error of a library that packs. */
export function compressorMissing(format: string, packages: string): Missing {
  return {
    code: 'compressor-missing',
    purpose: `pack ${format}`,
    remedy: `install it (${packages}), or use another --compress`,
  };
}
