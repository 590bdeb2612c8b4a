/** `--security MODE[,label=LABEL]`. */
import { argumentError, quote } from '../errors.js';
import type { Security } from '../types.js';
import { splitOnce } from './text.js';

const SYNTAX = 'write dynamic, static or inherit, each alone or with ,label=LABEL';

/**
 * Reads the confinement of the sandbox. The label is everything after `label=`, commas included.
 * - `dynamic`: libvirt makes a label of its own from the base label
 * - `static`: the label as it is, by default the caller's
 * - `inherit`: the same
 * @throws SandboxError `security-mode-unknown`, `security-option-unknown`, `security-label-missing`
 */
export function parseSecurity(text: string): Security {
  const [mode, option] = splitOnce(text, ',') ?? [text, undefined];
  if (mode !== 'dynamic' && mode !== 'static' && mode !== 'inherit') {
    throw argumentError('security-mode-unknown', `security ${quote(text)} has the unknown mode ${quote(mode)}`, SYNTAX);
  }
  if (option !== undefined && !option.startsWith('label=')) {
    throw argumentError(
      'security-option-unknown',
      `security ${quote(text)} has the unknown option ${quote(option)}`,
      SYNTAX,
    );
  }
  const label = option?.slice('label='.length);
  if (label === '') {
    throw argumentError('security-label-missing', `security ${quote(text)} has no label`, SYNTAX);
  }
  return { mode, label };
}
