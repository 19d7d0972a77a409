/** The command line of Courier: what the commands are called and what they take. Their work is in the files beside this one. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { ConfigError, limitsOfChannels, parseConfig, unknownVariables } from '../../src/config.ts';
import { ROLES } from '../../src/contract/admin.ts';
import { familyIn, familyPattern } from '../../src/contract/channels.ts';
import { loadContract, readConfig } from '../../src/contract-file.ts';
import type { EventType } from '../../src/contracts/lumiere/contract.ts';
import { onceThere } from '../../src/log/postgres/waiting.ts';
import { migratePostgres } from '../../src/log/postgres.ts';
import { legible } from '../../src/observe/legible.ts';
import { serve } from '../../src/serve.ts';
import { VERSION } from '../../src/version.ts';
import { defaultAddress } from './address.ts';
import { connections, revoke } from './admin.ts';
import { backup } from './backup.ts';
import type { ConnectionOptions } from './connection.ts';
import { CONTRACT_FORMATS, exportContract } from './contract.ts';
import { CHECK_HELP, checkContract } from './contract-check.ts';
import { initContract } from './contract-init.ts';
import { renewContract } from './contract-renew.ts';
import { contractUsers } from './contract-users.ts';
import { CliError, EXIT } from './errors.ts';
import { explain, isOfNames } from './explain.ts';
import { type GivenNames, meant } from './meant.ts';
import { print, tell } from './output.ts';
import { publish } from './publish.ts';
import { health, history, stats } from './read.ts';
import { variablesHelp } from './serve-help.ts';
import { addStateCommand } from './state-command.ts';
import { tail } from './tail.ts';
import { printToken } from './token.ts';
import { trace } from './trace.ts';

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

function seconds(value: string): number {
  const match = /^(0*[1-9]\d{0,5})([smhd])$/.exec(value);
  if (match === null) throw new InvalidArgumentError('give a whole number of 1 or more and s, m, h or d, such as 12h.');
  return Number(match[1]) * (UNIT_SECONDS[match[2] as string] as number);
}

/** UTF-16 units of a line of an error, at most. */
const MAX_ERROR_UNITS = 2000;

function count(value: string): number {
  if (!/^[1-9]\d{0,8}$/.test(value)) throw new InvalidArgumentError('give a whole number of 1 or more.');
  return Number(value);
}

function types(value: string): EventType[] {
  // The gateway knows which there are.
  return value.split(',') as EventType[];
}

/** The gateway's address over HTTP, without a slash at its end. */
function address(value: string): string {
  const given = URL.parse(value);
  if (given === null || !/^(http|ws)s?:$/.test(given.protocol) || `${given.username}${given.password}${given.search}${given.hash}` !== '') {
    throw new InvalidArgumentError('give an address such as http://127.0.0.1:8766 or https://host/courier.');
  }
  return `${given.protocol.replace('ws', 'http')}//${given.host}${given.pathname.replace(/\/+$/, '')}`;
}

// An empty variable counts as not set, but for a token, which was meant to be there.
for (const [name, value] of Object.entries(process.env))
  if (name.startsWith('COURIER_') && name !== 'COURIER_TOKEN' && value === '') Reflect.deleteProperty(process.env, name);

const url = new Option('--url <address>', 'the gateway; else where one of COURIER_HOST, COURIER_PORT and COURIER_BASE_PATH is')
  .env('COURIER_URL')
  .argParser(address);
const token = new Option('--token <jwt>', 'a token; in development one is signed on the spot').env('COURIER_TOKEN');
const json = new Option('--json', 'one JSON object a line');
const typeFilter = new Option('--types <list>', 'only these event types, separated by commas').argParser(types);
const after = new Option('--after <position>', 'begin after this position (the id of an event)');

const contractFile = new Option('--contract <file>', 'the file of the contract, as COURIER_CONTRACT names it').env('COURIER_CONTRACT');
const retentionDays = new Option('--retention-days <days>', 'how long events are stored: so long an earlier version needs its upcast')
  .env('COURIER_RETENTION_DAYS')
  .argParser(count)
  .default(7);
