// SPDX-License-Identifier: 0BSD
// Runs a model in ONNX Runtime: node ort.js MODEL IN.npy OUT.npy [OUTPUT [disabled]], disabled
// being a level of graph optimisation. IN.npy may be a folder, of NAME.npy for each input; with '*'
// for OUTPUT so is OUT.npy.
const fs = require('fs');
const path = require('path');
const ort = require('onnxruntime-node');
const npy = require('./npy.js');

(async () => {
  const [model, input, output, name, level] = process.argv.slice(2);
  const session = await ort.InferenceSession.create(path.resolve(model), {intraOpNumThreads: 2, logSeverityLevel: 3, graphOptimizationLevel: level || 'all'});
  const feeds = {};
  if (fs.statSync(input).isDirectory())
    for (const each of session.inputNames) feeds[each] = npy.read(path.join(input, `${each}.npy`));
  else
    feeds[session.inputNames[0]] = npy.read(input);
  const result = await session.run(feeds);
  if (name === '*')
    for (const each of session.outputNames) npy.write(path.join(output, `${each}.npy`), result[each]);
  else
    npy.write(output, result[name || session.outputNames[0]]);
})().catch(e => {
  console.error(`ort.js: ${e.message}`);
  process.exit(1);
});
