/** The names that code has for what a contract declares. Clients import this file, so it imports nothing. */

/** `yard.block` -> `YardBlock`. */
export function pascalCase(name: string): string {
  return name.replace(/(?:^|[^A-Za-z0-9]+)(.?)/g, (_all, first: string) => first.toUpperCase());
}

/** The procedure that subscribes to a channel of a family: `vessel.onEvent`, and `yard.onBlock` for `yard.block`. */
export function procedureOf(family: string): string {
  const [first, ...rest] = family.split('.');
  return `${first}.${rest.length === 0 ? 'onEvent' : `on${pascalCase(rest.join('.'))}`}`;
}

type Capital<S extends string> = S extends `${infer Head}_${infer Tail}` ? `${Capitalize<Head>}${Capital<Tail>}` : Capitalize<S>;
/** The same as types: `yard.block` -> `YardBlock`. */
export type PascalCase<S extends string> = S extends `${infer Head}.${infer Tail}` ? `${Capital<Head>}${PascalCase<Tail>}` : Capital<S>;

/** The first part of the name of a family's procedure. */
export type RouteOf<F extends string> = F extends `${infer Head}.${string}` ? Head : F;
/** The last part of the name of a family's procedure. */
export type EventProcedureOf<F extends string> = F extends `${string}.${infer Tail}` ? `on${PascalCase<Tail>}` : 'onEvent';
