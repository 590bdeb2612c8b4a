/** An image that a registry of this host has, and nobody has pulled. */
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { testImage } from './image.js';
import { startRegistry, type TestRegistry } from './registry.js';
import { tarOf } from './tar.js';

/** Its layers. The lower one is more than a socket gives at once, however it is compressed. */
export const LOWER = tarOf({ name: 'etc/', type: '5' }, { name: 'etc/a', data: randomBytes(200_000) });
export const UPPER = tarOf({ name: 'etc/b', data: 'upper' });
export const image = testImage([LOWER, UPPER], { config: { Cmd: ['/bin/x'] } });

/** A registry with the image, under the tag `v1`. */
export async function withImage(context: TestContext): Promise<TestRegistry> {
  const registry = await startRegistry(context);
  registry.add(image, 'v1');
  return registry;
}
