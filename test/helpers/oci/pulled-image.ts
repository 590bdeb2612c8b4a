/** Images that virt-sandbox-image has pulled from a registry of this host. */
import type { TestContext } from 'node:test';
import type { TestImage } from './image.js';
import { type ImageProgram, imageProgram } from './image-program.js';
import { imageIn, startRegistry, type TestRegistry } from './registry.js';
import { tarOf } from './tar.js';

/** Two layers: the upper one removes, changes and adds a file. */
export const LOWER = tarOf(
  { name: 'etc/', type: '5' },
  { name: 'etc/kept', data: 'kept' },
  { name: 'etc/gone', data: 'gone' },
  { name: 'etc/passwd', data: 'root:x:0:0::/root:/bin/sh\n' },
);
export const UPPER = tarOf(
  { name: 'etc/', type: '5' },
  { name: 'etc/.wh.gone' },
  { name: 'etc/passwd', data: 'other' },
  { name: 'srv/new', data: 'new' },
);

/** The program with a store that has the image, under the tag `v1` of the registry. */
export async function pulledImage(
  context: TestContext,
  image: TestImage,
): Promise<[ImageProgram, TestRegistry, name: string]> {
  const [program, registry] = [imageProgram(context), await startRegistry(context)];
  registry.add(image, 'v1');
  const name = imageIn(registry, 'v1');
  await program.out('pull', name);
  return [program, registry, name];
}
