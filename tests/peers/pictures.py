# SPDX-License-Identifier: 0BSD
"""Our preprocessing against PIL and torchvision: resize to the bit, decoding and crop within a fraction of a grey level."""
import ctypes as c, os, random, sys, tempfile
import numpy as np
from PIL import Image, ImageOps
import torchvision.transforms as T

try:
    lib = c.CDLL(sys.argv[1])
except OSError as e:
    if "san" in str(e):  # a sanitizer's library must be loaded first
        print("SKIP: Python cannot load a build with sanitizers")
        sys.exit(77)
    raise


class Input(c.Structure):
    _fields_ = [("channels", c.c_int), ("height", c.c_int), ("width", c.c_int), ("resize", c.c_int),
                ("mean", c.c_double * 3), ("std", c.c_double * 3), ("bgr", c.c_bool), ("nhwc", c.c_bool)]


class Error(c.Structure):
    _fields_ = [("code", c.c_int), ("msg", c.c_char * 512)]


lib.resect_picture_read.restype = c.c_bool


def ours(path, channels, height, width, resize):
    d = Input(channels, height, width, resize, (c.c_double * 3)(0, 0, 0), (c.c_double * 3)(1, 1, 1), False, False)
    out = np.zeros((channels, height, width), np.float32)
    err = Error()
    if not lib.resect_picture_read(path.encode(), c.byref(d), out.ctypes.data_as(c.c_void_p), c.byref(err)):
        raise ValueError(err.msg.decode())
    return out


def theirs(path, channels, height, width, resize):
    picture = Image.open(path).convert("RGB" if channels == 3 else "L")
    steps = [T.Resize(resize), T.CenterCrop((height, width))] if resize else [T.Resize((height, width))]
    return T.Compose(steps + [T.ToTensor()])(picture).numpy()


def compare(path, what, *wish, tolerance):
    a, b = ours(path, *wish), theirs(path, *wish)
    worst = np.abs(a - b).max() * 255
    if worst > tolerance:
        sys.exit(f"{what} {wish}: differs from PIL by up to {worst:.2f} grey levels, mean {np.abs(a - b).mean() * 255:.3f}")
    return np.abs(a - b).mean()


random.seed(5)
rng = np.random.default_rng(5)
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "x")
    for i in range(120):  # lossless in, so that only the resize and the crop are compared: not one level of difference
        w, h = random.randint(1, 90), random.randint(1, 90)
        kind = random.choice(["RGB", "L"])
        Image.fromarray(rng.integers(0, 256, (h, w, 3) if kind == "RGB" else (h, w), np.uint8)).save(path, "PNG")
        height, width = random.randint(1, 70), random.randint(1, 70)
        resize = random.choice([0, random.randint(1, 100)])
        channels = random.choice([1, 3])
        compare(path, f"{kind} {w}x{h}", channels, height, width, resize, tolerance=1e-3)
    for quality, sampling, progressive in [(95, 0, False), (80, 2, False), (60, 1, True), (30, 2, True)]:
        y, x = np.mgrid[0:333, 0:447]
        a = np.stack([127 + 120 * np.sin(x / 31), 127 + 120 * np.cos(y / 17), (x * y) % 256], 2).astype(np.uint8)
        Image.fromarray(a).save(path, "JPEG", quality=quality, subsampling=sampling, progressive=progressive)
        compare(path, f"JPEG of quality {quality}", 3, 224, 224, 256, tolerance=1)
    Image.fromarray(a).convert("CMYK").save(path, "JPEG", quality=95)
    compare(path, "CMYK JPEG", 3, 224, 224, 256, tolerance=2)
    for o in range(1, 9):  # PIL turns only when asked to
        exif = Image.Exif()
        exif[0x0112] = o
        Image.fromarray(a).save(path, "JPEG", quality=95, exif=exif)
        turned = ImageOps.exif_transpose(Image.open(path))
        other = os.path.join(folder, "turned")
        turned.save(other, "PNG")
        d = np.abs(ours(path, 3, 224, 224, 256) - theirs(other, 3, 224, 224, 256)).max() * 255
        if d > 1:
            sys.exit(f"EXIF orientation {o}: differs by up to {d:.2f} grey levels")

real = sys.argv[2] if len(sys.argv) > 2 else None
if real:
    means = []
    for top, _, names in sorted(os.walk(os.path.join(real, "pictures/hymenoptera/val"))):
        for name in sorted(names):
            means.append(compare(os.path.join(top, name), name, 3, 224, 224, 256, tolerance=1.01))
    print(f"{len(means)} real JPEGs: mean difference {np.mean(means):.6f}, of 0 .. 1, most {max(means):.6f}")
    if len(means) < 100 or max(means) > 0.004:
        sys.exit("too far from torchvision")
print("pictures agree with PIL and torchvision")
