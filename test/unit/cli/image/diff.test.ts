/** virt-sandbox-image diff: what it prints of one image, and of two. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { textOf } from '../../../../src/cli/image/diff.js';
import { testImage } from '../../../helpers/oci/image.js';
import { LOWER, pulledImage, UPPER } from '../../../helpers/oci/pulled-image.js';
import { imageIn } from '../../../helpers/oci/registry.js';
import { tarOf } from '../../../helpers/oci/tar.js';

const image = testImage([LOWER, UPPER]);
const SHORT = image.manifest.digest.slice('sha256:'.length, 'sha256:'.length + 12);

const pulled = (context: TestContext) => pulledImage(context, image);

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
