/**
 * The native init with real sockets, pipes and splice(2), and sanitizers: each number of each call takes values that
 * overflow, at every position. What libFuzzer finds with mutated packets is in c/packets.c and c/calls.c.
 */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { CallFlag, HEADER_BYTES, MessageType, Proc, SpawnFlag, WriteFlag } from '../../src/protocol/wire.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { list, packet, runPayload, spawnPayload, str, u32, u64, writeFilePayload } from '../unit/init/native/driver.js';

/** `make test` builds it: every operation decodes its arguments and then refuses. */
const FUZZ = resolve('build/native/init-fuzz');

/** One valid call of every operation. Add each new operation of the protocol here. */
const CALLS: Record<
  Exclude<keyof typeof Proc, 'STDIN' | 'STDOUT' | 'STDERR' | 'EXIT' | 'QUIT' | 'READY' | 'CONTROL'>,
  Buffer
> = {
  MOUNT: Buffer.concat([str('source'), str('/target'), str('9p'), u32(1), str('trans=virtio')]),
  MKDIR: Buffer.concat([str('/a/b'), u32(0o755)]),
  SYMLINK: Buffer.concat([str('/proc/self/fd'), str('/dev/fd')]),
  WRITE_FILE: writeFilePayload('/etc/file', 'content\0', WriteFlag.PARENTS),
  SWITCH_ROOT: str('/newroot'),
  LINK_UP: str('lo'),
  ADDRESS: Buffer.concat([str('eth0'), str('192.168.122.2'), u32(24), str('192.168.122.255')]),
  ROUTE: Buffer.concat([str('eth0'), str('fd12::'), u32(64), str('fd12::1')]),
  HOSTNAME: str('sandbox'),
  SET_CLOCK: Buffer.concat([u64(1_700_000_000n), u32(5)]),
  ADD_ENTROPY: str(Buffer.alloc(64, 9)),
  SPAWN: spawnPayload(['sh', '-c', 'true'], { groups: [1, 2], flags: SpawnFlag.PTY, rows: 24, columns: 80 }),
  SIGNAL: Buffer.concat([u32(1), u32(15)]),
  RESIZE: Buffer.concat([u32(1), u32(24), u32(80)]),
  SYNC: Buffer.alloc(0),
  UNMOUNT: Buffer.concat([str('/mnt'), u32(2)]),
  POWER_OFF: Buffer.alloc(0),
  LOAD_MODULE: Buffer.concat([str('/module.ko'), str('debug=1')]),
  RUN: runPayload(['mkfs', '/dev/vda'], { stdin: Buffer.from('y\n') }),
  READ_FILE: Buffer.concat([str('/etc/passwd'), u32(131_072)]),
  LIST_DIR: str('/'),
  STAT: Buffer.concat([str('/'), u32(1)]),
  CHOWN: Buffer.concat([str('/f'), u32(1), u32(2)]),
  CHMOD: Buffer.concat([str('/f'), u32(0o600)]),
  MKNOD: Buffer.concat([str('/dev/x'), u32(0o020600), u32(1), u32(3)]),
  READ_LINK: str('/dev/fd'),
  CONFIGURE: str('{"a":1}'),
  ARRANGE: str('{"a":1}'),
  SESSIONS: str('org.virt-sandbox.shell.0'),
  CLEAR_MEMORY: u32(1),
  USER_NAMESPACE: Buffer.concat([u32(1), u32(6), ...[0, 0x7000_0000, 65_536, 0, 0x7000_0000, 65_536].map(u32)]),
  MAP_MOUNT: Buffer.concat([str('/dev/.sandbox/a'), str('/mnt'), u32(1)]),
  KEEP: str('/overlay'),
  TERMINAL: Buffer.concat([str('/dev/ttyS0'), list(['sh']), list(['TERM=linux'])]),
};

/**
 * Each call as a packet, with stdin between them. Every call fails; without RECOVER the init would skip the arguments
 * of the calls behind it. POWER_OFF would end the reading.
 */
const PACKETS = [
  ...Object.entries(CALLS)
    .filter(([name]) => name !== 'POWER_OFF')
    .map(([name, payload], serial) =>
      packet(Proc[name as keyof typeof Proc], MessageType.CALL, CallFlag.RECOVER, serial, payload),
    ),
  packet(Proc.STDIN, MessageType.DATA, 0, 1, Buffer.from('some input\n')),
];
const LAST = [
  packet(Proc.POWER_OFF, MessageType.CALL, 0, 99, CALLS.POWER_OFF),
  packet(Proc.QUIT, MessageType.MESSAGE, 0, 0, Buffer.alloc(0)),
  packet(Proc.STDIN, MessageType.DATA, 0, 1, Buffer.alloc(0)),
];

const EDGES = [0, 1, 19, 20, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];

/** @returns its stderr, which has only complaints about the host unless a sanitizer finds something */
async function feed(files: readonly string[]): Promise<string> {
  const env = { ...process.env, ASAN_OPTIONS: 'detect_leaks=0', UBSAN_OPTIONS: 'print_stacktrace=1' };
  const { stderr } = await promisify(execFile)(FUZZ, files, { env, maxBuffer: 64 << 20 });
  return stderr;
}

it('valid packets cause no complaint', async (t) => {
  const file = join(scratchDirectory(t), 'whole');
  writeFileSync(file, Buffer.concat([...PACKETS, ...LAST]));
  assert.equal(await feed([file]), '');
});

it('every number of every operation takes its edge values at every position', async (t) => {
  const file = join(scratchDirectory(t), 'edges');
  const positions = PACKETS.flatMap((original) =>
    Array.from({ length: Math.max(0, original.length - HEADER_BYTES - 3) }, (_, at) => ({ original, at })),
  );
  const packets = positions.flatMap(({ original, at }) =>
    EDGES.map((edge) => {
      const bytes = Buffer.from(original);
      bytes.writeUInt32BE(edge, HEADER_BYTES + at);
      return bytes;
    }),
  );
  writeFileSync(file, Buffer.concat(packets));
  assert.equal(await feed([file]), '');
});
