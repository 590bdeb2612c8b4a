/** A whole `virt-sandbox -- /bin/true` against the floor: a bare QEMU whose guest does nothing but end. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { forInformation, quantity, type Row, timesAsLong } from '../../test/bench/row.js';
import { interleave } from '../../test/bench/run.js';
import { packCpio } from '../image/build/cpio.js';
import type { Context } from './commands.js';
import { powerOffProgram } from './power-off.js';
import { bareMachine, splitCommandLine } from './qemu-argv.js';

/** Whatever warm images there are. */
export const COLD = ['--boot', 'cold'];

export async function bootRows(context: Context): Promise<Row[]> {
  const { program } = context;
  const seconds = await interleave(
    [
      { label: 'floor', argv: await floor(context) },
      { label: 'default', argv: [program, ...COLD, '--', '/bin/true'] },
      { label: 'embedded', argv: [program, ...COLD, '-c', 'qemu:///embed', '--', '/bin/true'] },
    ],
    context.runs,
    context.progress,
  );
  const reference = { name: 'bare QEMU', ...quantity(seconds.floor, 's') };
  return [
    timesAsLong(
      `\`virt-sandbox -- /bin/true\` (${context.image.uri})`,
      quantity(seconds.default, 's'),
      reference,
      1.35,
    ),
    forInformation('`virt-sandbox -c qemu:///embed -- /bin/true`', quantity(seconds.embedded, 's'), reference),
  ];
}

/** The very machine that libvirt would start, but started by hand, with an init that powers off. */
export async function floor(
  { program, image, scratch }: Pick<Context, 'program' | 'image' | 'scratch'>,
  options: readonly string[] = [],
): Promise<[string, ...string[]]> {
  const xml = join(scratch, 'domain.xml');
  writeFileSync(xml, execFileSync(program, ['--print-xml', ...COLD, ...options, '--', '/bin/true']));
  const line = execFileSync('virsh', ['-q', '-c', image.uri, 'domxml-to-native', 'qemu-argv', xml], {
    encoding: 'utf8',
  });
  return bareMachine(splitCommandLine(line), await powerOffInitrd(scratch));
}

async function powerOffInitrd(scratch: string): Promise<string> {
  const initrd = join(scratch, 'power-off.cpio');
  const archive = await packCpio([{ type: 'file', name: 'init', mode: 0o755, content: powerOffProgram() }]);
  writeFileSync(initrd, archive);
  return initrd;
}