/** What help names of the contract; without it where the contract cannot be loaded, which the commands that need it say. */
const isHelp = process.argv.some((argument) => ['--help', '-h', 'help'].includes(argument));
const known = isHelp ? await loadContract(process.env['COURIER_CONTRACT']).catch(() => undefined) : undefined;
const sample = known?.sampleOf(
  [...known.types.keys()].find((type) => type.endsWith('.progress')) ?? ([...known.types.keys()][0] as string),
);
/** A pattern that the contract has, for examples. */
const family = sample && familyIn(sample.channel);
const pattern = family === undefined ? '**' : familyPattern(family);

const program = new Command('courier')
  .description('Courier, a typed event gateway.')
  .version(VERSION)
  .exitOverride()
  .configureHelp({ showGlobalOptions: true })
  // Arguments are shown as they were given: nothing in them may move the cursor, and no password or token is repeated. What is meant
  // for an address may have either anywhere.
  .configureOutput({
    outputError: (text, write) =>
      write(
        `${text
          .trimEnd()
          .replace(/(?<=^error: option '--url <address>' )(value|argument) '.*' (?=from env|is invalid)/s, '')
          .split('\n')
          .map((line) => legible(line, MAX_ERROR_UNITS))
          .join('\n')}\n`,
      ),
  })
  .addHelpText(
    'after',
    `
Exit codes: ${EXIT.ok} done, ${EXIT.failed} failed, ${EXIT.usage} wrong usage or configuration, ${EXIT.refused} the token is missing or does not allow it.`,
  );

program
  .command('serve')
  .description('run a gateway, configured by variables of the environment')
  .option('--check', 'look at the variables and the contract only, and start nothing')
  .addOption(contractFile)
  .addHelpText('after', variablesHelp)
  .action(async ({ check, contract }) => {
    const env = { ...process.env, ...(contract && { COURIER_CONTRACT: contract }) };
    if (check !== true) process.exitCode = await serve(env);
    else {
      const config = await readConfig(env);
      limitsOfChannels(config, await loadContract(config.contract));
      await print('the configuration is right');
    }
  });

program
  .command('migrate')
  .description('bring the tables of COURIER_LOG in PostgreSQL to this version, and end; `serve` does so by itself')
  .action(async () => {
    const { log: target, startMs } = parseConfig({ ...process.env, NODE_ENV: 'development' }, { unknown: 'pass-over' });
    if (target.kind !== 'postgres')
      throw new ConfigError('COURIER_LOG must be postgres://... to be migrated; other logs are when they are opened');
    const onWait = (reason: string) => tell(`PostgreSQL is away: waiting for it, up to ${startMs / 1000} s: ${reason}`);
    const ending = new AbortController();
    for (const name of ['SIGINT', 'SIGTERM'] as const)
      process.once(name, () => ending.abort(new CliError(`${name}: ended before the tables were brought to this version`)));
    const { signal } = ending;
    await print(`version ${await onceThere(() => migratePostgres(target.url, signal), { startMs, onWait, signal })}`);
  });

const against = new Option(
  '--against <file or git ref>',
  'the earlier contract, where it is not that of the merge base with origin/main, or on main each commit since the last release',
);
const contractCommand = program.command('contract').description('work on the contract: init, check, renew, export, users');

contractCommand
  .command('export')
  .description('print it: every event as subscribers get it and as publishers hand it in, and what channels carry')
  .addOption(new Option('--format <format>', 'in which form').choices(CONTRACT_FORMATS).default('json-schema'))
  .option('--output <file>', 'write it there instead')
  .addOption(contractFile)
  .action((options) => exportContract(options));

contractCommand
  .command('check')
  .description('say whether a change of the contract may go in: whom it breaks, and whether the ledger says so')
  .addOption(against)
  .addOption(contractFile)
  .addOption(retentionDays)
  .addOption(new Option('--gateway <address>', 'name whom each breaking change breaks, of those who used this gateway').argParser(address))
  .addOption(token)
  .addOption(json)
  .addHelpText('after', CHECK_HELP)
  .action((options) => checkContract(options));

