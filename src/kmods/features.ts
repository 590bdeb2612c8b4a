/**
 * Which features of a set a kernel has: built in, as a module, or not at all.
 */

import { SandboxError } from '../util/errors.js';
import type { ModuleSet } from './sets.js';
import { type ModuleState, type ModuleTree, stateOf } from './tree.js';

/** A feature of a set in one kernel. */
export interface FeatureState {
  readonly set: string;
  readonly title: string;
  readonly required: boolean;
  /** The kernel's build option. */
  readonly option: string;
  /** `absent` when one of its modules is, `built-in` when all are. */
  readonly state: ModuleState;
  /** Each module that makes it, by its name. */
  readonly modules: Readonly<Record<string, ModuleState>>;
}

/** The states of all features of `sets`, in the sets' order. */
export function featureStates(tree: ModuleTree, sets: readonly ModuleSet[]): FeatureState[] {
  return sets.flatMap((set) =>
    set.features.map((feature) => {
      const states = feature.modules.map((name) => [name, stateOf(tree, name)] as const);
      const all = states.map(([, state]) => state);
      const state = all.includes('absent') ? 'absent' : all.includes('module') ? 'module' : 'built-in';
      const { title, required, option } = feature;
      return { set: set.name, title, required, option, state, modules: Object.fromEntries(states) };
    }),
  );
}

/** The first required feature that is absent. */
export function missingFeature(states: readonly FeatureState[]): FeatureState | undefined {
  return states.find((feature) => feature.required && feature.state === 'absent');
}

/** "has no 9p file system, neither built in nor as a module". */
export function lackSentence(feature: FeatureState): string {
  return `has no ${feature.title}, neither built in nor as a module`;
}

/**
 * The error for a kernel without a feature that is needed.
 *
 * @param serving Versions of installed kernels that have all that is needed.
 */
export function featureAbsentError(version: string, feature: FeatureState, serving: readonly string[]): SandboxError {
  const [other] = serving;
  return new SandboxError({
    stage: 'modules',
    code: 'feature-absent',
    message: `kernel ${version} ${lackSentence(feature)}`,
    remedy:
      other === undefined
        ? `install a kernel that is built with ${feature.option} (Debian: linux-image-amd64)`
        : `use kernel ${other}, which is installed and has it (--kernver ${other})`,
  });
}

/** The modules of all features that are there, in the sets' order. */
export function modulesOf(states: readonly FeatureState[]): string[] {
  return states
    .filter((feature) => feature.state !== 'absent')
    .flatMap((feature) =>
      Object.entries(feature.modules)
        .filter(([, state]) => state === 'module')
        .map(([name]) => name),
    );
}
