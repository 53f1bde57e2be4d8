// SPDX-License-Identifier: 0BSD
// Runs a model in ONNX Runtime: node ort.js MODEL IN.npy OUT.npy [OUTPUT [disabled]], disabled
// being a level of graph optimisation
const path = require('path');
const ort = require('onnxruntime-node');
const npy = require('./npy.js');

(async () => {
  const [model, input, output, name, level] = process.argv.slice(2);
  const session = await ort.InferenceSession.create(path.resolve(model), {intraOpNumThreads: 2, logSeverityLevel: 3, graphOptimizationLevel: level || 'all'});
  const result = await session.run({[session.inputNames[0]]: npy.read(input)});
  npy.write(output, result[name || session.outputNames[0]]);
})().catch(e => {
  console.error(`ort.js: ${e.message}`);
  process.exit(1);
});
