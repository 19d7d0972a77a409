/** The gateway's contract. The page asks for it once: after a change of the contract the user must reload the page. */
import { CONTRACT_HASH } from '@lumiere/courier-client';
import { type UseQueryResult, useQuery } from '@tanstack/react-query';
import type { ContractDocument } from '../../../../src/contract/document.ts';
import { GATEWAY_URL } from '../place.ts';

/** How often it is asked again what a reload would show, in ms. */
const LOOK_AGAIN_MS = 5000;

export interface Contract {
  readonly document: ContractDocument;
  /** The hash of the contract; null when a proxy has removed the header. */
  readonly hash: string | null;
}

export function useContract(): UseQueryResult<Contract> {
  return useQuery({ queryKey: ['contract'], queryFn: ({ signal }) => askContract(signal), staleTime: Number.POSITIVE_INFINITY });
}

/** The document; undefined until it has come. What only looks better with it need not wait. */
export function useDocument(): ContractDocument | undefined {
  return useContract().data?.document;
}

/**
 * Whether the gateway serves the contract that the client packages bring along. Programs of any other contract need what is exported
 * from it.
 */
export function useIsPackaged(): boolean {
  return useContract().data?.hash === CONTRACT_HASH;
}

/**
 * Whether a reload would show another contract than this page does. `connected` is that of the gateway that the page is connected to;
 * behind a balancer another one may answer, which still serves the contract of this page.
 */
export function useIsOutdated(connected: string | undefined): boolean {
  const shown = useContract().data?.hash ?? null;
  const isOther = shown !== null && connected !== undefined && connected !== shown;
  const served = useQuery({
    queryKey: ['served contract', connected],
    queryFn: async ({ signal }) => (await askContract(signal)).hash,
    enabled: isOther,
    refetchInterval: LOOK_AGAIN_MS,
  });
  const hash = served.data ?? shown;
  return isOther && hash !== shown;
}

async function askContract(signal: AbortSignal): Promise<Contract> {
  const response = await fetch(`${GATEWAY_URL}/contract.json`, { signal, credentials: 'omit' }).catch((cause: unknown) => {
    throw new Error('the gateway does not answer', { cause });
  });
  if (!response.ok) throw new Error(`GET /contract.json was answered with ${response.status}`);
  return { document: await response.json(), hash: response.headers.get('x-courier-contract') };
}
