#!/usr/bin/env python3
# SPDX-License-Identifier: 0BSD
"""Speed, side by side with what it is measured against: bench.py [SECTION]...   (run.sh finds the parts and calls this)

Sections: convert forward train head peak files scale; without one, all of these. And ways: which of PyTorch's ways is its fastest. Every figure is a ratio within one run: resect and its peers are
coprocesses that take turns (one runs, the others are stopped by SIGSTOP, so that no idle thread of theirs spins), a round gives
one ratio, and the table shows the median of the rounds with the least and the greatest. Below 1 resect is faster; for "at least" bars
(shares, rates) more is better. A peer that is absent is skipped in so many words.

Environment: BENCH_ROUNDS (5), BENCH_THREADS (2), BENCH_KERNELS (auto), BENCH_WITH (a command to run everything under, such as
"chrt -r 1", which gives a shared machine's processors to the bench alone), BENCH_WAIT_POLICY (OMP_WAIT_POLICY for everybody; the
default, which spins for a moment and then sleeps, was as fast as "active" for all, and "passive" slower), BENCH_OUT (folder of
results.tsv, results.json and results.md).
"""
import json
import os
import platform
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from array import array

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = os.environ['RESECT_BIN']
BUILD = os.environ['RESECT_BUILD']
PYTHON = os.environ['BENCH_PYTHON']
OUT = os.environ.get('BENCH_OUT') or BUILD + '/tests/bench'
ROUNDS = int(os.environ.get('BENCH_ROUNDS', 5))
THREADS = min(int(os.environ.get('BENCH_THREADS', 2)), len(os.sched_getaffinity(0)))
KERNELS = os.environ.get('BENCH_KERNELS', 'auto')
WITH = os.environ.get('BENCH_WITH', '').split()
ENV = {key: value for key, value in os.environ.items() if not key.startswith('OMP_')}
ENV['OMP_NUM_THREADS'] = str(THREADS)
if os.environ.get('BENCH_WAIT_POLICY'):
    ENV['OMP_WAIT_POLICY'] = os.environ['BENCH_WAIT_POLICY']
if os.path.isdir(TOOLS + '/.libs'):  # not built to stay: before a tool there is libtool's shell script, which takes longer than many a tool
    TOOLS += '/.libs'
    ENV['LD_LIBRARY_PATH'] = BUILD + '/.libs'
CLASSES = 1000
rows = []
racers_seen = {}  # "PyTorch 1.13.0a0 forward bf16 eager channels-last": all that were timed


class Absent(Exception):
    """A peer, or a part of resect, that is not here; says which."""


