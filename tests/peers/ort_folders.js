// SPDX-License-Identifier: 0BSD
// Runs every DIR/CASE/model.onnx on its test_data_set_0/input_I.npy and writes output_I.npy beside them: node ort_folders.js DIR
const fs = require('fs');
const path = require('path');
const ort = require('onnxruntime-node');
const npy = require('./npy.js');

(async () => {
  const root = process.argv[2];
  for (const name of fs.readdirSync(root)) {
    const data = path.join(root, name, 'test_data_set_0');
    try {
      const session = await ort.InferenceSession.create(path.join(root, name, 'model.onnx'), {logSeverityLevel: 4});
      const feeds = {};
      session.inputNames.forEach((n, i) => (feeds[n] = npy.read(path.join(data, `input_${i}.npy`))));
      const result = await session.run(feeds);
      session.outputNames.forEach((n, i) => npy.write(path.join(data, `output_${i}.npy`), result[n]));
    } catch (e) {
      console.log(`${name}: ${String(e.message).split('\n')[0]}`);
    }
  }
})();
