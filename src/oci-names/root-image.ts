/**
 * Where the image of a root comes from: `docker://debian:13`, `oci:DIR[:TAG]`, `docker-archive:FILE[:NAME]`,
 * `oci-archive:FILE[:TAG]`, `tar:FILE`, `virt-builder:///NAME`. The form of libvirt-sandbox's virt-sandbox-image is
 * understood too: `docker:///ubuntu?tag=15.04`.
 */
import { parseDigest } from './digest.js';
import { imageError, quoted } from './errors.js';
import {
  DOCKER_HUB,
  invalid,
  isHost,
  makeReference,
  parseReference,
  type Reference,
  referenceText,
} from './reference.js';
import { parseTemplate, type Template, templateText } from './template.js';

/** A place on this host that an image is read from. */
export const LOCAL_TRANSPORTS = ['oci', 'oci-archive', 'docker-archive'] as const;
export type LocalTransport = (typeof LOCAL_TRANSPORTS)[number];

export type RootImage =
  | { readonly transport: 'docker'; readonly reference: Reference }
  | {
      readonly transport: LocalTransport;
      readonly path: string;
      /** Which image, where there are several: a tag, or what Docker calls it. */
      readonly name: string | undefined;
    }
  | { readonly transport: 'tar'; readonly path: string }
  | ({ readonly transport: 'virt-builder' } & Template);

/** One that is read from a file or a directory of this host. */
export type LocalImage = Extract<RootImage, { readonly path: string }>;

export function isLocalImage(image: RootImage): image is LocalImage {
  return 'path' in image;
}

/** True for a value of `--root` that names an image, and not a directory or a disk. */
export function isRootImage(text: string): boolean {
  return /^(docker(\+\w+)?|oci|oci-archive|docker-archive|tar|virt-builder):/.test(text);
}

/**
 * An image as people type it where nothing else than an image can be meant: without `docker://` it is one of a registry.
 * So is `docker:27`, a repository of Docker Hub with its tag.
 * @throws {SandboxError} as {@link parseRootImage}
 */
export function parseTypedImage(text: string): RootImage {
  const isName = !isRootImage(text) || /^(docker|virt-builder):[^/]/.test(text);
  return parseRootImage(isName ? `docker://${text}` : text);
}

/** @throws {SandboxError} `reference-invalid`, `digest-invalid`, `password-in-reference` */
export function parseRootImage(text: string): RootImage {
  const colon = text.indexOf(':');
  const kind = text.slice(0, Math.max(colon, 0));
  const rest = text.slice(colon + 1);
  if (kind === 'docker' || kind.startsWith('docker+'))
    return { transport: 'docker', reference: parseDocker(kind, rest, text) };
  if (kind === 'tar') return { transport: 'tar', path: nonEmpty(rest, text) };
  if (kind === 'virt-builder') return { transport: 'virt-builder', ...parseTemplate(rest, text) };
  const transport = LOCAL_TRANSPORTS.find((known) => known === kind);
  if (transport === undefined)
    throw imageError(
      'reference-invalid',
      `${quoted(text)} is no kind of image that is known here`,
      'begin it with docker://, oci:, docker-archive:, oci-archive:, tar: or virt-builder:///',
    );
  const end = rest.indexOf(':');
  const path = nonEmpty(end < 0 ? rest : rest.slice(0, end), text);
  return { transport, path, name: end < 0 ? undefined : nonEmpty(rest.slice(end + 1), text) };
}

function nonEmpty(part: string, text: string): string {
  if (part !== '' && !part.includes('\0')) return part;
  const kind = text.slice(0, text.indexOf(':'));
  const [what, path] = kind === 'oci' ? ['directory', 'oci:DIR'] : ['file', `${kind}:FILE`];
  const which = kind === 'docker-archive' ? 'NAME' : 'TAG';
  const isNamed = text.slice(kind.length + 1).includes(':');
  throw imageError(
    'reference-invalid',
    `${quoted(text)} names no ${isNamed ? 'image of a ' : ''}${what}`,
    `write ${kind === 'tar' ? path : `${path}, or ${path}:${which}`}`,
  );
}

function parseDocker(kind: string, rest: string, text: string): Reference {
  const isUpstream = kind !== 'docker' || rest.includes('?') || rest.startsWith('///') || !rest.startsWith('//');
  if (!isUpstream) return parseReference(withoutPassword(rest.slice(2)));
  return parseUpstream(kind, rest, text);
}

/** `docker[+PROTOCOL]:[//[HOST[:PORT]]]/PATH[?tag=TAG]`, in which no host means Docker Hub. */
function parseUpstream(kind: string, rest: string, text: string): Reference {
  if (kind !== 'docker' && kind !== 'docker+https')
    throw imageError(
      'reference-invalid',
      `${quoted(text)} asks for ${quoted(kind)}, and registries are asked over HTTPS`,
      'write docker://HOST/NAME, with --tls-verify=false for a registry without TLS',
    );
  const [, authority = '', path = '', query = ''] = /^(?:\/\/([^/?]*))?(\/[^?]*)(?:\?(.*))?$/s.exec(rest) ?? [];
  if (path === '') throw invalid(text, 'it has no name');
  const host = withoutPassword(authority) || DOCKER_HUB;
  // In a reference a name without a dot or a port would be a user of Docker Hub.
  const registry = isHost(host) ? host : `${host}:443`;
  const { tag, digest } = parseQuery(query, text);
  return makeReference({ registry, repository: path.slice(1), tag, digest }, text);
}

function parseQuery(query: string, text: string): Pick<Reference, 'tag' | 'digest'> {
  const given = new Map<string, string>();
  for (const part of query.split('&').filter((part) => part !== '')) {
    const [key = '', value = ''] = part.split('=', 2);
    if ((key !== 'tag' && key !== 'digest') || given.has(key))
      throw invalid(text, `${quoted(part)} is not understood behind the ?`);
    given.set(key, value);
  }
  const digest = given.get('digest');
  return { tag: given.get('tag'), digest: digest === undefined ? undefined : parseDigest(digest) };
}

/** Everybody on this host reads command lines, and a URI is kept in files. */
function withoutPassword(authority: string): string {
  const slash = authority.indexOf('/');
  const host = slash < 0 ? authority : authority.slice(0, slash);
  const at = host.indexOf('@');
  // A digest has an @ too, behind a name: debian@sha256:…
  if (at < 0 || /^sha\d+:/.test(host.slice(at + 1))) return authority;
  throw imageError(
    'password-in-reference',
    `a reference to an image at ${quoted(host.slice(at + 1))} has a user in it`,
    `put user and password into an auth file, which --authfile names`,
  );
}

/** The whole name of an image, which {@link parseRootImage} reads again. */
export function rootImageText(image: RootImage): string {
  if (image.transport === 'docker') return `docker://${referenceText(image.reference)}`;
  if (image.transport === 'tar') return `tar:${image.path}`;
  if (image.transport === 'virt-builder') return templateText(image);
  return `${image.transport}:${image.path}${image.name === undefined ? '' : `:${image.name}`}`;
}
