/** Asks Redis' Sentinels which server is the master now. */
import { createClient, ErrorReply } from 'redis';
import { before } from '../before.ts';
import type { RedisAddress, RedisServer } from './address.ts';
import { connectionOptions } from './link.ts';
import { awayReason, SentinelError } from './trouble.ts';

/** How long one of them may take, in ms. */
const ANSWER_MS = 1000;

export class Sentinels {
  readonly #address: RedisAddress;
  /** The number of the Sentinel that is asked first next time. */
  #first: number;

  constructor(address: RedisAddress) {
    this.#address = address;
    this.#first = Math.floor(Math.random() * address.servers.length);
  }

  /**
   * Asks one after another until one knows. Each time another is the first, so that one that was cut off, and has an old
   * answer, does not lead to the same wrong server for ever.
   *
   * @throws {SentinelError} when none knows; why `signal` was aborted.
   */
  async findMaster(signal: AbortSignal): Promise<RedisServer> {
    const { servers } = this.#address;
    const first = this.#first++;
    let failure: unknown;
    for (let index = 0; index < servers.length; index += 1) {
      try {
        const master = await this.#ask(servers[(first + index) % servers.length] as RedisServer, signal);
        if (master !== undefined) return master;
        failure = new SentinelError('the Sentinels know no master of this name: name it in COURIER_BROKER as they do');
      } catch (error) {
        signal.throwIfAborted();
        failure ??= refusal(error);
      }
    }
    throw failure;
  }

  /** Undefined when it does not know the name. */
  async #ask(server: RedisServer, signal: AbortSignal): Promise<RedisServer | undefined> {
    const { master = '', sentinelCredentials, tls } = this.#address;
    const client = createClient({
      ...sentinelCredentials,
      // What every Sentinel understands.
      RESP: 2,
      ...connectionOptions(server, tls, ANSWER_MS),
    });
    // What fails rejects its promise too.
    client.on('error', () => undefined);
    const ask = async () => {
      await client.connect();
      return client.sendCommand<[string, string] | null>(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', master]);
    };
    try {
      const found = await before(AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]), ask());
      return found === null ? undefined : { host: found[0], port: Number(found[1]) };
    } finally {
      client.destroy();
    }
  }
}

function refusal(error: unknown): SentinelError {
  const words =
    error instanceof ErrorReply
      ? 'the Sentinels refuse to answer: give sentinel_user and sentinel_password in COURIER_BROKER as they want them'
      : `no Sentinel can be reached (${awayReason(error)}): look at them, and at the network to them`;
  return new SentinelError(words, { cause: error });
}