class Racer:
    """A coprocess that answers orders, and is stopped while it has none."""

    def __init__(self, name, command):
        self.name = name
        self.log = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen(WITH + command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
                                        text=True, env=ENV)
        words = self.process.stdout.readline().split(' ', 1)
        if words[0] != 'ready':
            self.process.wait()
            self.log.seek(0)
            lines = self.log.read().strip().splitlines() or ['no answer']
            raise Absent('%s: %s' % (name, next((line for line in lines if 'Error' in line), lines[-1])))
        self.words = words[1].strip()
        racers_seen[self.words] = True
        self.process.send_signal(signal.SIGSTOP)

    def ask(self, order):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(order + '\n')
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        self.process.send_signal(signal.SIGSTOP)
        if not answer:
            raise Absent('%s: stopped answering' % self.name)
        return [float(x) for x in answer]

    def go(self, runs):
        return statistics.median(self.ask('go %d' % runs))

    def close(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait()


def resect(job, precision, batch, size=224, threads=THREADS, more=()):
    command = [BUILD + '/tests/bench/resect_peer', job, model(size), KERNELS, precision, str(batch), str(size), str(threads)]
    return Racer('resect %s' % precision, command + list(more))


def torch(job, precision, batch, *more, way=None):
    return Racer('PyTorch %s' % precision, [PYTHON, HERE + '/torch_peer.py', job, precision, str(batch), '224', str(THREADS)]
                 + ([way] if way else []) + list(more))


def ort(batch):
    """npm's package, else Python's."""
    words = [model(224), str(batch), '224', str(THREADS)]
    try:
        if not shutil.which('node'):
            raise Absent('ONNX Runtime: no node')
        return Racer('ONNX Runtime f32', ['node', HERE + '/ort_peer.js'] + words)
    except Absent as absent:
        try:
            return Racer('ONNX Runtime f32', [PYTHON, HERE + '/ort_peer.py'] + words)
        except Absent as neither:
            raise Absent('%s; %s' % (absent, neither))


def race(makers, runs, rounds=ROUNDS):
    """Starts racers by (key, function), those that can be; a dictionary of their milliseconds, round by round, and of the racers."""
    racers, times = {}, {}
    for key, make in makers:
        try:
            racers[key] = make()
            times[key] = []
            say('  %s: %s' % (key, racers[key].words))
        except Absent as absent:
            say('  SKIPPED %s' % absent)
    for _ in range(rounds):
        for key, racer in racers.items():
            times[key].append(racer.go(runs))
    return times, racers


def close(racers):
    for racer in racers.values():
        racer.close()


def say(text):
    print(text, flush=True)


def row(name, ours, theirs, unit, ratios, bar=None, least=False):
    """A line of the table. ours and theirs: lists of figures; ratios: one a round; bar: the most it may be, or the least."""
    middle = statistics.median
    r = middle(ratios)
    met = None if bar is None else (r >= bar if least else r <= bar)
    rows.append({'what': name, 'resect': middle(ours), 'peer': middle(theirs) if theirs else None, 'unit': unit, 'ratio': r,
                 'least': min(ratios), 'greatest': max(ratios), 'rounds': len(ratios), 'bar': bar,
                 'bar_is': 'at least' if least else 'at most', 'met': met})
    say('%-58s %9.2f %9s %-10s %6.2f (%.2f to %.2f) %s' % (
        name, middle(ours), '%.2f' % middle(theirs) if theirs else '', unit, r, min(ratios), max(ratios),
        '' if bar is None else '%s %.2f: %s' % ('>=' if least else '<=', bar, 'yes' if met else 'NO')))


def compare(times, a, b, name, bar=None):
    if a in times and b in times:
        row(name, times[a], times[b], 'ms/image', [x / y for x, y in zip(times[a], times[b])], bar)
    else:
        say('%-58s SKIPPED: no %s' % (name, a if a not in times else b))


def tool(*words, **more):
    return subprocess.run(WITH + [TOOLS + '/resect-' + words[0]] + list(words[1:]), check=True, env=ENV, **more)


models = {}


def model(size):
    """A fresh ResNet-101 for pictures of size x size. He's weights: activations neither vanish into denormals nor overflow."""
    if size not in models:
        models[size] = '%s/resnet101-%d.onnx' % (tmp, size)
        tool('new', 'resnet101', '--classes', str(CLASSES), '--size', str(size), '--quiet', '-o', models[size])
    return models[size]


def npy(descr, shape, data):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (descr, shape)
    head += ' ' * (63 - (len(head) + 10) % 64) + '\n'
    return b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode() + data


def noise(n, size):
    """An .npz of n pictures of noise, in two classes."""
    path = '%s/noise-%d-%d.npz' % (tmp, n, size)
    x = array('f', [(i * 7919 % 2001 - 1000) / 500 for i in range(n * 3 * size * size)])
    y = array('q', [i % 2 for i in range(n)])
    with zipfile.ZipFile(path, 'w') as z:
        z.writestr('x.npy', npy('<f4', (n, 3, size, size), x.tobytes()))
        z.writestr('y.npy', npy('<i8', (n,), y.tobytes()))
    return path


def forward():
    say('\n1, 2. Forward, ResNet-101 at 224 x 224, %d threads; a round is %d runs each' % (THREADS, 5))
    times, racers = race([('resect f32', lambda: resect('forward', 'f32', 8)), ('ONNX Runtime f32', lambda: ort(8)),
                          ('resect bf16', lambda: resect('forward', 'bf16', 8)),
                          ('PyTorch bf16', lambda: torch('forward', 'bf16', 8)),
                          ('PyTorch f32', lambda: torch('forward', 'f32', 8))], 5)
    close(racers)
    compare(times, 'resect f32', 'ONNX Runtime f32', 'forward f32, batch 8, against ONNX Runtime', 0.70)
    times1, racers = race([('resect f32', lambda: resect('forward', 'f32', 1)), ('ONNX Runtime f32', lambda: ort(1))], 15)
    close(racers)
    compare(times1, 'resect f32', 'ONNX Runtime f32', 'forward f32, batch 1, against ONNX Runtime', 0.85)
    compare(times, 'resect f32', 'PyTorch f32', 'forward f32, batch 8, against PyTorch f32')
    compare(times, 'resect bf16', 'ONNX Runtime f32', 'forward bf16, batch 8, against ONNX Runtime f32', 0.45)
    compare(times, 'resect bf16', 'PyTorch bf16', 'forward bf16, batch 8, against PyTorch bf16', 0.60)


def train():
    say('\n3. Training step: forward, cross-entropy, backward, SGD with momentum; ResNet-101, batch 8, %d threads; a round is 4 steps each'
        % THREADS)
    data = noise(16, 224)
    for precision, bar in (('f32', 0.65), ('bf16', 0.70)):
        peer, kept, again = 'PyTorch ' + precision, 'resect ' + precision, 'resect %s --recompute 2' % precision
        times, racers = race([(kept, lambda: resect('train', precision, 8, more=[data])), (peer, lambda: torch('train', precision, 8)),
                              (again, lambda: resect('train', precision, 8, more=[data, '2']))], 4)
        peaks = {key: racer.ask('peak') for key, racer in racers.items()}
        close(racers)
        for ours in (kept, again):
            name = ours[len('resect '):]
            compare(times, ours, peer, 'training step %s, batch 8, against %s' % (name, peer), bar)
            if ours in peaks and peer in peaks:
                row('memory of the step %s: peak resident, whole process' % name, peaks[ours], peaks[peer], 'MiB',
                    [peaks[ours][0] / peaks[peer][0]], 0.60)


def pictures(n):
    """n distinct JPEGs of 500 x 375 in two classes."""
    folder = '%s/pictures-%d' % (tmp, n)
    if not os.path.isdir(folder):
        done = subprocess.run([PYTHON, HERE + '/pictures.py', folder, str(n)], capture_output=True, text=True)
        if done.returncode:
            raise Absent('pictures: %s' % (done.stderr.strip().splitlines() or ['pictures.py failed'])[-1])
    return folder


def head():
    n, batch = 64, 8
    say('\n4. Head only: an epoch of %d pictures, after the first; PyTorch runs its frozen trunk without gradients, on pictures that were'
        ' decoded, resized and normalised in memory beforehand' % n)
    folder = pictures(n)
    frozen, log = tmp + '/frozen.onnx', tmp + '/head.jsonl'
    head_of = subprocess.Popen([TOOLS + '/resect-head', '--replace', '--classes', '2', '--quiet', model(224)], stdout=subprocess.PIPE,
                               env=ENV)
    tool('freeze', '--all-but-head', '--quiet', '-o', frozen, stdin=head_of.stdout)
    if head_of.wait():
        raise Absent('resect-head failed')
    peer = None
    try:
        peer = torch('head', 'f32', batch, folder, way='frozen')
    except Absent as absent:
        say('  SKIPPED %s' % absent)
    ours, theirs = [], []
    for _ in range(3):
        tool('tune', frozen, folder, '--val', '0', '--no-augment', '--epochs', '20', '--batch', str(batch), '--kernels', KERNELS, '--threads',
             str(THREADS), '--by-index', '--log', log, '--quiet', '-o', tmp + '/tuned.onnx')
        lines = [json.loads(line) for line in open(log)]
        epochs = [line['seconds'] for line in lines if 'seconds' in line]
        ours.append(1e3 * statistics.median(epochs[1:]) / n)
        if peer:
            theirs.append(peer.go(1))
    if peer:
        peer.close()
        row('head-only epoch, PyTorch over resect', ours, theirs, 'ms/image', [y / x for x, y in zip(ours, theirs)], 50, least=True)
    say('  resect: %.4f ms/image after the first epoch' % statistics.median(ours))


def peak():
    say('\n5. Share of the machine\'s FMA peak, measured in every round (the best counts), in FLOPs of direct convolution over time: forward'
        ' 2 x MACs, training 2 x (3 x MACs - those of the first Conv, whose data gradient nobody needs), whatever the kernels do instead')
    data = noise(16, 224)
    times, racers = race([('forward f32', lambda: resect('forward', 'f32', 8)), ('forward bf16', lambda: resect('forward', 'bf16', 8)),
                          ('training f32', lambda: resect('train', 'f32', 8, more=[data])),
                          ('training bf16', lambda: resect('train', 'bf16', 8, more=[data]))], 2, 0)
    best = {}
    for _ in range(ROUNDS):
        machine = json.loads(subprocess.run(WITH + [BUILD + '/tests/bench/fma_peak', str(THREADS), '0.3'], check=True, capture_output=True,
                                            text=True).stdout)
        for key in ('gflops_f32', 'gflops_bf16', 'triad_gb_per_second'):
            best[key] = max(best.get(key, 0), machine[key])
        for key, racer in racers.items():
            times[key].append(racer.go(4))
    say('  peak f32 %.0f GFLOP/s by %s, bf16 %.0f by %s; %.1f GB/s in a triad' % (
        best['gflops_f32'], machine['f32'], best['gflops_bf16'], machine['bf16'], best['triad_gb_per_second']))
    for key, bar in (('forward f32', 1.10), ('forward bf16', 0.90), ('training f32', 0.95), ('training bf16', None)):
        top = best['gflops_' + key.split()[1]]
        if key not in times or not top:
            say('%-58s SKIPPED' % ('share of the peak, ' + key))
            continue
        macs, first = racers[key].ask('macs')
        flops = 2 * macs if key.startswith('forward') else 2 * (3 * macs - first)
        rates = [flops / (ms * 1e6) for ms in times[key]]
        row('share of the peak, ' + key, rates, [top], 'GFLOP/s', [r / top for r in rates], bar, least=True)
    close(racers)


def files():
    n, batch = 500, 32
    say('\n6. resect-eval over %d JPEGs of 500 x 375 against the pure forward rate, batch %d, %d threads' % (n, batch, THREADS))
    folder, few = pictures(n), pictures(52)
    words = ['--split', 'all', '--by-index', '--batch', str(batch), '--kernels', KERNELS, '--threads', str(THREADS), '--json']
    racer = resect('forward', 'f32', batch)
    whole, steady, pure = [], [], []

    def beside(data):
        """Seconds that resect-eval ran for, and the milliseconds an image of pure runs: it is stopped after every second, for one run."""
        time.sleep(5)  # a virtual machine may give free memory back and pay for it again: every start pays
        ran, others = 0, []
        process = subprocess.Popen(WITH + [TOOLS + '/resect-eval', model(224), data] + words, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=ENV)
        ended = os.pidfd_open(process.pid)
        while True:
            start = time.monotonic()
            if not select.select([ended], [], [], 1)[0]:
                process.send_signal(signal.SIGSTOP)
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            ran += time.monotonic() - start
            if not os.WIFSTOPPED(status):
                break
            others.append(racer.go(1))
            process.send_signal(signal.SIGCONT)
        os.close(ended)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)
        return ran, others
    for _ in range(ROUNDS):
        (start, some), (many, more) = beside(few), beside(folder)
        pure.append(1e3 / statistics.mean(some + more))
        whole.append(n / many)
        steady.append((n - 52) / (many - start))
    racer.close()
    row('from files: whole command, start and report included', whole, pure, 'images/s', [a / b for a, b in zip(whole, pure)], 0.95, True)
    row('from files: pictures 53 to 500', steady, pure, 'images/s', [a / b for a, b in zip(steady, pure)], 0.95, True)


