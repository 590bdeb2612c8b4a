/** virt-sandbox-service upgrade: a service gets what its host has newer. */
import { serviceRoots } from '../../service/paths.js';
import type { HiddenFile } from '../../service/upgrade/hidden.js';
import type { ImageChange } from '../../service/upgrade/image-root.js';
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
      else await tell(name, upgraded, isDry);
      tellOldUnit(name);
      return 0;
    },
  );
}

async function tell(name: string, { file, files, unknown, image }: Upgraded, isDry: boolean): Promise<void> {
  if (file !== undefined) say(`the sandbox.cfg of ${name}, of another version, is ${file}`);
  const whose = image === undefined ? 'host' : 'image';
  if (unknown !== undefined) say(`which files of the ${whose} ${name} hides is not known: ${unknown}`);
  if (image !== undefined) say(imageText(name, image, isDry));
  if (files.length > 0) await printLines(columns([HEADINGS, ...files.map((file) => row(file, whose))]));
}

function imageText(name: string, { before, now, root }: ImageChange, isDry: boolean): string {
  if (before === now) return `${name} is of the image that ${root} means: ${now}`;
  const was = before === undefined ? '' : `, and not of ${before}`;
  return `${name} ${isDry ? 'would be' : 'is'} of the image that ${root} means now: ${now}${was}`;
}

function row({ path, before, now, service, verdict }: HiddenFile, whose: string): string[] {
  const result = verdict === 'hidden' ? whose : 'kept';
  return [...[before, now, service].map(shortened), result, oneLine(path)];
}

function shortened(fingerprint: string): string {
  const [, digest] = /^(?:sha256|md5):(.*)/.exec(fingerprint) ?? [];
  return digest?.slice(0, SHOWN_DIGITS) ?? oneLine(fingerprint).replaceAll(' ', '_');
}
