/** What `courier state` takes. Its work is in `state.ts` and `state-watch.ts`. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { conditionOf, type Where } from './conditions.ts';
import type { ConnectionOptions } from './connection.ts';
import { rebuildState, type StateOptions, state } from './state.ts';
import { watchState } from './state-watch.ts';

/** Options that several commands have. */
interface Shared {
  readonly json: Option;
  readonly url: Option;
  readonly token: Option;
}

/** Separated by commas, or given again and again. */
function list(value: string, before: readonly string[] = []): string[] {
  return [...before, ...value.split(',')];
}

/** As it stands, given again and again. */
function given(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

function pageSize(value: string): number {
  if (!/^[1-9]\d{0,3}$/.test(value) || Number(value) > 1000) throw new InvalidArgumentError('give a whole number from 1 to 1000.');
  return Number(value);
}

function condition(value: string, before?: Where): Where {
  const read = conditionOf(value, before);
  if (read === undefined) throw new InvalidArgumentError('give a field and what it is to be, such as state.symbol=SPX.');
  return read;
}

/** @param pattern one that the contract has, for examples. */
export function addStateCommand(program: Command, { json, url, token }: Shared, pattern: string): void {
  const command = program
    .command('state')
    .description('show what things are now, as the events of channels made them: orders, positions, jobs')
    // Else the options of `rebuild` would be taken for its own.
    .enablePositionalOptions()
    .argument('<channels>', 'channels and patterns, separated by commas')
    .argument('[entities...]', 'of which entities; of all when absent', list)
    .addOption(new Option('--open', 'only what goes on').conflicts('closed'))
    .option('--closed', 'only what has ended')
    .addOption(
      new Option(
        '--key <keys>',
        'only things with this key, or one of several, separated by commas; given again, each is one key as it stands, with its commas',
      ).argParser(given),
    )
    .addOption(
      new Option(
        '--where <field=value>',
        'only where a field has this value, or one of several, separated by commas or given again; of several fields, all must hold',
      ).argParser(condition),
    )
    .addOption(new Option('--limit <count>', 'items in a page, 1000 at most; 100 when absent').argParser(pageSize).conflicts('watch'))
    .addOption(new Option('--all', 'page after page, to the end').conflicts('watch'))
    .option('--watch', 'and what becomes of it: a table that is drawn anew on a terminal, else a line for each change')
    .addOption(json)
    .addOption(url)
    .addOption(token)
    .addHelpText('after', `\nExamples:\n  courier state '${pattern}' --open\n  courier state '**' --watch\n  courier state rebuild ENTITY`)
    .action((channels: string, entities: string[], { watch, ...options }: StateOptions & { watch?: boolean }) =>
      watch ? watchState(channels, entities, options) : state(channels, entities, options),
    );

  command
    .command('rebuild')
    .description("make an entity's states anew of the log, while what is there is served; for admins")
    .argument('<entity>', 'which')
    .addOption(json)
    .addOption(url)
    .addOption(token)
    .action((entity: string, _options: object, rebuild: Command) => {
      // Those that stand before `rebuild` are of `state`.
      const stray = command.options.find((option) => !rebuild.options.includes(option) && command.getOptionValue(option.attributeName()));
      if (stray !== undefined) return rebuild.error(`error: option '${stray.flags}' cannot be used with 'rebuild'`);
      return rebuildState(entity, rebuild.optsWithGlobals<ConnectionOptions & { json?: boolean }>());
    });
}
