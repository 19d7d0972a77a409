/** One making of builds at a time, with what is told of it. What failed is tried again when it is begun again. */
import { CourierError } from '../errors.ts';
import type { Logger } from '../observe/logger.ts';
import { type BuildingOptions, type BuildPart, makeBuilds } from './building.ts';

/** Events of a log that is not long. */
export const SHORT_LOG = 10_000;
/** After how long what failed is tried again, in ms. */
const RETRY_MS = 2000;

export interface BuilderOptions {
  readonly building: Omit<BuildingOptions, 'parts' | 'onLost' | 'onProgress'>;
  readonly logger: Logger;
  /** Told when something was made. */
  readonly onMade: () => void;
  /** Told of each failure that is none of the log. */
  readonly onFailure: (error: unknown) => void;
}

export class Builder {
  readonly #options: BuilderOptions;
  readonly #signal: AbortSignal;
  #making: Promise<void> | undefined;
  #ended = 0;
  #seq = 0;
  #problem: string | undefined;
  /** When what failed is tried again, by `performance.now()`. */
  #notBefore = 0;
  /** The builds whose beginning was told of. */
  #told: string | undefined;

  constructor(options: BuilderOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  /** Resolves when what is being made is made, or has failed; undefined where nothing is. */
  get making(): Promise<void> | undefined {
    return this.#making;
  }

  /** Times that something was made, or failed. */
  get ended(): number {
    return this.#ended;
  }

  /** How far what is being made has come; 0 where nothing is. */
  get seq(): number {
    return this.#seq;
  }

  /** Why nothing could be made last. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Begins, unless something is being made, or there is nothing to make. */
  begin(parts: readonly BuildPart[]): void {
    if (this.#making !== undefined) return;
    if (parts.length === 0) this.#problem = undefined;
    if (parts.length === 0 || performance.now() < this.#notBefore) return;
    this.#making = this.#make(parts).finally(() => {
      this.#making = undefined;
      this.#ended += 1;
      this.#seq = 0;
    });
  }

  async #make(parts: readonly BuildPart[]): Promise<void> {
    const { building, logger, onMade, onFailure } = this.#options;
    const tellEnd = this.#tell(parts);
    try {
      await makeBuilds(
        {
          ...building,
          parts,
          onLost: (entity, problem) => logger.warn('a stored state is lost', { entity, reason: problem }),
          onProgress: (seq) => {
            this.#seq = seq;
            this.#problem = undefined;
          },
        },
        this.#signal,
      );
      this.#problem = undefined;
      this.#told = undefined;
      tellEnd();
      onMade();
    } catch (error) {
      if (this.#signal.aborted) return;
      this.#notBefore = performance.now() + RETRY_MS;
      // The log tells of its own outages.
      const isOfLog = error instanceof CourierError;
      this.#problem = isOfLog ? error.message : 'states cannot be made of the log';
      if (!isOfLog) onFailure(error);
    }
  }

  /** What takes time, or was asked for, is told when it begins and ends. @returns to be called at the end. */
  #tell(parts: readonly BuildPart[]): () => void {
    const { logger, building } = this.#options;
    const events = building.pipeline.tail.seq - Math.min(...parts.map(({ build }) => build.seq));
    if (events <= SHORT_LOG && parts.every(({ earlier }) => earlier === undefined)) return () => undefined;
    const entities = parts.map(({ target }) => target.entity.name);
    const builds = parts.map(({ build }) => build.number).join();
    const begunAt = performance.now();
    // What failed and is tried again was told of.
    if (this.#told !== builds) logger.info('states are being made of the log', { entities, events });
    this.#told = builds;
    return () => logger.info('states were made of the log', { entities, seconds: Math.round((performance.now() - begunAt) / 1000) });
  }
}
