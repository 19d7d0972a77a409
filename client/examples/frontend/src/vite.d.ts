/** The gateway's address, which `vite.config.ts` defines. */
declare const COURIER_URL: string;