def scale():
    say('\n7. Cost: forward f32; ratio: milliseconds of a thread for 224 x 224 pixels, over those of the first line (1: cost grows as the work)')
    base = None

    def one(batch, size, threads):
        racer = resect('forward', 'f32', batch, size, threads)
        work = batch * (size / 224) ** 2
        times = [racer.go(max(1, min(8, int(8 / work)))) for _ in range(3)]
        racer.close()
        return times

    def table(name, settings):
        nonlocal base
        for batch, size, threads in settings:
            times = one(batch, size, threads)
            unit = [t / (size / 224) ** 2 * threads for t in times]  # milliseconds of a thread for 224 x 224 pixels
            base = base or statistics.median(unit)
            row('%s: batch %d, %d x %d, %d thread%s' % (name, batch, size, size, threads, 's' * (threads > 1)), times, None, 'ms/image',
                [u / base for u in unit])
    table('cost', [(8, 224, THREADS)] + [(b, 224, THREADS) for b in (1, 2, 4, 16, 32)])
    table('cost', [(8, s, THREADS) for s in (64, 112, 160, 320, 448)])
    threads, every = 1, []
    while threads < len(os.sched_getaffinity(0)):
        every.append(threads)
        threads *= 2
    table('cost', [(8, 224, t) for t in every])


