/** Reads the logs of a kernel and of QEMU for a timeline. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseKernelLog } from '../../../../src/bench/timeline/kernel-log.js';
import { kernelParts } from '../../../../src/bench/timeline/kernel-parts.js';
import { parseQemuLog } from '../../../../src/bench/timeline/qemu-log.js';
import type { Span } from '../../../../src/bench/timeline/span.js';

const LOG = `clock-before now at 2000000000 nsecs
clock-after now at 2000100000 nsecs
[    0.000000] Linux version 6.12
[    0.100000] ftrace: allocating 45312 entries in 180 pages
[    0.300000] Freeing SMP alternatives memory: 40K
[    0.360000] initcall early_one+0x0/0x20 returned 0 after 4000 usecs @@0.060000
[    0.400000] initcall late_one+0x0/0x20 returned -19 after 30000 usecs
[    0.410000] probe of 00:00 returned 0 after 8000 usecs
[    0.500000] initcall init_p9+0x0/0x30 [9pnet] returned 0 after 918 usecs
[    1.990000] virt-sandbox-clock
`;

describe("the kernel's log", () => {
  const log = parseKernelLog(LOG);

  it('has initcalls of the kernel and of modules, and probes of devices', () => {
    assert.deepEqual(
      log.initcalls.map(({ name, module, microseconds }) => [name, module, Math.round(microseconds)]),
      [
        ['early_one', undefined, 60_000],
        ['late_one', undefined, 30_000],
        ['probe of 00:00', undefined, 8000],
        ['init_p9', '9pnet', 918],
      ],
    );
  });

  it('aligns its clock with the monotonic one, and says how exactly', () => {
    assert.equal(Math.round(log.toMonotonic?.microseconds ?? 0), 10_050);
    assert.equal(log.toMonotonic?.error, 50);
    assert.equal(parseKernelLog('[    0.1] x').toMonotonic, undefined);
  });

  it('is broken down into long parts that never overlap', () => {
    const toRun = (seconds: number) => seconds * 1e6;
    const parts = kernelParts(log, { toRun, start: 0, end: 480_000, threshold: 5000 });
    assert.deepEqual(
      parts.map(({ name, start, end }) => [name, Math.round(start), Math.round(end)]),
      [
        ['ftrace: preparing the entries of functions', 0, 100_000],
        ['patching alternatives, retpolines and returns', 100_000, 300_000],
        ['early_one', 300_000, 360_000],
        ['initcalls, short ones', 360_000, 370_000],
        ['late_one', 370_000, 400_000],
        ['probe of 00:00', 402_000, 410_000],
        ['starting the init', 410_000, 480_000],
      ],
    );
  });

  it('has messages and probes inside their call, and the unpacking of the initrd around the calls meanwhile', () => {
    const text = `[    0.100000] calling  first+0x0/0x20 @ 1
[    0.110000] initcall first+0x0/0x20 returned 0 after 10000 usecs
[    0.150000] talkative: begins
[    0.190000] probe of 00:01 returned 0 after 20000 usecs
[    0.200000] initcall talkative_init+0x0/0x20 returned 0 after 88000 usecs
[    0.203000] initcall short+0x0/0x20 returned 0 after 3000 usecs
[    0.206000] initcall short_too+0x0/0x20 returned 0 after 3000 usecs
[    0.210000] Trying to unpack rootfs image as initramfs...
[    0.230000] initcall meanwhile+0x0/0x20 returned 0 after 24000 usecs
[    0.260000] Freeing initrd memory: 1252K
[    0.270000] initcall over_it+0x0/0x20 returned 0 after 30000 usecs`;
    const toRun = (seconds: number) => seconds * 1e6;
    const told: unknown[] = [];
    const tell = (one: Span, depth: number) => {
      told.push([depth, one.name, Math.round(one.start), Math.round(one.end)]);
      for (const part of one.parts) tell(part, depth + 1);
    };
    for (const one of kernelParts(parseKernelLog(text), { toRun, start: 100_000, end: 290_000, threshold: 5000 }))
      tell(one, 0);
    assert.deepEqual(told, [
      [0, 'first', 100_000, 110_000],
      [0, 'talkative_init', 112_000, 200_000],
      [1, 'until “talkative: begins”', 112_000, 150_000],
      [1, 'rest', 150_000, 170_000],
      [1, 'probe of 00:01', 170_000, 190_000],
      [1, 'rest', 190_000, 200_000],
      [0, 'initcalls, short ones', 200_000, 206_000],
      [0, 'unpacking the initrd, and initcalls meanwhile', 206_000, 270_000],
      [1, 'meanwhile', 206_000, 230_000],
      [1, 'initcalls, short ones', 230_000, 240_000],
      [1, 'over_it', 240_000, 270_000],
      [0, 'starting the init', 270_000, 290_000],
    ]);
  });
});

describe("QEMU's log", () => {
  it('has when the machine was made, ran, and entered the kernel', () => {
    const text = [
      '42@100.040000:qio_channel_socket_new Socket new ioc=0x55d1',
      '42@100.050000:find_ram_offset size: 0x20000000 @ 0x0',
      '42@100.060000:find_ram_offset size: 0x40000 @ 0x20000000',
      "42@100.100000:fw_cfg_select 0x1 key 0x0000 'signature', ret: 1",
      '42@100.200000:vm_state_notify running 1 reason 9 (running)',
      "43@100.210000:fw_cfg_select 0x1 key 0x0001 'id', ret: 1",
      "43@100.230000:fw_cfg_select 0x1 key 0x0010 'kernel_entry', ret: 1",
      'qemu-system-x86_64: something else',
    ].join('\n');
    const times = { started: 100.04, memoryMapped: 100.05, machineMade: 100.1, running: 100.2, kernelEntered: 100.23 };
    assert.deepEqual(parseQemuLog(text), times);
    const nothing = Object.fromEntries(Object.keys(times).map((name) => [name, undefined]));
    assert.deepEqual(parseQemuLog(''), nothing);
  });
});
