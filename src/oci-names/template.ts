/** Names of virt-builder's templates: `virt-builder:///NAME[?arch=ARCHITECTURE]`. */
import { imageError, quoted } from './errors.js';
import { machineName, parseArchitecture } from './platform.js';

export interface Template {
  /** As `virt-builder --list` has it: `debian-12`. */
  readonly template: string;
  /** As `uname -m` says it; undefined: that of the platform which is asked for. */
  readonly architecture: string | undefined;
}

/** virt-builder's own grammar for a section of its index, and not an option: builder/index-scan.l of guestfs-tools. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const ARCHITECTURE = /^[a-z0-9_-]{1,32}$/;

/** True for a name that virt-builder can have, and that is no option of it. */
export function isTemplateName(text: string): boolean {
  return NAME.test(text);
}

/**
 * @param rest what stands behind `virt-builder:`
 * @param text the whole text, for messages
 * @throws {SandboxError} `reference-invalid`
 */
export function parseTemplate(rest: string, text: string): Template {
  const [, name = '', query] = /^(?:\/\/)?\/([^/?]*)(?:\?(.*))?$/s.exec(rest) ?? [];
  if (!isTemplateName(name)) throw invalid(text, 'names no template of virt-builder');
  if (query === undefined || query === '') return { template: name, architecture: undefined };
  const [, architecture = ''] = /^arch=(.*)$/s.exec(query) ?? [];
  if (!ARCHITECTURE.test(architecture)) throw invalid(text, 'has no architecture behind the ?');
  return { template: name, architecture: machineName(parseArchitecture(architecture)) };
}

/** The text that {@link parseTemplate} reads again. */
export function templateText({ template, architecture }: Template): string {
  return `virt-builder:///${template}${architecture === undefined ? '' : `?arch=${architecture}`}`;
}

function invalid(text: string, why: string) {
  return imageError(
    'reference-invalid',
    `${quoted(text)} ${why}`,
    'write virt-builder:///NAME, or virt-builder:///NAME?arch=x86_64; virt-sandbox-image list -s virt-builder has them',
  );
}
