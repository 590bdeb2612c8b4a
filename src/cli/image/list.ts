/** virt-sandbox-image list: the images that are there. */
import { withWorkspace } from '../../image/store/workspace.js';
import { type ListedImage, listImages } from '../../oci/store/list.js';
import { StorePaths } from '../../oci/store/store-paths.js';
import { templateText } from '../../oci-names/template.js';
import { upstreamText } from '../../oci-names/upstream.js';
import { oneLine } from '../../util/errors.js';
import { ago, columns, printJson, printLines, size } from '../output.js';
import { untilSignal } from '../until-signal.js';
import { type ImageArguments, isSet, PROGRAM, textOf, usageError } from './arguments.js';
import { nameText, shortId } from './shown.js';

const HEADINGS = ['NAME', 'PLATFORM', 'ID', 'SIZE', 'PULLED', 'USED'];

export async function list(args: ImageArguments): Promise<number> {
  const paths = new StorePaths();
  const source = textOf(args, 'source');
  if (source !== undefined) return listSource(args, paths, source);
  const images = sorted(listImages(paths));
  if (isSet(args, 'json')) await printJson(images.map(imageJson));
  else if (isSet(args, 'quiet')) await printLines([...new Set(images.map(({ tag }) => nameText(tag)))]);
  else if (images.length > 0) await printLines(listTable(images));
  else process.stderr.write(`${PROGRAM}: ${oneLine(`there is no image in ${paths.directory}`)}\n`);
  return 0;
}

function sorted(images: readonly ListedImage[]): ListedImage[] {
  return [...images].sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
}

/** As names are shown: those of registries have no `docker://` there. */
function sortKey({ tag }: ListedImage): string {
  return `${nameText(tag)} ${tag.platform}`;
}

/** The lines of the table. */
export function listTable(images: readonly ListedImage[], now = Date.now()): string[] {
  const rows = images.map(({ tag, root, lastUsed, usedBy }) => [
    nameText(tag),
    tag.platform,
    shortId(tag),
    root === undefined ? '-' : size(root.size),
    ago(new Date(tag.pulled), now),
    usedBy.length > 0 ? `now, by ${usedBy.join(', ')}` : lastUsed === undefined ? '-' : ago(lastUsed, now),
  ]);
  return columns([HEADINGS, ...rows]);
}

/** All that a list knows of an image. The names are keys of JSON. */
export function imageJson({ tag, root, lastUsed, usedBy }: ListedImage): object {
  const { format: _format, identity: _identity, manifest, root: id, ...known } = tag;
  return {
    ...known,
    id: manifest,
    root: { id, ...(root === undefined ? {} : { path: root.path, size: root.size }) },
    ...(lastUsed === undefined ? {} : { lastUsed: lastUsed.toISOString() }),
    usedBy,
  };
}

/** URIs, as libvirt-sandbox had it: of the images of registries that are there, or of virt-builder's templates. */
async function listSource(args: ImageArguments, paths: StorePaths, source: string): Promise<number> {
  const report = async (uris: readonly string[]) => {
    await (isSet(args, 'json') ? printJson(uris) : printLines(uris));
    return 0;
  };
  if (source === 'virt-builder')
    return untilSignal(async (signal) => (await templates(paths, signal)).map(templateText), report);
  if (source !== 'docker')
    throw usageError(`--source ${JSON.stringify(source)} is neither docker nor virt-builder`, 'list');
  return report([...new Set(sorted(listImages(paths)).flatMap(({ tag }) => upstreamText(tag.name) ?? []))]);
}

async function templates(paths: StorePaths, signal: AbortSignal) {
  const { listTemplates } = await import('../../oci/virt-builder/templates.js');
  paths.make();
  return withWorkspace(paths.roots, (workspace) => listTemplates({ workspace, store: paths.directory, signal }));
}
