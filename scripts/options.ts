/** The options of an npm script: `--help` prints them, and whatever is none of them is refused with the same text. */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

/**
 * Reads the command line; ends the process when it asks for help, or has something else in it than `options`.
 *
 * @param script as `npm run` has it.
 */
export function readOptions<T extends ParseArgsOptionsConfig>(script: string, help: string, options: T) {
  if (process.argv.includes('--help')) {
    process.stdout.write(help);
    process.exit(0);
  }
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    process.stderr.write(`${script}: ${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    return process.exit(2);
  }
}
