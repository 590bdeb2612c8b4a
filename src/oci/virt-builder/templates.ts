/** The templates that virt-builder knows. */
import * as v from 'valibot';
import { imageError } from '../../oci-names/errors.js';
import { hostPlatform, machineName, parseArchitecture } from '../../oci-names/platform.js';
import { isTemplateName, type Template } from '../../oci-names/template.js';
import { parseJson } from '../../util/records.js';
import { MOST_DOCUMENT_BYTES } from '../limits.js';
import { runGuestfs } from './guestfs-program.js';

const ListSchema = v.object({
  version: v.literal(1),
  templates: v.array(v.object({ 'os-version': v.string(), arch: v.string(), hidden: v.optional(v.boolean(), false) })),
});

export interface TemplateListOptions {
  /** A directory for temporary files. */
  readonly workspace: string;
  /** The directory above it, for messages. */
  readonly store: string;
  readonly environment?: NodeJS.ProcessEnv | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * What `virt-builder --list` has, in its order; those for this host without their architecture. It asks its sources.
 * @throws {SandboxError} `virt-builder-missing`, `virt-builder-failed`, `template-list-invalid`, `aborted`
 */
export async function listTemplates(options: TemplateListOptions): Promise<Template[]> {
  const { environment = process.env } = options;
  const pieces: Buffer[] = [];
  let length = 0;
  await runGuestfs(
    {
      program: 'virt-builder',
      args: ['--list', '--list-format', 'json'],
      what: 'the list of its templates',
      isImage: false,
      workspace: options.workspace,
      store: options.store,
      environment,
      signal: options.signal,
    },
    (piece) => {
      length += piece.length;
      if (length > MOST_DOCUMENT_BYTES) throw invalid(`has more than ${MOST_DOCUMENT_BYTES} bytes`);
      pieces.push(piece);
    },
  );
  return parseTemplateList(Buffer.concat(pieces).toString());
}

/**
 * Names that are none are left out, and so are templates that their sources hide.
 * @throws {SandboxError} `template-list-invalid`
 */
export function parseTemplateList(text: string, own = hostPlatform().architecture): Template[] {
  const list = v.safeParse(ListSchema, parseJson(text));
  if (!list.success) throw invalid('has another form than expected');
  return list.output.templates
    .filter(({ hidden, arch, 'os-version': name }) => !hidden && isTemplateName(name) && /^[a-z0-9_]{1,32}$/.test(arch))
    .map(({ arch, 'os-version': template }) => {
      const architecture = parseArchitecture(arch);
      return { template, architecture: architecture === own ? undefined : machineName(architecture) };
    });
}

function invalid(why: string) {
  return imageError(
    'template-list-invalid',
    `the list that virt-builder prints ${why}`,
    'run virt-builder --list --list-format json, and check the sources in its repos.d',
  );
}
