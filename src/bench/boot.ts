/** A whole `virt-sandbox -- /bin/true` against the floor: a bare QEMU whose guest does nothing but end. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packCpio } from '../image/cpio.js';
import { findInPath } from '../programs.js';
import type { Context } from './context.js';
import { bareMachine, splitCommandLine } from './qemu-argv.js';
import { forInformation, quantity, type Row, timesAsLong } from './row.js';
import { interleave } from './run.js';

const POWER_OFF = '#include <sys/reboot.h>\nint main(void) { return reboot(RB_POWER_OFF); }\n';

export async function bootRows(context: Context): Promise<Row[]> {
  const { program } = context;
  const seconds = await interleave(
    [
      { label: 'floor', argv: await floor(context) },
      { label: 'default', argv: [program, '--', '/bin/true'] },
      { label: 'embedded', argv: [program, '-c', 'qemu:///embed', '--', '/bin/true'] },
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
async function floor({ program, image, scratch }: Context): Promise<[string, ...string[]]> {
  const xml = join(scratch, 'domain.xml');
  writeFileSync(xml, execFileSync(program, ['--print-xml', '--', '/bin/true']));
  const line = execFileSync('virsh', ['-q', '-c', image.uri, 'domxml-to-native', 'qemu-argv', xml], {
    encoding: 'utf8',
  });
  return bareMachine(splitCommandLine(line), await powerOffInitrd(scratch));
}

async function powerOffInitrd(scratch: string): Promise<string> {
  const source = join(scratch, 'power-off.c');
  const init = join(scratch, 'power-off');
  const initrd = join(scratch, 'power-off.cpio');
  writeFileSync(source, POWER_OFF);
  execFileSync(findInPath('musl-gcc') ?? 'cc', ['-static', '-Os', '-s', '-o', init, source]);
  const archive = await packCpio([{ type: 'file', name: 'init', mode: 0o755, content: readFileSync(init) }]);
  writeFileSync(initrd, archive);
  return initrd;
}
