/** What signs in to registries: only a program that uploads has it in its environment, and nothing that is printed shows it. */
import { printable } from '../../src/errors.ts';
import { Refused } from './registry.ts';

export class Credentials {
  readonly npmToken: string;
  readonly twineUser: string;
  readonly twinePassword: string;
  readonly #secrets: readonly string[];

  /**
   * Takes them out of `env`, from which programs inherit theirs: what is built runs code of many others.
   *
   * @throws {Refused} for a token that no header can carry.
   */
  constructor(env: NodeJS.ProcessEnv) {
    const take = (name: string): string => {
      const value = env[name] ?? '';
      delete env[name];
      return value;
    };
    this.npmToken = take('NPM_TOKEN');
    this.twineUser = take('TWINE_USERNAME');
    this.twinePassword = take('TWINE_PASSWORD');
    if (!/^[\x21-\x7e]*$/.test(this.npmToken)) throw new Refused('NPM_TOKEN: has a space or a character that a token cannot have');
    const secrets = [this.npmToken, this.twinePassword, this.basic].filter((secret) => secret !== '');
    this.#secrets = secrets.flatMap((secret) => [secret, encodeURIComponent(secret)]);
  }

  /** User and password, as a header has them. */
  get basic(): string {
    return this.twineUser === '' ? '' : Buffer.from(`${this.twineUser}:${this.twinePassword}`).toString('base64');
  }

  /** Text that a registry may have a part in, as it may be printed: without secrets, and without users and parameters in addresses. */
  shown(text: string): string {
    return this.#secrets
      .reduce((rest, secret) => rest.replaceAll(secret, '…'), text)
      .replace(/\/\/[^/@\s]*@/g, '//…@')
      .replace(/(https?:\/\/[^\s?#]*)[?#]\S*/g, '$1…')
      .split('\n')
      .map(printable)
      .join('\n');
  }
}
