/** Benchmark `disks`: a --disk, beside the same file as the disk of a bare QEMU with the same kernel and init. */
import { execFileSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { spawnApplication } from '../../init/common/application.js';
import { findDevices } from '../../init/common/disks.js';
import { drivePlan } from '../../init/common/drive.js';
import { planSandbox } from '../../init/common/plan.js';
import { summarize } from '../../src/bench/result/statistics.js';
import { runBare } from '../../src/bench/run/bare-qemu.js';
import { bareGuest } from '../../src/bench/run/bare-restore.js';
import { COLD } from '../../src/bench/run/baseline.js';
import { nativeArgv } from '../../src/bench/run/native-argv.js';
import { inOrderOf } from '../../src/bench/run/order.js';
import { optionsOf } from '../../src/bench/run/qemu-argv.js';
import { Channel } from '../../src/protocol/channel.js';
import { optionValue } from '../../src/util/qemu-options.js';
import { isRecord, parseJson } from '../../src/util/records.js';
import type { Context } from './context.js';
import { buildDiskIo, DISK_BYTES, PARTS, type Part, ratesIn } from './disk-io.js';
import { quantity, type Row, timesTheRate } from './row.js';
import { timed } from './run.js';

const TAG = 'bench';
const DEVICE = `/dev/disk/by-tag/${TAG}`;
/** The first disk of a sandbox has it. */
const SERIAL = 'disk0';
/** So that it takes at most 1.2 times as long. */
const LEAST = 0.83;

type Format = 'raw' | 'qcow2';
type Rates = Record<Part, number>;

export async function diskRows(context: Context): Promise<Row[]> {
  const program = buildDiskIo(context.scratch);
  const rows: Row[] = [];
  for (const format of ['raw', 'qcow2'] as const) {
    const disk = makeDisk(context.scratch, format);
    const sides = [
      { name: '--disk', measure: () => inSandbox(context, program, disk), all: [] as Rates[] },
      { name: 'bare QEMU', measure: () => inBare(context, program, disk, format), all: [] as Rates[] },
    ] as const;
    for (let round = 0; round <= context.runs; round += 1) {
      for (const { name, measure, all } of inOrderOf(round, sides)) {
        const rates = await measure();
        context.progress(`${format}, ${name}: ${JSON.stringify(rates)}`);
        // The first round writes to a new file, and only the first of the two does.
        if (round > 0) all.push(rates);
      }
    }
    const [ours, bare] = sides;
    for (const { name, what, unit } of PARTS) {
      const of = (all: readonly Rates[]) => quantity(summarize(all.map((rates) => rates[name])), unit);
      rows.push(timesTheRate(`${what}, ${format}`, of(ours.all), { name: 'bare QEMU', ...of(bare.all) }, LEAST));
    }
  }
  return rows;
}

function makeDisk(scratch: string, format: Format): string {
  const path = join(scratch, `disk.${format}`);
  if (format === 'qcow2') {
    execFileSync('qemu-img', ['create', '-q', '-f', format, path, String(DISK_BYTES)]);
  } else {
    writeFileSync(path, '');
    truncateSync(path, DISK_BYTES);
  }
  return path;
}

function optionsFor({ image }: Context, disk: string): string[] {
  return [...COLD, '-c', image.uri, '--disk', `file:${TAG}=${disk}`];
}

async function inSandbox(context: Context, program: string, disk: string): Promise<Rates> {
  const argv = [context.program, ...optionsFor(context, disk), '--', program, DEVICE] as const;
  return ratesIn((await timed({ label: 'virt-sandbox', argv })).stdout);
}

async function inBare(context: Context, program: string, disk: string, format: Format): Promise<Rates> {
  const { result } = await runBare(bareArgv(context, disk, format), async ({ listener, root }) => {
    const guest = { ...bareGuest(root), disks: [{ tag: TAG, serial: SERIAL }], command: [program, DEVICE] };
    const { channel } = await Channel.open(await listener.connection);
    const devices = await findDevices(channel, guest);
    const now = { seconds: BigInt(Math.floor(Date.now() / 1000)), nanoseconds: 0 };
    await drivePlan(channel, planSandbox(guest, { now, entropy: new Uint8Array(64), devices }));
    await spawnApplication(channel, guest);
    const { stdout, stderr, exited } = channel.application;
    const [out, errors] = await Promise.all([text(stdout), text(stderr), exited]);
    return `${out}${errors}`;
  });
  return ratesIn(result);
}

/** The command line of the sandbox's machine, but with the disk as QEMU has it without any option. */
function bareArgv(context: Context, disk: string, format: Format): string[] {
  const { program, scratch, image } = context;
  const [qemu = '', ...words] = nativeArgv({ program, scratch, uri: image.uri }, optionsFor(context, disk));
  const id = 'bench-disk';
  const drive = ['-drive', `if=none,id=${id},format=${format},file=${optionValue(disk)}`];
  let isReplaced = false;
  const bare = optionsOf(words).flatMap(([option, value]) => {
    if (option === '-blockdev') return [];
    const device = option === '-device' && value !== undefined ? parseJson(value) : undefined;
    if (!isRecord(device) || device['serial'] !== SERIAL) return value === undefined ? [option] : [option, value];
    isReplaced = true;
    const { driver, bus, addr, serial } = device;
    return [...drive, '-device', JSON.stringify({ driver, bus, addr, serial, drive: id })];
  });
  if (!isReplaced) throw new Error(`the command line of QEMU has no disk with the serial number ${SERIAL}`);
  return [qemu, ...bare];
}
