/** libvirt's messages: cut from a stream, and encoded as its own client does. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { callBytes, MessageReader, PROCEDURE, readDomain, writeDomain } from '../../../../src/libvirt/rpc/messages.js';
import { XdrReader, XdrWriter } from '../../../../src/libvirt/rpc/xdr.js';

describe('a call', () => {
  it('is what virsh sends to open qemu:///system', () => {
    const payload = new XdrWriter().int(1).string('qemu:///system').int(0).bytes();
    const recorded =
      '00000038' + // its length
      '20008086000000010000000100000000' + // program, version, procedure, call
      '0000000200000000' + // serial, status
      '000000010000000e71656d753a2f2f2f73797374656d0000' + // a name, and two bytes of padding
      '00000000'; // no flags
    assert.equal(callBytes(PROCEDURE.connectOpen, 2, payload).toString('hex'), recorded);
  });
});

describe('messages of a stream', () => {
  const bytes = Buffer.concat(
    [1, 2, 3].map((serial) => callBytes(PROCEDURE.authList, serial, Buffer.alloc(serial * 4))),
  );

  for (const size of [1, 3, 28, 30, bytes.length])
    it(`are the same in pieces of ${size}`, () => {
      const reader = new MessageReader();
      const messages = [];
      for (let at = 0; at < bytes.length; at += size) messages.push(...reader.push(bytes.subarray(at, at + size)));
      assert.deepEqual(
        messages.map(({ serial, payload }) => [serial, payload.length]),
        [1, 2, 3].map((serial) => [serial, serial * 4]),
      );
    });

  for (const [what, length] of [
    ['shorter than its header', 27],
    ['longer than libvirt allows', (32 << 20) + 5],
  ] as const)
    it(`are not one that is ${what}`, () => {
      const head = Buffer.alloc(4);
      head.writeUInt32BE(length);
      assert.throws(() => new MessageReader().push(head), RangeError);
    });
});

describe('values', () => {
  it('of a domain are read as they were written', () => {
    const domain = { name: 'a name', uuid: Buffer.from('0123456789abcdef'), id: -1 };
    const read = readDomain(new XdrReader(writeDomain(new XdrWriter(), domain).bytes()));
    assert.deepEqual({ ...read, uuid: Buffer.from(read.uuid) }, domain);
  });

  it('that are not there whole are an error', () => {
    const text = new XdrWriter().string('twelve bytes').bytes();
    for (let length = 0; length < text.length; length += 1)
      assert.throws(() => new XdrReader(text.subarray(0, length)).string(), RangeError, String(length));
  });
});
