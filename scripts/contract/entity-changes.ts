/** Compares the entities of two versions of the contract: what the change means for the states that are kept, and for who watches them. */
import type { ContractDocument, EntityOfState } from '../../src/contract/document.ts';
import { type ContractChange, row } from './change.ts';
import { own } from './keywords.ts';
import { breaks, fine, isWording, type SchemaChange, schemaChanges } from './schema-changes.ts';
import { strict } from './strict.ts';

const NOT_PUBLISHED = fine('publishers do not say it');

export function entityChanges(before: ContractDocument, after: ContractDocument): ContractChange[] {
  const [old, now] = [before['x-entities'] ?? {}, after['x-entities'] ?? {}];
  return [...new Set([...Object.keys(old), ...Object.keys(now)])].flatMap((name) =>
    changesOf(`entity ${name}`, own<EntityOfState>(old, name), own<EntityOfState>(now, name)),
  );
}

function changesOf(subject: string, old: EntityOfState | undefined, now: EntityOfState | undefined): ContractChange[] {
  if (old === undefined) return [row(subject, null, 'entity added', NOT_PUBLISHED, fine('nobody has to watch it'))];
  if (now === undefined) return [row(subject, null, 'entity removed', NOT_PUBLISHED, breaks('watching it is refused'))];
  const state = schemaChanges(strict(old.state), strict(now.state));
  return [
    ...versionChanges(subject, old, now, state),
    ...familyChanges(subject, old, now),
    ...state.map(({ path, change, subscribers }) =>
      row(subject, path === '' ? 'state' : `state.${path}`, change, NOT_PUBLISHED, subscribers),
    ),
  ];
}

/** Kept states are of a version: what makes others has to have another. */
function versionChanges(subject: string, old: EntityOfState, now: EntityOfState, state: readonly SchemaChange[]): ContractChange[] {
  if (old.version !== now.version) {
    const change = `version ${old.version} → ${now.version}`;
    if (now.migrates?.includes(old.version) !== true) {
      // Nothing leads back from a later version.
      const why = now.version > old.version ? `without migrate.${old.version}` : 'in an earlier version';
      return [row(subject, 'version', change, NOT_PUBLISHED, breaks(`${why} what began before the log does is lost`))];
    }
    return [row(subject, 'version', change, NOT_PUBLISHED, fine('the states are made anew, and those who watch them get them all'))];
  }
  const differs = {
    folds: old.folds !== now.folds,
    // Their order is that of the key's text.
    key: JSON.stringify(old.key) !== JSON.stringify(now.key),
    types: JSON.stringify(old.types.toSorted()) !== JSON.stringify(now.types.toSorted()),
    state: !state.every(isWording),
  };
  const parts = (['folds', 'key', 'types', 'state'] as const).filter((part) => differs[part]);
  return parts.map((part) =>
    row(subject, part, PARTS[part], NOT_PUBLISHED, breaks(`the states that are kept stay as they are: give it version ${now.version + 1}`)),
  );
}

const PARTS = {
  folds: 'its reducer makes other states of the examples',
  key: 'other fields name it',
  types: 'other types change it',
  state: 'its state has another form',
};

function familyChanges(subject: string, old: EntityOfState, now: EntityOfState): ContractChange[] {
  return [...new Set([...old.families, ...now.families])].flatMap((family) => {
    const [had, has] = [old.families.includes(family), now.families.includes(family)];
    if (had === has) return [];
    if (has) return [row(subject, 'families', `${family} added`, NOT_PUBLISHED, fine('nobody has to watch it there'))];
    return [row(subject, 'families', `${family} removed`, NOT_PUBLISHED, breaks('there is no state of it there any more'))];
  });
}
