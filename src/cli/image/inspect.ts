/** virt-sandbox-image inspect: all that is known of an image. */

import { type ImageConfig, parseConfig } from '../../oci/image-config.js';
import { findImage } from '../../oci/inspect/find-image.js';
import type { Manifest } from '../../oci/manifest.js';
import { readDocument } from '../../oci/store/blobs.js';
import { type ListedImage, listImages, manifestOfTag } from '../../oci/store/list.js';
import { StorePaths } from '../../oci/store/store-paths.js';
import type { Tag } from '../../oci/store/tags.js';
import { platformText } from '../../oci-names/platform.js';
import { oneLine } from '../../util/errors.js';
import { columns, printJson, printLines, size } from '../output.js';
import { type ImageArguments, isSet, platformName } from './arguments.js';
import { imageJson } from './list.js';
import { nameText, wordsText } from './shown.js';

/** An image with its documents. */
interface Inspected {
  readonly listed: ListedImage;
  /** Further names of it. */
  readonly otherNames: readonly Tag[];
  readonly manifest: Manifest;
  readonly config: ImageConfig;
}

export async function inspect(args: ImageArguments): Promise<number> {
  const paths = new StorePaths();
  const [word = ''] = args.words;
  const inspected = read(paths, findImage(paths, word, platformName(args)));
  if (isSet(args, 'json')) await printJson(json(inspected));
  else await printLines(lines(inspected));
  return 0;
}

/** @throws {SandboxError} `store-damaged`, and those of documents */
function read(paths: StorePaths, tag: Tag): Inspected {
  const all = listImages(paths);
  const listed = all.find((one) => one.tag.name === tag.name && one.tag.platform === tag.platform);
  const manifest = manifestOfTag(paths, tag);
  const config = parseConfig(readDocument(paths, tag.config), manifest, tag.name);
  const otherNames = all.map((one) => one.tag).filter((one) => one.manifest === tag.manifest && one.name !== tag.name);
  return {
    listed: listed ?? { tag, root: undefined, lastUsed: undefined, usedBy: [] },
    otherNames: otherNames.filter(({ name }, at) => otherNames.findIndex((one) => one.name === name) === at),
    manifest,
    config,
  };
}

function json({ listed, otherNames, manifest, config }: Inspected): object {
  const { platform: made, ...known } = config;
  return {
    ...imageJson(listed),
    otherNames: otherNames.map(({ name }) => name),
    builtFor: platformText(made),
    ...known,
    layers: manifest.layers.map(({ mediaType, digest, size: bytes }, at) => {
      return { mediaType, digest, size: bytes, diffId: config.diffIds[at] };
    }),
  };
}

function lines({ listed: { tag, root, usedBy }, otherNames, manifest, config }: Inspected): string[] {
  const fields: readonly (readonly [name: string, value: string])[] = [
    ['name', nameText(tag)],
    ...otherNames.map((other) => ['also', nameText(other)] as const),
    ['id', tag.manifest],
    ['index', tag.top === tag.manifest ? '' : tag.top],
    ['platform', platformText(config.platform)],
    ['created', config.created ?? ''],
    ['pulled', tag.pulled],
    ['layers', `${manifest.layers.length}, ${size(tag.size)}`],
    [
      'file system',
      root === undefined ? 'missing; it is made again of the layers' : `${root.path}, ${size(root.size)}`,
    ],
    ['in use by', usedBy.join(', ')],
    ['entrypoint', wordsText(config.entrypoint)],
    ['command', wordsText(config.command)],
    ['user', config.user],
    ['directory', config.workingDirectory],
    ['stop signal', config.stopSignal ?? ''],
    ['ports', config.exposedPorts.join(', ')],
    ['volumes', config.volumes.join(', ')],
    ...config.environment.map((variable) => ['variable', variable] as const),
    ...Object.entries(config.labels).map(([key, value]) => ['label', `${key}=${value}`] as const),
  ];
  const table = manifest.layers.map(({ digest, size: bytes }, at) => [String(at + 1), size(bytes), digest]);
  return [
    ...fields.filter(([, value]) => value !== '').map(([name, value]) => `${name}: ${oneLine(value)}`),
    ...(table.length === 0 ? [] : ['', ...columns([['LAYER', 'SIZE', 'DIGEST'], ...table])]),
  ];
}