contractCommand
  .command('renew')
  .description('take a change of the contract to its snapshot, which the check looks at; what breaks needs a reason')
  .addOption(against)
  .option('--breaking <why>', 'it breaks publishers or subscribers, and has to: why, for those whom it breaks')
  .addOption(contractFile)
  .addOption(retentionDays)
  .addHelpText('after', '\nExample:\n  courier contract renew --breaking "Fees have a currency from now on."')
  .action((options) => renewContract(options));

contractCommand
  .command('init')
  .description('write the start of a contract of your own')
  .argument('[file]', 'where to; nothing that is there is overwritten', 'contract.ts')
  .action((file) => initContract(file));

contractCommand
  .command('users')
  .description('show who used which types within the last 30 days, connected or not; for admins')
  .addOption(json)
  .addOption(url)
  .addOption(token)
  .action((options) => contractUsers(options));

program
  .command('token')
  .description('sign a token and print it, unless a gateway of the same configuration would refuse it')
  .requiredOption(
    '--sub <name>',
    `who: a user id, or a service${known ? ` (${[...known.services.keys()].join(', ')})` : ''}, which needs its role`,
  )
  .addOption(new Option('--role <role>', 'the role').choices(ROLES).default('user'))
  .addOption(
    new Option('--expires <time>', 'valid for so long: a number and s, m, h or d (seconds, minutes, hours, days)')
      .argParser(seconds)
      .default(3600, '1h'),
  )
  .option('--subscribe <pattern...>', 'channels it may read beyond the default of its role')
  .option('--publish <pattern...>', 'channels it may write beyond the default of its role')
  .addHelpText('after', `\nExample:\n  courier token --sub ada --subscribe "${pattern}" --expires 12h`)
  .action((options) => printToken(options));

program
  .command('publish')
  .description('publish one event, or many from a file or standard input')
  .argument('[channel]', 'where to; without it each line is a whole event with channel, type and data')
  .argument('[type]', 'the event type')
  .argument('[data]', 'its data as JSON; - or nothing reads standard input, a JSON object a line')
  .option('--file <path>', 'read lines from a file')
  .option('--correlation-id <id>', 'ties together what belongs to one piece of work')
  .option('--causation-id <id>', 'the id of the event that led to this one')
  .option('--idempotency-key <key>', 'a repeated publish with this key is stored once')
  .addOption(json)
  .addOption(url)
  .addOption(token)
  .addHelpText('after', sample ? `\nExample:\n  courier publish ${sample.channel} ${sample.type} '${JSON.stringify(sample.data)}'` : '')
  .action((channel, type, data, options) => publish(channel, type, data, options));

program
  .command('tail')
  .description('show events as they are published; resumes by itself')
  .argument('[patterns...]', 'channels and patterns: * is one segment, ** one or more', ['**'])
  .addOption(new Option('--from <where>', 'where to begin').choices(['now', 'earliest']).default('now'))
  .addOption(after)
  .addOption(typeFilter)
  .addOption(new Option('--limit <count>', 'end after so many events').argParser(count))
  .addOption(json)
  .addOption(url)
  .addOption(token)
  .addHelpText('after', `\nExample:\n  courier tail '${pattern}' global --from earliest`)
  .action((patterns, options) => tail(patterns, options));

program
  .command('history')
  .description('show what was published before')
  .argument('<patterns...>', 'channels and patterns')
  .addOption(after)
  .addOption(new Option('--newest', 'the newest first').conflicts('after'))
  .addOption(new Option('--before <position>', 'the newest first, beginning before this position').implies({ newest: true }))
  .addOption(typeFilter)
  .addOption(new Option('--limit <count>', 'events in a page, 1000 at most').argParser(count))
  .option('--all', 'page after page, to the end')
  .addOption(json)
  .addOption(url)
  .addOption(token)
  .action((patterns, options) => history(patterns, options));

