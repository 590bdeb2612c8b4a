/** virt-sandbox-service upgrade: a service gets what its host has newer. */
import { serviceRoots } from '../../service/paths.js';
import type { HiddenFile } from '../../service/upgrade/hidden.js';
import { type Upgraded, upgradeService } from '../../service/upgrade/upgrade.js';
import { oneLine } from '../../util/errors.js';
import { columns, printJson, printLines } from '../output.js';
import { untilSignal } from '../until-signal.js';
import { isSet, type ServiceArguments } from './arguments.js';
import { nameOf } from './each-service.js';
import { tellOldUnit } from './old-unit.js';
import { say } from './say.js';
import { sayWait } from './waiting.js';

const HEADINGS = ['BEFORE', 'NOW', 'SERVICE', 'RESULT', 'PATH'];

/** Of a digest, behind the name of its algorithm. */
const SHOWN_DIGITS = 12;

export async function upgrade(args: ServiceArguments): Promise<number> {
  const name = await nameOf(args);
  const isDry = isSet(args, 'dry-run');
  return untilSignal(
    (signal) => upgradeService(serviceRoots(), name, { signal, isDry, onWait: sayWait(name) }),
    async (upgraded) => {
      if (isSet(args, 'json')) await printJson(upgraded);
      else await tell(name, upgraded);
      tellOldUnit(name);
      return 0;
    },
  );
}

async function tell(name: string, { file, files, unknown }: Upgraded): Promise<void> {
  if (file !== undefined) say(`the sandbox.cfg of ${name}, of another version, is ${file}`);
  if (unknown !== undefined) say(`which files of the host ${name} hides is not known: ${unknown}`);
  if (files.length > 0) await printLines(columns([HEADINGS, ...files.map(row)]));
}

function row({ path, before, now, service, verdict }: HiddenFile): string[] {
  const result = verdict === 'hidden' ? 'host' : 'kept';
  return [...[before, now, service].map(shortened), result, oneLine(path)];
}

function shortened(fingerprint: string): string {
  const [, digest] = /^(?:sha256|md5):(.*)/.exec(fingerprint) ?? [];
  return digest?.slice(0, SHOWN_DIGITS) ?? oneLine(fingerprint).replaceAll(' ', '_');
}
