/** virt-sandbox-service run: a service in the foreground. */
import { serviceRoots } from '../../service/paths.js';
import { HeldService } from '../../service/run/held-service.js';
import { ownUnit } from '../../service/run/under-systemd.js';
import { reporter } from '../hold/report.js';
import { sayPorts } from '../sandbox/say-ports.js';
import { Printer, ReaderGone } from '../terminal/output.js';
import type { ServiceArguments } from './arguments.js';
import { endOnSignal } from './end-on-signal.js';

/** @returns the exit status of the service */
export async function run({ words }: ServiceArguments): Promise<number> {
  const [name = ''] = words;
  const { done, ...launch } = reporter({ verbose: false, debug: false, initDebug: false });
  const output = new Output();
  process.chdir('/');
  try {
    const held = await HeldService.hold(serviceRoots(), name, {
      launch,
      unit: ownUnit(),
      onOutput: (stream, chunk) => output.write(stream, chunk),
      onPhase: (phase, { sandbox }) => {
        if (phase !== 'running' || sandbox === undefined) return;
        done();
        sayPorts(sandbox, (note) => process.stderr.write(note), undefined);
      },
    });
    endOnSignal(held, ['SIGTERM', 'SIGINT', 'SIGHUP']);
    await held.ready();
    return (await held.ended).status;
  } finally {
    done();
  }
}

/** This process's own streams. A service does not end because nobody reads its output: it is in the log. */
class Output {
  readonly #printers = { stdout: new Printer(1), stderr: new Printer(2) };
  readonly #gone = new Set<string>();

  async write(stream: 'stdout' | 'stderr', chunk: Buffer): Promise<void> {
    if (this.#gone.has(stream)) return;
    try {
      await this.#printers[stream].write(chunk);
    } catch (error) {
      this.#gone.add(stream);
      if (!(error instanceof ReaderGone)) process.stderr.write(`${String(error)}\n`);
    }
  }
}