program
  .command('trace')
  .description('show a piece of work as a tree: each event below the one that led to it, with its times')
  .argument('<id>', 'of any event of it, or its correlation id')
  .addOption(json)
  .addOption(url)
  .addOption(token)
  .addHelpText(
    'after',
    `
after_cause is how long after its cause an event was stored; the longest is marked. Where the tree is too deep to be indented
further, a number says how many causes stand above an event. An event whose cause is not shown stands at the left. Events that
you may not read are counted as hidden; up to 10,000 events, or 8 MiB, are read: of more the tree is partial.`,
  )
  .action((id, options) => trace(id, options));

addStateCommand(program, { json, url, token }, pattern);

for (const [name, description, run] of [
  ['stats', 'show what the gateway is doing', stats],
  ['health', 'show whether the gateway can do its work', health],
] as const) {
  program
    .command(name)
    .description(description)
    .addOption(json)
    .addOption(url)
    .addOption(token)
    .action((options: ConnectionOptions & { json?: boolean }) => run(options));
}

program
  .command('connections')
  .description('show who is connected, with which client, and how far behind; for admins')
  .option('--sub <name>', 'only those of one user or service')
  .addOption(json)
  .addOption(url)
  .addOption(token)
  .action((options) => connections(options));

program
  .command('revoke')
  .description('refuse tokens from now on, and end the connections that stand on them; for admins')
  .addOption(new Option('--sub <name>', 'every token of this name that was issued until now').conflicts('jti'))
  .addOption(new Option('--role <role>', 'with --sub: only those of this role').choices(ROLES).conflicts('jti'))
  .option('--jti <id>', 'one token, by the id that it has')
  .addOption(json)
  .addOption(url)
  .addOption(token)
  .addHelpText('after', '\nExample:\n  courier revoke --sub ada --role user')
  .action(({ sub, role, jti, ...options }, command: Command) => {
    if (sub !== undefined) return revoke({ sub, role }, options);
    if (jti !== undefined) return revoke({ jti }, options);
    return command.error('error: give --sub or --jti');
  });

program
  .command('backup')
  .description('copy a log in SQLite, beside a running gateway, to a new file here; for admins')
  .argument('<file>', 'where to; nothing that is there is overwritten')
  .option('--stopped', 'of a gateway that does not run: copy the file that COURIER_LOG names')
  .addOption(json)
  .addOption(url)
  .addOption(token)
  .addHelpText(
    'after',
    `
The copy is the log as it is at one moment; publishing goes on meanwhile. The gateway makes it beside its log, where it needs as
much room again, and sends it. It is checked, event by event, and synced before the command says that it is there. A log in
PostgreSQL is backed up with pg_dump.

Example:
  courier backup courier-$(date +%F).db`,
  )
  .action((file, options) => backup(file, options));

let connection: Partial<ConnectionOptions> = {};
let names: GivenNames = { types: [], channels: [] };
program.hook('preAction', (_program, command) => {
  if (command.options.includes(url) && command.opts()['url'] === undefined && !command.opts()['stopped'])
    command.setOptionValueWithSource('url', defaultAddress(process.env), 'default');
  const { gateway, ...given } = command.opts();
  connection = { url: gateway, ...given };
  const [channel, type] = command.processedArgs;
  if (command.name() === 'publish') names = { types: [type ?? []].flat(), channels: [channel ?? []].flat() };
  if (command.name() === 'tail' || command.name() === 'history') names = { types: given['types'] ?? [], channels: channel };
  if (command.name() === 'state') names = { types: [], channels: String(channel).split(','), entities: type };
  if (command.name() === 'rebuild') names = { types: [], channels: [], entities: [channel] };
  // A gateway refuses them; a command goes on, as a backup must not wait for somebody who knows what they were for.
  if (command.name() !== 'serve') for (const line of unknownVariables(process.env)) tell(`courier: ${line}`);
});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } else if (error instanceof ConfigError) {
    for (const problem of error.problems) tell(`courier: ${problem}`);
    process.exitCode = EXIT.usage;
  } else {
    const { message, exitCode } = explain(error, connection);
    tell(`courier: ${message}${isOfNames(error) ? await meant(connection.url ?? '', names, process.env['COURIER_CONTRACT']) : ''}`);
    process.exitCode = exitCode;
  }
}

// A contract's module may keep something open that the command has no use for.
await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
setTimeout(() => process.exit(), 1000).unref();
