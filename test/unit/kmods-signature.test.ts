import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { forgetInputs } from '../../src/kernel/inputs.js';
import { closureOf } from '../../src/kmods/closure.js';
import { readModules } from '../../src/kmods/read.js';
import { withoutSignature } from '../../src/kmods/signature.js';
import { readModuleTree } from '../../src/kmods/tree.js';
import { DEBIAN_KERNEL, unlessInstalled } from '../helpers/scratch.js';

const MARK = '~Module signature appended~\n';

/** A module of these bytes with a signature of so many. */
function signed(body: string, size: number, told = size): Buffer {
  const trailer = Buffer.alloc(12);
  trailer.writeUInt32BE(told, 8);
  return Buffer.concat([Buffer.from(body), Buffer.alloc(size, 1), trailer, Buffer.from(MARK)]);
}

describe("a module's signature", () => {
  it('is taken off, and nothing else', () => {
    assert.equal(withoutSignature(signed('module', 300)).toString(), 'module');
    assert.equal(withoutSignature(Buffer.from('module')).toString(), 'module');
  });

  it('is left where its size cannot be', () => {
    for (const odd of [signed('module', 10, 17), signed('module', 10, 2 ** 32 - 1), Buffer.from(MARK)])
      assert.equal(withoutSignature(odd), odd);
  });

  it('is behind the last section of a module of Debian', { skip: unlessInstalled(DEBIAN_KERNEL) }, async () => {
    const tree = await readModuleTree(`/lib/modules/${DEBIAN_KERNEL}`, DEBIAN_KERNEL, forgetInputs);
    const [module] = await readModules(tree, await closureOf(tree, ['ext4']), forgetInputs);
    assert.ok(module);
    const bare = withoutSignature(module.data);
    assert.ok(bare.length < module.data.length);
    const end = Number(bare.readBigUInt64LE(40)) + bare.readUInt16LE(58) * bare.readUInt16LE(60);
    assert.equal(end, bare.length);
  });
});
