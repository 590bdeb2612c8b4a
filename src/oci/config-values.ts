/** Values of an image's config that end in system calls: what could not work is refused with the image's name. */
import { imageError, quoted } from '../oci-names/errors.js';
import { signalNumber } from '../util/signal-number.js';

/** The texts of a config that are used, by the names that they have in it. */
export interface ConfigTexts {
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  /** `NAME=VALUE` */
  readonly Env: readonly string[];
  readonly User: string;
  readonly WorkingDir: string;
  readonly StopSignal: string;
  readonly Volumes: readonly string[];
  readonly ExposedPorts: readonly string[];
}

/** Bytes of one argument or variable, with its NUL: MAX_ARG_STRLEN of Linux. */
const LONGEST_WORD = 128 << 10;
/** `80`, `80/tcp`, `8000-8010/udp` */
const PORTS = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(?:tcp|udp|sctp))?$/i;

/**
 * @param which names the image, for errors
 * @throws {SandboxError} `config-invalid`, which says what is wrong
 */
export function refuseOddConfig(texts: ConfigTexts, which: string): void {
  for (const [field, value] of Object.entries(texts) as [string, string | readonly string[]][])
    for (const text of typeof value === 'string' ? [value] : value) {
      if (text.includes('\0')) throw odd(which, `has a NUL character in its ${field}`);
      if (Buffer.byteLength(text) >= LONGEST_WORD)
        throw odd(which, `has a text of more than ${LONGEST_WORD - 1} bytes in its ${field}`);
    }
  for (const text of texts.Env)
    if (text === '' || text.startsWith('=')) throw odd(which, `has a variable without a name: ${quoted(text)}`);
  for (const text of texts.ExposedPorts) if (!isPort(text)) throw odd(which, `has the port ${quoted(text)}`);
  if (texts.StopSignal !== '' && signalNumber(texts.StopSignal) === undefined)
    throw odd(which, `has the signal ${quoted(texts.StopSignal)}, which is none of Linux`);
}

function isPort(text: string): boolean {
  const [, first, last = first] = PORTS.exec(text) ?? [];
  return [first, last].every((port) => Number(port) >= 1 && Number(port) <= 65_535) && Number(first) <= Number(last);
}

function odd(which: string, what: string) {
  return imageError('config-invalid', `the config of ${which} ${what}`, 'use another tag, or have it built again');
}
