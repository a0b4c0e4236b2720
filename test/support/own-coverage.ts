/**
 * Loaded before each test file when coverage is measured: what a test starts records none of its own. A process that is killed while it writes its
 * record down leaves half a file, and the runner then reports nothing at all; one that is measured would be slowed down by it.
 */
if (process.env['NODE_TEST_CONTEXT'] !== undefined) {
  delete process.env['NODE_V8_COVERAGE'];
}
