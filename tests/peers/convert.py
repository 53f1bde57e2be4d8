# SPDX-License-Identifier: 0BSD
"""safetensors without the safetensors library, against torchvision: make DIR; check MODEL.safetensors DIR; npz FILE DIR."""
import json
import struct
import sys

import numpy as np
import torch
import torchvision


def load(path):
    with open(path, 'rb') as f:
        size, = struct.unpack('<Q', f.read(8))
        header = json.loads(f.read(size))
        data = f.read()
    header.pop('__metadata__')
    types = {'F32': '<f4', 'I64': '<i8'}
    return {k: np.frombuffer(data[slice(*v['data_offsets'])], types[v['dtype']]).reshape(v['shape']) for k, v in header.items()}


def save(path, tensors):
    header, data = {}, b''
    for k, v in tensors.items():
        raw = v.tobytes()
        header[k] = {'dtype': 'F32' if v.dtype == np.float32 else 'I64', 'shape': list(v.shape),
                     'data_offsets': [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    with open(path, 'wb') as f:
        f.write(struct.pack('<Q', len(text)) + text + data)


def network():
    torch.manual_seed(5)
    m = torchvision.models.resnet50(num_classes=6)
    for k, v in m.state_dict().items():
        if k.endswith('running_mean'):
            v.normal_(0, 0.1)
        elif k.endswith('running_var'):
            v.uniform_(0.5, 1.5)
        elif v.dim() == 1 and v.is_floating_point():
            v.uniform_(0.5, 1.0) if k.endswith('weight') else v.normal_(0, 0.1)
    return m.eval()


what, path, m = sys.argv[1], sys.argv[2], network()
if what == 'make':
    torch.manual_seed(6)
    x = torch.randn(2, 3, 224, 224)
    save(path + '/w.safetensors', {k: v.numpy() for k, v in m.state_dict().items()})
    np.save(path + '/x.npy', x.numpy())
    with torch.no_grad():
        np.save(path + '/y.npy', m(x).numpy())
elif what == 'outputs':
    want, got = np.load(sys.argv[3] + '/y.npy'), np.load(path)
    assert want.shape == got.shape and abs(want - got).max() <= 1e-4 * abs(want).max(), abs(want - got).max()
else:
    got = load(path) if what == 'safetensors' else dict(np.load(path)) if what == 'npz' else torch.load(path)
    want = m.state_dict()
    got = {k: torch.as_tensor(np.array(v)) for k, v in got.items()}
    other = torchvision.models.resnet50(num_classes=6)
    other.load_state_dict(got, strict=True)
    assert all(torch.equal(other.state_dict()[k], want[k]) for k in want if not k.endswith('tracked'))
