/** Whom changes of the contract break: joins them with who used the contract. */
import type { ContractUser } from '../../src/contract/admin.ts';
import { type ContractChange, isBreaking } from './compatibility.ts';

/** A breaking change, and whom it breaks. */
export interface AffectedUsers {
  readonly change: ContractChange;
  /** Empty when nobody is known who used what is changed. */
  readonly users: readonly ContractUser[];
}

/** A type came to, or left, the channels of a family. */
const CARRIED = /^(\S+) (?:added|removed)$/;

/**
 * The breaking changes, in their order, each with those whom it breaks: of a type those who published it, where publishers are
 * broken, and those who subscribed to it, where subscribers are; of a family those who used its channels; of a notice those who
 * subscribed to anything; of the contract everybody. Clients that were built with the new contract are not broken.
 *
 * @param newHash the hash of the contract with the changes.
 */
export function affectedBy(changes: readonly ContractChange[], users: readonly ContractUser[], newHash: string): AffectedUsers[] {
  const earlier = users.filter(({ contract }) => contract !== newHash);
  return changes.filter(isBreaking).map((change) => ({ change, users: earlier.filter((user) => isBrokenBy(change, user)) }));
}

function isBrokenBy(change: ContractChange, user: ContractUser): boolean {
  const { subject, path, publishers, subscribers } = change;
  const subscribes = user.subscribed.length > 0;
  const kind = kindOf(subject);
  if (kind === 'contract') return true;
  if (kind === 'family') {
    if (!usesFamily(user, subject)) return false;
    return (publishers === 'breaking' && user.published.length > 0) || (subscribers === 'breaking' && subscribes);
  }
  if (kind === 'notice') return subscribes;
  const family = path === 'channel' ? CARRIED.exec(change.change)?.[1] : undefined;
  if (family !== undefined && !usesFamily(user, family)) return false;
  if (publishers === 'breaking' && user.published.includes(subject)) return true;
  // What comes to channels that did not carry it comes to all who read them.
  const isNew = family !== undefined && change.change.endsWith('added');
  return subscribers === 'breaking' && (isNew ? subscribes : user.subscribed.includes(subject));
}

/**
 * What a change is of. No name is of two kinds: families are named by the form of their channels, notices begin with `courier.`, and
 * `defineContract` refuses types that do, that have braces, or that are called `contract` or `global`.
 */
function kindOf(subject: string): 'contract' | 'family' | 'notice' | 'type' {
  if (subject === 'contract') return 'contract';
  if (subject === 'global' || subject.endsWith('.{id}')) return 'family';
  return subject.startsWith('courier.') ? 'notice' : 'type';
}

function usesFamily({ channels }: ContractUser, form: string): boolean {
  return channels.includes(form.replace('{id}', '*'));
}

/** `removing backtest.progress.bars_total breaks: courier-client-python/0.1.0 of sub risk (2 connections, backtest.*)` */
export function affectedLine({ change, users }: AffectedUsers): string {
  const names = users.map(nameOf);
  return `${deedOf(change)} breaks: ${names.length === 0 ? 'nobody who used it within the last 30 days' : names.join('; ')}`;
}

function deedOf({ subject, path, change }: ContractChange): string {
  const what = path === null ? subject : `${subject}.${path.replace(/^data\./, '')}`;
  const [, carried, deed] = path === 'channel' ? (/^(\S+) (added|removed)$/.exec(change) ?? []) : [];
  if (carried !== undefined) return deed === 'added' ? `adding ${subject} to ${carried}` : `removing ${subject} from ${carried}`;
  if (/^(?:(?:required|optional) field|type|channels|notice) removed$/.test(change)) return `removing ${what}`;
  if (/^(?:required|optional) field added$/.test(change)) return `adding ${what}`;
  return `${what}: ${change}`;
}

function nameOf({ client, sub, connections, last_seen, channels }: ContractUser): string {
  const count = connections === 1 ? '1 connection' : `${connections} connections`;
  const presence = connections === 0 ? `last seen ${last_seen}` : count;
  return `${client ?? 'a client without a name'} of sub ${sub} (${[presence, ...channels].join(', ')})`;
}
