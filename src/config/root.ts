/** What the root of a sandbox is: a directory of the host, or the file system of an OCI image. */
import { parseDigest } from '../oci-names/digest.js';
import { parsePlatform, platformText } from '../oci-names/platform.js';
import { isPullPolicy, PULL_POLICIES } from '../oci-names/pull-policy.js';
import { isLocalImage, isRootImage, parseRootImage, type RootImage, rootImageText } from '../oci-names/root-image.js';
import { option as optionName } from '../util/option-names.js';
import { argumentError, quote } from './errors.js';
import { hostPath } from './path.js';
import type { ImageRoot, Root, SandboxConfig } from './types.js';

/** What is asked of an image, as text. */
export interface ImageRootTexts {
  readonly pull?: string | undefined;
  readonly manifest?: string | undefined;
  readonly platform?: string | undefined;
  readonly authfile?: string | undefined;
  readonly tlsVerify?: string | undefined;
  readonly entrypoint?: string | undefined;
  readonly user?: string | undefined;
  readonly publishAll?: boolean | undefined;
}

const NAMES: Readonly<Record<keyof ImageRootTexts, string>> = {
  pull: '--pull',
  manifest: 'manifest',
  platform: '--platform',
  authfile: '--authfile',
  tlsVerify: '--tls-verify',
  entrypoint: '--entrypoint',
  user: '--user',
  publishAll: '--publish-all',
};

/** An image with the defaults of everything else. */
export function imageRoot(image: RootImage): ImageRoot {
  return {
    ...{ type: 'image', image, pull: 'missing', manifest: undefined, platform: undefined },
    ...{ authFile: undefined, tlsVerify: true },
    ...{ entrypoint: undefined, user: undefined, publishAll: false, stored: undefined },
  };
}

/**
 * Reads `DIR`, `docker://NAME`, `oci:DIR[:TAG]` and the like.
 * @param what the option or thing that has the text, for messages
 * @throws {SandboxError} `path-empty`, `working-directory-gone`, `reference-invalid`, `digest-invalid`,
 *   `password-in-reference`, `image-path-invalid`
 */
export function parseRoot(text: string, what: string): Root {
  if (!isRootImage(text)) return { type: 'directory', path: hostPath(text, what) };
  const image = parseRootImage(text);
  if (!isLocalImage(image)) return imageRoot(image);
  const path = hostPath(image.path, what);
  if (image.transport !== 'tar' && path.includes(':')) throw colonIn(path);
  return imageRoot({ ...image, path });
}

/** The text that {@link parseRoot} reads again. */
export function rootText(root: Root): string {
  return root.type === 'directory' ? root.path : rootImageText(root.image);
}

/**
 * The root with what is asked of its image.
 * @param root an option's, or that of a file
 * @param nameOf how messages call one of the texts
 * @throws {SandboxError} `root-not-image`, `pull-policy-unknown`, `tls-verify-unknown`, `platform-invalid`, `path-empty`
 */
export function withImageTexts(
  root: Root,
  texts: ImageRootTexts,
  nameOf: (key: keyof ImageRootTexts) => string = (key) => NAMES[key],
): Root {
  const given = (Object.keys(NAMES) as (keyof ImageRootTexts)[]).filter((key) => texts[key] !== undefined);
  const [first] = given;
  if (first === undefined) return root;
  if (root.type !== 'image') throw notImage(nameOf(first), root.path);
  const { pull, manifest, platform, authfile, tlsVerify, entrypoint, user, publishAll } = texts;
  return {
    ...root,
    pull: pull === undefined ? root.pull : policyOf(pull, nameOf('pull')),
    manifest: manifest === undefined ? root.manifest : parseDigest(manifest),
    platform: platform === undefined ? root.platform : parsePlatform(platform),
    authFile: authfile === undefined ? root.authFile : hostPath(authfile, nameOf('authfile')),
    tlsVerify: tlsVerify === undefined ? root.tlsVerify : truthOf(tlsVerify, nameOf('tlsVerify')),
    entrypoint: entrypoint ?? root.entrypoint,
    // Empty, it is the image's, as in other engines: not root.
    user: user || root.user,
    publishAll: publishAll ?? root.publishAll,
  };
}

/** What is asked of an image, as {@link withImageTexts} reads it; what has its default is left out. */
export function imageTexts(root: Root): ImageRootTexts {
  if (root.type !== 'image') return {};
  const { pull, manifest, platform, authFile, tlsVerify, entrypoint, user, publishAll } = root;
  return {
    pull: pull === 'missing' ? undefined : pull,
    manifest,
    platform: platform && platformText(platform),
    authfile: authFile,
    tlsVerify: tlsVerify ? undefined : 'false',
    entrypoint,
    user,
    publishAll: publishAll || undefined,
  };
}

function policyOf(text: string, name: string) {
  if (isPullPolicy(text)) return text;
  throw argumentError('pull-policy-unknown', `${name} cannot be ${quote(text)}`, `give ${PULL_POLICIES.join(', ')}`);
}

function truthOf(text: string, name: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  throw argumentError('tls-verify-unknown', `${name} cannot be ${quote(text)}`, 'give true or false');
}

/** What stands behind a colon is the name of an image in there. */
function colonIn(path: string) {
  return argumentError(
    'image-path-invalid',
    `the path ${quote(path)} of an image has a colon in it`,
    'move it elsewhere, or let a symbolic link without one lead there',
  );
}

function notImage(name: string, path: string) {
  return argumentError(
    'root-not-image',
    `${name} is for the root of an OCI image, and the root is the directory ${quote(path)}`,
    `name an image with ${optionName('root', 'docker://NAME')}, or leave it out`,
  );
}

/**
 * The directory of the host that is the root.
 * @throws {Error} the root is that of an image, which is a disk and in no directory: a mistake of the caller
 */
export function rootDirectoryOf({ root }: Pick<SandboxConfig, 'root'>): string {
  if (root.type === 'directory') return root.path;
  throw new Error('the root of an image is no directory of the host');
}
