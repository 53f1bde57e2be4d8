# SPDX-License-Identifier: 0BSD
"""Runs resect-convert on what hostile.py has made: hostile_run.py FOLDER LIST OTHER. Each file is listed and converted, as a file and
through a pipe. What is refused ends in status 2 with one line; all end within seconds, in memory that follows the bytes that are there
and not what they claim, with nothing run and no file made in FOLDER. Imports little: a child's memory counts from its parent's."""
import os, subprocess, sys, time

folder, listed, other = sys.argv[1:]
victim = os.path.join(folder, "victim")
before = sorted(os.listdir(folder))
out, err, made = (os.path.join(other, n) for n in ("out", "err", "made.safetensors"))
worst, failed, runs = (0, ""), 0, 0


def run(path, piped, job):
    argv = ["resect-convert", "--list", "-" if piped else path]
    if job == "convert":
        argv = ["resect-convert", "--weights", "-" if piped else path, "--to", "safetensors", "--partial", "-o", made]
        if os.path.exists(made):
            os.unlink(made)
    with open(path if piped else os.devnull, "rb") as stdin, open(out, "wb") as o, open(err, "wb") as e:
        cat = None
        if piped:  # a real pipe, not a file that happens to be standard input
            cat = subprocess.Popen(["cat"], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            stdin = cat.stdout
        start = time.time()
        p = subprocess.Popen(argv, stdin=stdin, stdout=o, stderr=e)
        if cat:
            cat.stdout.close()
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = 0
        took = time.time() - start
        if cat:
            cat.wait()
    code = os.waitstatus_to_exitcode(status)
    return code, open(err, "rb").read().decode(errors="replace"), open(out, "rb").read().decode(errors="replace"), took, usage.ru_maxrss / 1024


for line in open(listed):
    name, what = line.split()
    path = os.path.join(folder, name)
    size = os.path.getsize(path) / 2**20
    refused = {}
    for piped in (False, True):
        many = piped and name.rsplit(".", 1)[1] in ("index", "param")
        for job in ("list", "convert"):
            code, said, told, took, memory = run(path, piped, job)
            runs += 1
            worst = max(worst, (memory - 2 * size, name))
            refused[piped, job] = code == 2
            why = None
            if code not in (0, 2) or code == 0 and many:
                why = f"status {code}"
            elif code == 2 and (said.count("\n") != 1 or not said.startswith("resect-convert: ")):
                why = f"not one line: {said!r}"
            elif code == 2 and what == "fine" and not many:
                why = f"refused: {said.strip()}"
            elif code == 0 and job == "list" and what == "left" and "left out: " not in told:
                why = "nothing is said of what is in it"
            elif took > 20:
                why = f"{took:.0f} s"
            elif memory > 64 + 2 * size:
                why = f"{memory:.0f} MiB for {size:.1f} MiB"
            elif os.path.exists(victim):
                why = "code was run"
            elif sorted(os.listdir(folder)) != before:
                why = "a file was made"
            elif code == 2 and os.path.exists(made) and job == "convert":
                why = "something is left of what was refused"
            if why:
                failed += 1
                print(f"FAIL: {name}{' from a pipe' if piped else ''}, {job}: {why}")
    for piped in (False, True):
        if what == "bad" and not (refused[piped, "list"] or refused[piped, "convert"]):
            failed += 1
            print(f"FAIL: {name}{' from a pipe' if piped else ''}: neither listing nor converting refuses it")
print(f"{runs} runs; at most {worst[0]:.0f} MiB over twice the file ({worst[1]}); {failed} failed")
sys.exit(failed != 0)
