/** An image's config: what it runs, as whom and where, and the digests of its layers. */
import * as v from 'valibot';
import { type Digest, isDigest } from '../oci-names/digest.js';
import { imageError } from '../oci-names/errors.js';
import type { Platform } from '../oci-names/platform.js';
import { type ConfigTexts, refuseOddConfig } from './config-values.js';
import { checked, type Manifest, parseBounded, platformPart } from './manifest.js';

/** OCI image specification, config.md. Fields that are not set are empty. */
export interface ImageConfig {
  readonly platform: Platform;
  readonly created: string | undefined;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  /** `NAME=VALUE`, in the image's order. */
  readonly environment: readonly string[];
  /** `user`, `uid`, `user:group`, or empty. */
  readonly user: string;
  /** Absolute, or empty. */
  readonly workingDirectory: string;
  /** `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3` */
  readonly stopSignal: string | undefined;
  readonly volumes: readonly string[];
  /** `80/tcp` */
  readonly exposedPorts: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** The digests of the layers when they are unpacked, the lowest first. */
  readonly diffIds: readonly Digest[];
  readonly history: readonly HistoryEntry[];
}

export interface HistoryEntry {
  readonly created: string | undefined;
  readonly createdBy: string | undefined;
  /** It made no layer. */
  readonly isEmpty: boolean;
}

const text = v.string();
const words = v.nullish(v.array(text));
/** A set, as Go writes it: an object of empty objects. */
const set = v.nullish(v.record(text, v.unknown()));

const ConfigSchema = v.object({
  os: platformPart,
  architecture: platformPart,
  variant: v.nullish(platformPart),
  created: v.nullish(text),
  config: v.nullish(
    v.object({
      Entrypoint: words,
      Cmd: words,
      Env: words,
      User: v.nullish(text),
      WorkingDir: v.nullish(text),
      StopSignal: v.nullish(text),
      Volumes: set,
      ExposedPorts: set,
      Labels: v.nullish(v.record(text, text)),
    }),
  ),
  rootfs: v.object({
    type: v.literal('layers'),
    diff_ids: v.array(v.pipe(text, v.check(isDigest, 'it is no sha256 or sha512 digest'))),
  }),
  history: v.nullish(
    v.array(v.object({ created: v.nullish(text), created_by: v.nullish(text), empty_layer: v.nullish(v.boolean()) })),
  ),
});

/**
 * Reads a config.
 * @param which names the image, for errors
 * @throws {SandboxError} `manifest-invalid`; `config-invalid`: it does not fit the manifest, or says what cannot be
 */
export function parseConfig(bytes: Buffer, manifest: Manifest, which: string): ImageConfig {
  const value = checked(ConfigSchema, parseBounded(bytes, `the config of ${which}`), `the config of ${which}`);
  const { config, rootfs, history } = value;
  if (rootfs.diff_ids.length !== manifest.layers.length)
    throw imageError(
      'config-invalid',
      `${which} has ${manifest.layers.length} layers, and its config names ${rootfs.diff_ids.length}`,
      'use another tag, or have it pushed again',
    );
  const texts: ConfigTexts = {
    Entrypoint: config?.Entrypoint ?? [],
    Cmd: config?.Cmd ?? [],
    Env: config?.Env ?? [],
    User: config?.User ?? '',
    WorkingDir: config?.WorkingDir ?? '',
    StopSignal: config?.StopSignal ?? '',
    Volumes: Object.keys(config?.Volumes ?? {}).sort(),
    ExposedPorts: Object.keys(config?.ExposedPorts ?? {}).sort(),
  };
  refuseOddConfig(texts, which);
  return {
    platform: { os: value.os, architecture: value.architecture, variant: value.variant || undefined },
    created: value.created ?? undefined,
    entrypoint: texts.Entrypoint,
    command: texts.Cmd,
    environment: texts.Env,
    user: texts.User,
    workingDirectory: absolute(texts.WorkingDir),
    stopSignal: texts.StopSignal || undefined,
    volumes: texts.Volumes,
    exposedPorts: texts.ExposedPorts,
    labels: config?.Labels ?? {},
    diffIds: rootfs.diff_ids as Digest[],
    history: (history ?? []).map((entry) => ({
      created: entry.created ?? undefined,
      createdBy: entry.created_by ?? undefined,
      isEmpty: entry.empty_layer ?? false,
    })),
  };
}

/** Some builders leave out the slash; it is below the root all the same. */
function absolute(path: string): string {
  return path === '' || path.startsWith('/') ? path : `/${path}`;
}
