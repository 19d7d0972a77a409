/** The channel families of the platform. */
export const families = {
  strategy: { id: 'strategy_id', title: 'A strategy' },
  backtest: { id: 'backtest_id', title: 'A backtest' },
  'forge.job': { id: 'job_id', title: 'A job of the Forge' },
} as const;
