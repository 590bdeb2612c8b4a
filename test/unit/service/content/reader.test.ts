/** What a sandbox may read of the host. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { modeWithout, parseAccessList } from '../../../../src/service/content/access-list.js';
import { layerName } from '../../../../src/service/content/layers.js';
import { permits, readerOf } from '../../../../src/service/content/reader.js';

const entry = (tag: number, rights: number, id = 0xffff_ffff) => {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(tag, 0);
  bytes.writeUInt16LE(rights, 2);
  bytes.writeUInt32LE(id, 4);
  return bytes;
};
const VERSION = Buffer.from([2, 0, 0, 0]);
/** user::rw-, user:7:rw-, group::---, group:9:r--, mask::r--, other::--- */
const LIST = Buffer.concat([
  VERSION,
  ...[entry(1, 6), entry(2, 6, 7), entry(4, 0), entry(8, 4, 9), entry(0x10, 4), entry(0x20, 0)],
]);

describe('rights', () => {
  const file = (mode: number) => ({ mode, uid: 1, gid: 2 });
  const nobody = { uid: undefined, gids: [] };

  it('are those of the owner, of a group or of others, and of nobody else', () => {
    assert.equal(permits(file(0o604), undefined, nobody, 4), true);
    assert.equal(permits(file(0o660), undefined, nobody, 4), false);
    assert.equal(permits(file(0o040), undefined, { uid: 5, gids: [2] }, 4), true);
    // The group's bits count, though others may more.
    assert.equal(permits(file(0o604), undefined, { uid: 5, gids: [2] }, 4), false);
    assert.equal(permits(file(0o044), undefined, { uid: 1, gids: [2] }, 4), false);
    assert.equal(permits(file(0o711), undefined, nobody, 5), false);
  });

  it('are those of an access control list', () => {
    const list = parseAccessList(LIST);
    assert.ok(list);
    const has = (uid: number, gids: number[], wanted: number) => permits(file(0o640), list, { uid, gids }, wanted);
    assert.equal(has(7, [], 4), true);
    // The mask is the most.
    assert.equal(has(7, [], 2), false);
    assert.equal(has(8, [9], 4), true);
    assert.equal(has(8, [2], 4), false);
    assert.equal(modeWithout(0o640, list), 0o600);
    assert.equal(modeWithout(0o640, undefined), 0o640);
    assert.equal(parseAccessList(Buffer.from([1, 0, 0, 0])), undefined);
    assert.equal(parseAccessList(Buffer.alloc(0)), undefined);
  });

  it('are those of others, in a machine and for root in a container', () => {
    const identity = (uid: number) => ({ uid, gid: 5, groups: [6], username: 'x', home: '/' });
    assert.deepEqual(readerOf({ privileged: true, identity: identity(0) }, 'machine'), nobody);
    assert.deepEqual(readerOf({ privileged: false, identity: identity(0) }, 'container'), nobody);
    assert.deepEqual(readerOf({ privileged: false, identity: identity(4) }, 'container'), { uid: 4, gids: [5, 6] });
    assert.equal(readerOf({ privileged: true, identity: identity(0) }, 'container'), undefined);
  });
});

describe('layerName', () => {
  it('is as root-overlay names the layers of a mount', () => {
    assert.equal(layerName('/'), '%2F');
    assert.equal(layerName('/srv/a b-c_d.ä'), '%2Fsrv%2Fa%20b-c_d.%C3%A4');
    assert.equal(layerName(`/${'x'.repeat(252)}`)?.length, 255);
    assert.equal(layerName(`/${'x'.repeat(253)}`), undefined);
  });
});
