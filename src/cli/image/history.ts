/** virt-sandbox-image history: the steps that made an image. */
import { parseConfig } from '../../oci/image-config.js';
import { findImage } from '../../oci/inspect/find-image.js';
import { historyOf, type Step } from '../../oci/inspect/history.js';
import { readDocument } from '../../oci/store/blobs.js';
import { manifestOfTag } from '../../oci/store/list.js';
import { StorePaths } from '../../oci/store/store-paths.js';
import { oneLine } from '../../util/errors.js';
import { ago, columns, printJson, printLines, shortened, size } from '../output.js';
import { type ImageArguments, isSet, platformName } from './arguments.js';

const HEADINGS = ['CREATED', 'SIZE', 'CREATED BY'];
/** Of a step, without --no-trunc. */
const STEP_COLUMNS = 60;

export async function history(args: ImageArguments): Promise<number> {
  const paths = new StorePaths();
  const [word = ''] = args.words;
  const tag = findImage(paths, word, platformName(args));
  const manifest = manifestOfTag(paths, tag);
  const steps = historyOf(manifest, parseConfig(readDocument(paths, tag.config), manifest, tag.name)).reverse();
  if (isSet(args, 'json')) await printJson(steps.map(stepJson));
  else await printLines(historyTable(steps, isSet(args, 'no-trunc')));
  return 0;
}

function stepJson({ created, createdBy, layer }: Step): object {
  return { created, createdBy, ...(layer === undefined ? {} : { layer: layer.digest, size: layer.size }) };
}

/** The lines of the table. */
export function historyTable(steps: readonly Step[], full: boolean, now = Date.now()): string[] {
  const rows = steps.map(({ created, createdBy = '', layer }) => {
    const step = oneLine(createdBy);
    return [
      createdText(created, now),
      layer === undefined ? '-' : size(layer.size),
      full ? step : shortened(step, STEP_COLUMNS),
    ];
  });
  return columns([HEADINGS, ...rows]);
}

function createdText(created: string | undefined, now: number): string {
  const date = new Date(created ?? '');
  return Number.isNaN(date.getTime()) ? '-' : ago(date, now);
}
