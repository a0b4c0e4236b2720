/** What runs in the thread for second opinions, dist/second-opinion.mjs: judges what it is started with, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { refusedBy } from './second-opinions.ts';

parentPort?.postMessage(refusedBy(workerData));
