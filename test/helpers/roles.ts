/** Roles of a contract's services in tests: what a test says of a role is true of any contract. */
import type { TRPCClient } from '@trpc/client';
import type { Contract } from '../../src/contract/contract.ts';
import { procedureOf } from '../../src/contract/names.ts';
import type * as of from '../../src/contract/types.ts';
import type { RouterOf } from '../../src/router/routes.ts';

export type Data = Readonly<Record<string, unknown>>;
/** What the compiler knows of a contract of which it knows these families and services. */
type AnyTypes<F, S> = { data: Record<string, Data>; input: Record<string, Data>; families: F; services: S; ids: { user: 'user_id' } };
/** Any contract. */
export type TradeContract = of.TypedContract<AnyTypes<Record<string, string>, Record<string, string>>>;
type Nameless = of.TypedContract<AnyTypes<{ global: string; user: string }, object>>;
export type TradeDraft = of.EventDraft<TradeContract>;
export type TradeEvent = of.Received<TradeContract, '**'>;
/** tRPC's client: the procedures of every contract by name, those of a role by `over`. */
export type TradeClient = TRPCClient<RouterOf<TradeContract>> & Pick<TRPCClient<RouterOf<Nameless>>, 'global' | 'user'>;

/** The procedure of a family. */
export function onEventOf(trpc: TradeClient, family: string): TradeClient['global']['onEvent'] {
  const [route, name] = procedureOf(family).split('.') as [string, string];
  const routes = trpc as unknown as Readonly<Record<string, Readonly<Record<string, TradeClient['global']['onEvent']>>>>;
  return routes[route]?.[name] as TradeClient['global']['onEvent'];
}

/** A service, and the family of channels that is the home of its types. */
interface Names {
  readonly service: string;
  readonly family: string;
}

export class Role {
  readonly service: string;
  readonly family: string;
  /** The pattern for all channels of the family. */
  readonly all: string;
  /** The procedure that subscribes to a channel of the family. */
  readonly procedure: string;
  readonly idField: string;

  constructor(contract: Contract, { service, family }: Names) {
    this.service = service;
    this.family = family;
    this.all = `${family}.*`;
    this.procedure = procedureOf(family);
    this.idField = contract.families.get(family)?.id as string;
  }

  channel(id: string): string {
    return `${this.family}.${id}`;
  }

  /** The data of an event on a channel, or the input of the family's procedure. */
  named(id: string, others: Data = {}): Data {
    return { [this.idField]: id, ...others };
  }

  /** The procedures of the service and of the family, as a client calls them. */
  over(trpc: TradeClient) {
    const routes = trpc as unknown as Readonly<Record<string, Pick<TradeClient['events'], 'publish'>>>;
    return { publish: (routes[this.service] as (typeof routes)[string]).publish, onEvent: onEventOf(trpc, this.family) };
  }

  protected draft(type: string, id: string, others?: Data): TradeDraft {
    return { type, channel: this.channel(id), data: this.named(id, others) };
  }
}

/** A type, and the field of its data that the test fills in. */
interface TypeWith {
  readonly type: string;
  readonly field: string;
}

/** The publisher of most tests, at home in one family, whose name has two segments. */
export class Worker extends Role {
  /** The pattern for all that begins as the name of the family does. */
  readonly everything: string;
  /** Says a text of the test's choice. */
  readonly noted: TypeWith;
  /** Says a number from 0 to 1. */
  readonly measured: TypeWith;
  /** Has free-form data, of any size, and an optional number that may be large. */
  readonly reported: TypeWith & { readonly number: string };
  /** Has a `code` and a `message`. */
  readonly failed: string;

  constructor(contract: Contract, about: Names & Pick<Worker, 'noted' | 'measured' | 'reported' | 'failed'>) {
    super(contract, about);
    this.everything = `${about.family.split('.', 1)[0]}.**`;
    this.noted = about.noted;
    this.measured = about.measured;
    this.reported = about.reported;
    this.failed = about.failed;
  }

  note(text = 'k', id = 'j'): TradeDraft {
    return this.draft(this.noted.type, id, { [this.noted.field]: text });
  }

  measure(fraction = 0.5, id = 'j'): TradeDraft {
    return this.draft(this.measured.type, id, { [this.measured.field]: fraction });
  }

  report(freeForm?: Data, id = 'j'): TradeDraft {
    return this.draft(this.reported.type, id, freeForm && { [this.reported.field]: freeForm });
  }

  failure(code: string, message: string, id = 'j'): TradeDraft {
    return this.draft(this.failed, id, { code, message });
  }

  /** The texts of the notes among events, in their order. */
  notesIn(events: readonly TradeEvent[]): unknown[] {
    return events.filter(({ type }) => type === this.noted.type).map(({ data }) => (data as Data)[this.noted.field]);
  }
}

/** A second service, whose types have two homes: its own family, and that of the stranger. */
export class Traveller extends Role {
  /** Needs nothing but the id. */
  readonly begun: string;
  readonly measured: TypeWith;
  readonly failed: string;

  constructor(contract: Contract, about: Names & Pick<Traveller, 'begun' | 'measured' | 'failed'>) {
    super(contract, about);
    this.begun = about.begun;
    this.measured = about.measured;
    this.failed = about.failed;
  }

  begin(id = 'b1'): TradeDraft {
    return this.draft(this.begun, id);
  }

  measure(fraction = 0.5, id = 'b1'): TradeDraft {
    return this.draft(this.measured.type, id, { [this.measured.field]: fraction });
  }
}

/** A third service, which has no right to what the others do. */
export class Stranger extends Role {
  /** Has a list of up to 1,000 texts. */
  readonly listed: TypeWith;

  constructor(contract: Contract, about: Names & Pick<Stranger, 'listed'>) {
    super(contract, about);
    this.listed = about.listed;
  }

  list(texts: readonly unknown[], id = 's'): TradeDraft {
    return this.draft(this.listed.type, id, { [this.listed.field]: texts });
  }
}
