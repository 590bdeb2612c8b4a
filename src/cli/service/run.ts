/** virt-sandbox-service run: a service in the foreground, as the unit of the host's systemd has it. */
import { serviceRoots } from '../../service/paths.js';
import { heldWithoutSystemd, isRunning } from '../../service/run/errors.js';
import { HeldService } from '../../service/run/held-service.js';
import { needsChange } from '../../service/run/restart.js';
import { ownUnit, type SystemdUnit } from '../../service/run/under-systemd.js';
import { Notifier } from '../../service/systemd/notify.js';
import { CONFIG_STATUS } from '../../service/systemd/unit.js';
import { oneLine } from '../../util/errors.js';
import { reporter } from '../hold/report.js';
import { tellFailure } from '../program.js';
import { sayPorts } from '../sandbox/say-ports.js';
import { Printer, ReaderGone } from '../terminal/output.js';
import { PROGRAM, type ServiceArguments, textOf } from './arguments.js';
import { nameOf } from './each-service.js';
import { endOnSignal } from './end-on-signal.js';
import { tellSystemd } from './tell-systemd.js';

/** @returns the exit status of the service */
export async function run(args: ServiceArguments): Promise<number> {
  const name = await nameOf(args);
  const unit = ownUnit();
  const systemd = tellSystemd(Notifier.take((trouble) => process.stderr.write(`${PROGRAM}: ${oneLine(trouble)}\n`)));
  const { done, ...launch } = reporter({ verbose: false, debug: false, initDebug: false });
  const output = new Output();
  process.chdir('/');
  try {
    const held = await HeldService.hold(serviceRoots(), name, {
      launch: { ...launch, connect: textOf(args, 'connect') },
      unit,
      onOutput: (stream, chunk) => output.write(stream, chunk),
      onPhase: (phase, facts) => {
        systemd.onPhase(phase, facts);
        if (phase !== 'running' || facts.sandbox === undefined) return;
        done();
        sayPorts(facts.sandbox, (note) => process.stderr.write(note), undefined);
      },
      onHealth: systemd.onHealth,
    });
    endOnSignal(held, ['SIGTERM', 'SIGINT', 'SIGHUP']);
    await held.ready();
    return (await held.ended).status;
  } catch (error) {
    const failure = unit === undefined ? undefined : forSystemd(name, unit, error);
    if (failure === undefined) throw error;
    tellFailure(PROGRAM, failure);
    return CONFIG_STATUS;
  } finally {
    done();
  }
}

/** What is said of a failure after which systemd is to make no other attempt; undefined: it may. */
function forSystemd(name: string, { unit }: SystemdUnit, error: unknown): unknown {
  if (isRunning(error)) return heldWithoutSystemd(name, unit, error);
  return needsChange(error) ? error : undefined;
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
      if (!(error instanceof ReaderGone)) tellFailure(PROGRAM, error);
    }
  }
}
