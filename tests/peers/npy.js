// SPDX-License-Identifier: 0BSD
// .npy files to and from ONNX Runtime's tensors: C order, little-endian.
const fs = require('fs');
const ort = require('onnxruntime-node');

const types = {
  '<f4': ['float32', Float32Array],
  '<f8': ['float64', Float64Array],
  '<i8': ['int64', BigInt64Array],
  '<i4': ['int32', Int32Array],
  '|u1': ['uint8', Uint8Array],
  '|i1': ['int8', Int8Array],
  '|b1': ['bool', Uint8Array],
};

exports.read = file => {
  const b = fs.readFileSync(file);
  const at = b[6] === 1 ? 10 : 12;
  const n = b[6] === 1 ? b.readUInt16LE(8) : b.readUInt32LE(8);
  const header = b.toString('latin1', at, at + n);
  const [name, make] = types[/'descr': *'([^']*)'/.exec(header)[1]];
  const dims = /'shape': *\(([^)]*)\)/.exec(header)[1].split(',').map(s => s.trim()).filter(s => s).map(Number);
  const bytes = new Uint8Array(b.subarray(at + n));
  return new ort.Tensor(name, new make(bytes.buffer, 0, dims.reduce((a, d) => a * d, 1)), dims);
};

exports.write = (file, t) => {
  const descr = Object.keys(types).find(k => types[k][0] === t.type);
  let header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${t.dims.join(', ')}${t.dims.length === 1 ? ',' : ''}), }`;
  header = header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11) + '\n';
  const head = Buffer.alloc(10);
  head.write('\x93NUMPY\x01\x00', 'latin1');
  head.writeUInt16LE(header.length, 8);
  fs.writeFileSync(file, Buffer.concat([head, Buffer.from(header), Buffer.from(t.data.buffer, t.data.byteOffset, t.data.byteLength)]));
};
