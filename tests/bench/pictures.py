#!/usr/bin/env python3
# SPDX-License-Identifier: 0BSD
"""Photographs to read: pictures.py FOLDER N writes N distinct JPEGs of 500 x 375, quality 90, as FOLDER/{a,b}/NNN.jpg. They are windows of
the photographs in $RESECT_REAL/pictures where there are some (decoding costs what photographs cost), else of drawn ones."""
import glob
import os
import random
import sys

from PIL import Image, ImageFilter

SIZE = 500, 375


def drawn(seed):
    """Clouds at three scales: about as many bits a pixel as a photograph."""
    r = random.Random(seed)
    picture = Image.new('RGB', (640, 480))
    for cells, share in ((4, 1), (40, 0.5), (320, 0.25)):
        size = cells, cells * 3 // 4
        layer = Image.frombytes('RGB', size, r.randbytes(size[0] * size[1] * 3)).resize(picture.size, Image.BICUBIC)
        picture = Image.blend(picture, layer, share)
    return picture.filter(ImageFilter.SHARPEN)


def main():
    folder, n = sys.argv[1], int(sys.argv[2])
    for name in 'ab':
        os.makedirs(os.path.join(folder, name))
    real = sorted(glob.glob(os.path.join(os.environ.get('RESECT_REAL', ''), 'pictures', '**', '*.jpg'), recursive=True))
    sources = real[:40] or range(10)
    r = random.Random(0)
    for i in range(n):
        source = sources[i % len(sources)]
        picture = Image.open(source).convert('RGB') if real else drawn(source)
        if i >= len(sources):  # another window of the same one
            x, y = r.uniform(0, 0.2), r.uniform(0, 0.2)
            w, h = picture.size
            picture = picture.crop((int(x * w), int(y * h), int((x + 0.8) * w), int((y + 0.8) * h)))
        picture.resize(SIZE, Image.BICUBIC).save(os.path.join(folder, 'ab'[i % 2], '%03d.jpg' % i), quality=90)


main()
