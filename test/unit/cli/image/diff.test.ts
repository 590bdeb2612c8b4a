/** virt-sandbox-image diff: what it prints of one image, and of two. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { textOf } from '../../../../src/cli/image/diff.js';
import { testImage } from '../../../helpers/oci/image.js';
import { type ImageProgram, imageProgram } from '../../../helpers/oci/image-program.js';
import { imageIn, startRegistry, type TestRegistry } from '../../../helpers/oci/registry.js';
import { tarOf } from '../../../helpers/oci/tar.js';

const LOWER = tarOf(
  { name: 'etc/', type: '5' },
  { name: 'etc/kept', data: 'kept' },
  { name: 'etc/gone', data: 'gone' },
  { name: 'etc/passwd', data: 'root:x:0:0::/root:/bin/sh\n' },
);
const UPPER = tarOf(
  { name: 'etc/', type: '5' },
  { name: 'etc/.wh.gone' },
  { name: 'etc/passwd', data: 'other' },
  { name: 'srv/new', data: 'new' },
);
const image = testImage([LOWER, UPPER]);
const SHORT = image.manifest.digest.slice('sha256:'.length, 'sha256:'.length + 12);

async function pulled(context: TestContext): Promise<[ImageProgram, TestRegistry, name: string]> {
  const [program, registry] = [imageProgram(context), await startRegistry(context)];
  registry.add(image, 'v1');
  const name = imageIn(registry, 'v1');
  await program.out('pull', name);
  return [program, registry, name];
}

describe('virt-sandbox-image diff', () => {
  it('of one image says what its top layer changes', async (context) => {
    const [program, , name] = await pulled(context);
    assert.equal(await program.out('diff', name), 'C /etc\nD /etc/gone\nC /etc/passwd\nA /srv\nA /srv/new\n');
    assert.deepEqual(await program.json('diff', name), {
      added: ['/srv', '/srv/new'],
      changed: ['/etc', '/etc/passwd'],
      deleted: ['/etc/gone'],
    });
  });

  it('of two says where their file systems differ', async (context) => {
    const [program, registry, name] = await pulled(context);
    const names = { name: 'a\u001b[31mred\nline', data: 'x' };
    registry.add(testImage([LOWER, tarOf({ name: 'etc/kept', data: 'KEPT' }, names)]), 'v2');
    const other = imageIn(registry, 'v2');
    await program.out('pull', other);
    const found = await program.run(['diff', name, other]);
    assert.deepEqual([found.code, found.stderr], [1, '']);
    assert.equal(
      found.out,
      'A /a\\u{1b}[31mred\\nline\nC /etc\nA /etc/gone\nC /etc/kept\nC /etc/passwd\nD /srv\nD /srv/new\n',
    );
    assert.equal(await program.out('diff', name, SHORT), '');
  });
});

describe('a path that diff shows', () => {
  it('has its bytes when they are no UTF-8', () => {
    assert.equal(textOf('/\xc3\xbc'), '/ü');
    assert.equal(textOf('/\xc3\xbc\xff'), '/\\xc3\\xbc\\xff');
  });
});
