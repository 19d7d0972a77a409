/** The gateway's contract, asked for once: where the gateway's becomes another, the page is to be reloaded. */
import { type UseQueryResult, useQuery } from '@tanstack/react-query';
import type { ContractDocument } from '../../../../../src/contract/document.ts';
import { GATEWAY_URL } from '../../place.ts';

export interface Contract {
  readonly document: ContractDocument;
  /** Names this contract; null where what stands between has taken the header away. */
  readonly hash: string | null;
}

export function useContract(): UseQueryResult<Contract> {
  return useQuery({ queryKey: ['contract'], queryFn: ({ signal }) => askContract(signal), staleTime: Number.POSITIVE_INFINITY });
}

async function askContract(signal: AbortSignal): Promise<Contract> {
  const response = await fetch(`${GATEWAY_URL}/contract.json`, { signal, credentials: 'omit' }).catch((cause: unknown) => {
    throw new Error('the gateway does not answer', { cause });
  });
  if (!response.ok) throw new Error(`GET /contract.json was answered with ${response.status}`);
  return { document: await response.json(), hash: response.headers.get('x-courier-contract') };
}