def convert():
    runs = 11
    say('\nConverting a ResNet-101, against cp of its file into the same folder, in turns, %d times each. cp leaves its bytes in memory, and'
        ' resect-convert reads its own back, compares them with the source and has them on the disk before it ends: so beside the bars'
        ' there is cp with sync' % runs)
    source, copy = model(224), tmp + '/copied'
    size = os.path.getsize(source) / 2 ** 20
    formats = (('safetensors', 2), ('pth', 3), ('npz', 3))

    def seconds(*command):
        start = time.monotonic()
        subprocess.run(WITH + list(command), check=True, env=ENV)
        took = time.monotonic() - start
        os.remove(copy)
        return 1e3 * took

    def convert_to(name):
        return (TOOLS + '/resect-convert', '--quiet', '--to', name, source, '-o', copy)
    times = {key: [] for key in ('cp', 'sync') + tuple(name for name, _ in formats)}
    for turn in range(runs + 1):  # the first one warms the page cache and is not counted
        for key in times:
            command = {'cp': ('cp', source, copy), 'sync': ('sh', '-c', 'cp "$1" "$2" && sync "$2"', 'sh', source, copy)}.get(key)
            took = seconds(*(command or convert_to(key)))
            if turn:
                times[key].append(took)
    for name, bar in formats:
        row('ONNX to %s, against cp' % name, times[name], times['cp'], 'ms', [a / b for a, b in zip(times[name], times['cp'])], bar)
        row('ONNX to %s, against cp and sync' % name, times[name], times['sync'], 'ms', [a / b for a, b in zip(times[name], times['sync'])])
    for name, _ in formats:
        memory = tmp + '/memory'
        subprocess.run(['/usr/bin/time', '-f', '%M', '-o', memory] + list(convert_to(name)), check=True, env=ENV)
        os.remove(copy)
        peak_mib = int(open(memory).read().split()[-1]) / 1024
        row('memory of ONNX to %s beyond the model' % name, [peak_mib - size], [size], 'MiB', [(peak_mib - size) / 32], 1)


