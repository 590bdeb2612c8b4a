/** Asks registries of tests for images. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { RegistryOptions } from '../../../src/oci/registry/options.js';
import { openRegistry } from '../../../src/oci/registry/registry.js';
import type { ImageSource } from '../../../src/oci/source.js';
import { parseReference } from '../../../src/oci-names/reference.js';
import { scratchDirectory } from '../scratch.js';
import { testImage } from './image.js';
import { IMPATIENT, imageIn, startRegistry, type TestRegistry } from './registry.js';
import { tarOf } from './tar.js';

export const IMAGE = testImage([tarOf({ name: 'file', data: 'content' })]);

/** The user `me` with the password `secret`, in an auth file. */
export const ME = { auth: Buffer.from('me:secret').toString('base64') };

/** An image of a registry, for a user without a home. */
export function openImage(
  context: TestContext,
  registry: TestRegistry,
  tag = 'v1',
  options: RegistryOptions = {},
): ImageSource {
  const environment = { HOME: scratchDirectory(context), PATH: process.env['PATH'] };
  const source = openRegistry(parseReference(imageIn(registry, tag)), { patience: IMPATIENT, environment, ...options });
  context.after(() => source.close());
  return source;
}

/** A registry with {@link IMAGE} as `v1`. */
export async function registryWithImage(context: TestContext): Promise<TestRegistry> {
  const registry = await startRegistry(context);
  registry.add(IMAGE, 'v1');
  return registry;
}

/** An auth file for a registry. */
export function authFile(context: TestContext, registry: TestRegistry, entry: object): string {
  const path = join(scratchDirectory(context), 'auth.json');
  writeFileSync(path, JSON.stringify({ auths: { [registry.host]: entry } }));
  return path;
}
