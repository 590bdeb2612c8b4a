/** Compression of the initrds that are built here, and whether a kernel can unpack it. */

import { FORMATS, pack } from '../../compression/formats.js';
import type { BuildConfig } from '../../kernel/build-config.js';
import { SandboxError } from '../../util/errors.js';
import { INITRD_COMPRESSIONS, type InitrdCompression } from '../manifest.js';

/**
 * Checks that the kernel can unpack an initrd.
 *
 * @param config How the kernel was built; undefined if unknown.
 * @throws {SandboxError} `compression-unsupported`, `compression-unchecked`.
 */
export function checkCompression(
  compression: InitrdCompression,
  config: BuildConfig | undefined,
  version: string,
): void {
  if (compression === 'none') return;
  const option = FORMATS[compression].initrdOption;
  if (config === undefined) {
    throw new SandboxError({
      stage: 'image',
      code: 'compression-unchecked',
      message: `cannot tell whether kernel ${version} can unpack ${compression} (${option}): no configuration is beside the kernel, in its module tree, or inside it`,
      remedy: 'use --compress none, which every kernel can read',
    });
  }
  if (config.hasBuiltIn(option)) return;
  const able = INITRD_COMPRESSIONS.filter((name) => name === 'none' || config.hasBuiltIn(FORMATS[name].initrdOption));
  throw new SandboxError({
    stage: 'image',
    code: 'compression-unsupported',
    message: `kernel ${version} cannot unpack an initrd packed with ${compression}: ${config.source} has no ${option}=y`,
    remedy: `use --compress with ${able.join(', ')}`,
  });
}

/** Packs an initrd. Errors: those of {@link pack}. */
export async function compress(archive: Buffer, compression: InitrdCompression): Promise<Buffer> {
  return compression === 'none' ? archive : pack(archive, compression);
}