def ways():
    """Which of PyTorch's ways is its fastest: what FASTEST in torch_peer.py says."""
    say('\nPyTorch\'s ways, batch 8, %d threads' % THREADS)
    for job, precision, names in (('forward', 'f32', 'eager frozen'), ('forward', 'bf16', 'eager frozen autocast'),
                                  ('train', 'bf16', 'cast autocast')):
        times, racers = race([(way, lambda way=way: torch(job, precision, 8, way=way)) for way in names.split()], 3)
        close(racers)
        for way in times:
            first = times[names.split()[0]]
            row('PyTorch %s %s %s' % (job, precision, way), times[way], None, 'ms/image', [a / b for a, b in zip(times[way], first)])


SECTIONS = {'convert': convert, 'forward': forward, 'train': train, 'head': head, 'peak': peak, 'files': files, 'scale': scale, 'ways': ways}


def machine():
    about = {}
    try:
        for line in open('/proc/cpuinfo'):
            key, _, value = line.partition(':')
            about.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    wide = [f for f in ('avx2', 'avx512f', 'avx512_bf16', 'amx_bf16') if f in about.get('flags', '').split()]

    def version(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True).stdout.strip().splitlines()[0]
        except (OSError, IndexError):
            return 'absent'
    return {'cpu': '%s, family %s model %s, %s' % (about.get('model name', platform.processor()), about.get('cpu family', '?'),
                                                   about.get('model', '?'), ' '.join(wide) or 'no wide vectors'),
            'cores': os.cpu_count(), 'threads': THREADS, 'system': platform.platform(), 'resect': version(TOOLS + '/resect-run', '--version'),
            'node': version('node', '--version'), 'python': version(PYTHON, '--version'), 'kernels': KERNELS,
            'wait policy': ENV.get('OMP_WAIT_POLICY', 'default'), 'under': ' '.join(WITH) or 'nothing', 'load': os.getloadavg()[0],
            'date': time.strftime('%Y-%m-%d')}


