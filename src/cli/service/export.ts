/** virt-sandbox-service export: writes a service with its state as one archive. */
import { isatty } from 'node:tty';
import { exportService } from '../../service/archive/export.js';
import { writeArchiveFile } from '../../service/archive/output.js';
import type { SourceTold } from '../../service/clone/source.js';
import { serviceRoots } from '../../service/paths.js';
import { oneLine } from '../../util/errors.js';
import { size } from '../output.js';
import { Printer } from '../terminal/output.js';
import { progressLine } from '../terminal/progress-line.js';
import { untilSignal } from '../until-signal.js';
import { PROGRAM, type ServiceArguments, textOf, usageError } from './arguments.js';
import { nameOf } from './each-service.js';
import { sourceControl, whenRunning } from './source-control.js';
import { sayWait } from './waiting.js';

/** Of an export whose source does not run again. */
const FAILED = 125;

const STDOUT = 1;

export async function exportArchive(args: ServiceArguments): Promise<number> {
  const name = await nameOf(args);
  const output = textOf(args, 'output');
  const isFile = output !== undefined && output !== '-';
  const way = whenRunning(args, 'export');
  if (!isFile && isatty(STDOUT))
    throw usageError('an archive is not written to a terminal: name a file with --output, or redirect it', 'export');
  const progress = progressLine(PROGRAM);
  let bytes = 0;
  return untilSignal(
    async (signal) => {
      const write = (put: (piece: Buffer) => Promise<void>) => {
        const counted = async (piece: Buffer) => {
          await put(piece);
          bytes += piece.length;
          progress.show(`writing ${name}: ${size(bytes)}`);
        };
        const onWait = () => sayWait(name)();
        const options = { whenRunning: way, control: sourceControl, write: counted, signal, onWait };
        return exportService(serviceRoots(), name, options);
      };
      let told: SourceTold = {};
      try {
        if (!isFile) {
          const printer = new Printer();
          told = await write((piece) => printer.write(piece));
          await printer.flush();
          return told;
        }
        await writeArchiveFile(output, async (put) => {
          told = await write(put);
        });
        return told;
      } finally {
        progress.clear();
      }
    },
    async ({ startFailure }) => {
      if (startFailure === undefined) return 0;
      process.stderr.write(`${PROGRAM}: ${oneLine(startFailure)}\n`);
      return FAILED;
    },
  );
}
