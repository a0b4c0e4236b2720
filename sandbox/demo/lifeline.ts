/**
 * Loaded before a child process of the demonstration: ends it when the demonstration is no more, however that ended. Standard input
 * is a pipe that nothing is written to; it closes with the process at its other end.
 */
process.stdin.once('close', () => process.kill(process.pid, 'SIGKILL'));
process.stdin.on('error', () => {});
process.stdin.resume();
// It keeps no process alive that has nothing else to do.
if ('unref' in process.stdin) {
  process.stdin.unref();
}