def main():
    wanted = sys.argv[1:] or [name for name in SECTIONS if name != 'ways']
    for name in wanted:
        if name not in SECTIONS:
            sys.exit('bench.py: no section %s; there are: %s' % (name, ' '.join(SECTIONS)))
    about = machine()
    for key, value in about.items():
        say('%-12s %s' % (key, value))
    start = time.monotonic()
    broken = False
    for name in wanted:
        began = time.monotonic()
        try:
            SECTIONS[name]()
        except Absent as absent:
            say('%s SKIPPED: %s' % (name, absent))
        except subprocess.CalledProcessError as failed:
            broken = True
            say('%s BROKEN: %s' % (name, failed))
        say('  (%s: %.0f s)' % (name, time.monotonic() - began))
    os.makedirs(OUT, exist_ok=True)
    about['seconds'] = round(time.monotonic() - start)
    with open(OUT + '/results.json', 'w') as f:
        json.dump({'machine': about, 'timed': list(racers_seen), 'rows': rows}, f, indent=1)
    with open(OUT + '/results.tsv', 'w') as f:
        print('what', 'resect', 'peer', 'unit', 'ratio', 'least', 'greatest', 'bar', 'met', sep='\t', file=f)
        for r in rows:
            print(r['what'], '%.4g' % r['resect'], '' if r['peer'] is None else '%.4g' % r['peer'], r['unit'], '%.3f' % r['ratio'],
                  '%.3f' % r['least'], '%.3f' % r['greatest'], '' if r['bar'] is None else '%s %.2f' % (r['bar_is'], r['bar']),
                  {None: '', True: 'yes', False: 'no'}[r['met']], sep='\t', file=f)
    with open(OUT + '/results.md', 'w') as f:
        print('| | resect | peer | ratio | bar |\n|---|---:|---:|---:|---|', file=f)
        for r in rows:
            print('| %s | %.4g %s | %s | %.2f (%.2f to %.2f) | %s |' % (
                r['what'], r['resect'], r['unit'], '' if r['peer'] is None else '%.4g' % r['peer'], r['ratio'], r['least'], r['greatest'],
                '' if r['bar'] is None else '%s %.2f%s' % (r['bar_is'], r['bar'], '' if r['met'] else ': **missed**')), file=f)
    say('\n%d s; %s/results.tsv, results.json and, for a page, results.md' % (about['seconds'], OUT))
    return 1 if broken else 0


with tempfile.TemporaryDirectory(prefix='resect-bench.') as tmp:
    ENV['XDG_CACHE_HOME'] = tmp  # what resect chooses by timing it chooses in this run, not on a busier day
    sys.exit(main())
