/** Loaded into a gateway: fills most of its heap when it is told to (SIGUSR2). */
import { getHeapStatistics } from 'node:v8';

const ballast: number[][] = [];
const share = () => getHeapStatistics().used_heap_size / getHeapStatistics().heap_size_limit;

process.on('SIGUSR2', () => {
  while (share() < 0.85) ballast.push(Array.from({ length: 10_000 }, () => Math.random()));
});
