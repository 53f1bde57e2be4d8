// SPDX-License-Identifier: 0BSD
// ONNX Runtime as it is timed: node ort_peer.js MODEL BATCH SIZE THREADS. A coprocess like torch_peer.py: says "ready WORDS", answers
// "go N" with the milliseconds an image of N runs and "peak" with its peak resident memory in MiB. All graph optimisations are on.
const path = require('path');
const readline = require('readline');
const ort = require('onnxruntime-node');

(async () => {
  const [model, ...numbers] = process.argv.slice(2);
  const [batch, size, threads] = numbers.map(Number);
  const session = await ort.InferenceSession.create(path.resolve(model), {
    graphOptimizationLevel: 'all', executionMode: 'sequential', intraOpNumThreads: threads, interOpNumThreads: 1, logSeverityLevel: 3,
  });
  const data = new Float32Array(batch * 3 * size * size).map(() => Math.random() * 2 - 1);
  const feeds = {[session.inputNames[0]]: new ort.Tensor('float32', data, [batch, 3, size, size])};
  for (let i = 0; i < 2; i++) await session.run(feeds);
  console.log(`ready ONNX Runtime ${ort.env.versions.node} forward f32`);
  for await (const line of readline.createInterface({input: process.stdin})) {
    const [verb, count] = line.split(' ');
    if (verb === 'go') {
      const times = [];
      for (let i = 0; i < Number(count); i++) {
        const start = process.hrtime.bigint();
        await session.run(feeds);
        times.push((Number(process.hrtime.bigint() - start) / 1e6 / batch).toFixed(4));
      }
      console.log(times.join(' '));
    } else if (verb === 'peak') {
      console.log((process.resourceUsage().maxRSS / 1024).toFixed(1));
    }
  }
})().catch(e => {
  console.error(`ort_peer.js: ${e.message}`);
  process.exit(1);
});
