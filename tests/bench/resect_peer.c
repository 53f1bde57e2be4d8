/* SPDX-License-Identifier: 0BSD */
/*
 * resect as it is timed, through the public API alone:
 *
 *     resect_peer forward MODEL KERNELS PRECISION BATCH SIZE THREADS
 *     resect_peer train MODEL KERNELS PRECISION BATCH SIZE THREADS DATA [RECOMPUTE]
 *
 * A coprocess, like torch_peer.py and ort_peer.js: it makes its plan, warms up, says "ready WORDS",
 * and then answers each line "go N" with the milliseconds an image of N runs, a number each, "macs"
 * with the multiply-adds of an image, those of its first Conv among them, and "peak" with its peak
 * resident memory in MiB. It ends with its input. Training is resect_train itself, stopped between
 * steps: a step is all that it does for one, reading the data, the norm of the gradient and its
 * checks included.
 */
#include <resect/resect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { WARM = 2, STEPS = 100000 };

struct job {
        const char *path;
        resect_model *model;
        resect_kernels kernels;
        resect_precision precision;
        int64_t batch, size;
        int threads;
        uint64_t macs, first; /* an image's; the first Conv's part */
        long left; /* runs of this "go" that are still to come; negative: of the warm-up */
        double start;
};

static double
now(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

_Noreturn static void
die(const char *what, const resect_error *err)
{
        fprintf(stderr, "resect_peer: %s%s%s\n", what, err ? ": " : "", err ? err->msg : "");
        exit(2);
}

/* The next order that takes runs; false at the end of the input. Answers the others at once. */
static bool
order(struct job *j)
{
        char line[80];
        while (fgets(line, sizeof line, stdin)) {
                struct rusage r;
                if (sscanf(line, "go %ld", &j->left) == 1 && j->left > 0)
                        return true;
                if (!strcmp(line, "macs\n"))
                        printf("%llu %llu\n", (unsigned long long)j->macs,
                                (unsigned long long)j->first);
                else if (!strcmp(line, "peak\n") && getrusage(RUSAGE_SELF, &r) == 0)
                        printf("%.1f\n", (double)r.ru_maxrss / 1024);
                else
                        die("go N, macs or peak", NULL);
                fflush(stdout);
        }
        return false;
}

/* Between two runs: says how long the last one took, waits for orders when none is left, starts the
 * clock. */
static bool
lap(struct job *j, const char *what)
{
        double ms = (now() - j->start) / (double)j->batch;
        if (j->left > 0) {
                printf("%.4f%c", ms, j->left > 1 ? ' ' : '\n');
                j->left--;
        } else if (++j->left == 0) {
                printf("ready resect %s %s\n", resect_version(), what);
        }
        fflush(stdout);
        if (j->left == 0 && !order(j))
                return false;
        j->start = now();
        return true;
}

/* Counts multiply-adds; bfloat16 must be what it says: the library falls back to float where the
 * machine has none. */
static void
look_at(struct job *j, const resect_plan *p)
{
        resect_step s;
        bool bf16 = false;
        for (size_t i = 0; resect_plan_step(p, i, &s); i++) {
                bf16 = bf16 || strstr(s.kernels, "bf16");
                uint64_t macs = s.macs / (uint64_t)j->batch;
                j->macs += macs;
                if (!j->first)
                        j->first = macs;
        }
        if (j->precision == RESECT_PRECISION_BF16 && !bf16)
                die("no kernel of the plan computes in bf16 here", NULL);
}

/* Pictures of noise, the same in every run. */
static void
noise(float *x, size_t n)
{
        uint64_t state = 1;
        for (size_t i = 0; i < n; i++) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                x[i] = (float)((double)(state >> 40) / (double)(1u << 23) - 1.0);
        }
}

static resect_plan *
make_plan(struct job *j, resect_binding *in)
{
        resect_error err;
        resect_value v;
        if (!resect_model_input(j->model, 0, &v))
                die(j->path, NULL);
        in->name = v.name;
        if (!resect_tensor_make(
                    &in->tensor, RESECT_FLOAT, 4, (int64_t[]){j->batch, 3, j->size, j->size}, &err))
                die(j->path, &err);
        resect_plan_options o = {.inputs = in,
                .n_inputs = 1,
                .threads = j->threads,
                .kernels = j->kernels,
                .precision = j->precision};
        resect_plan *p = resect_plan_make(j->model, &o, &err);
        if (!p)
                die(j->path, &err);
        look_at(j, p);
        return p;
}

static void
forward(struct job *j)
{
        resect_error err;
        resect_binding in;
        resect_plan *p = make_plan(j, &in);
        resect_exec *e = resect_exec_make(p, &err);
        if (!e)
                die(j->path, &err);
        noise(in.tensor.data, (size_t)(j->batch * 3 * j->size * j->size));
        resect_tensor *out = calloc(resect_plan_output_count(p), sizeof *out);
        if (!out)
                die("out of memory", NULL);
        j->left = -WARM;
        do {
                if (!resect_exec_run(e, &in.tensor, out, &err))
                        die(j->path, &err);
        } while (lap(j, "forward"));
        free(out);
        resect_exec_free(e);
        resect_plan_free(p);
        resect_tensor_free(&in.tensor);
}

static bool
on_step(void *ctx, const resect_train_step *s)
{
        (void)s;
        return lap(ctx, "train");
}

static void
train(struct job *j, const char *path, int recompute)
{
        resect_error err;
        resect_binding in;
        resect_plan_free(make_plan(j, &in)); /* for the count alone */
        resect_tensor_free(&in.tensor);
        resect_data *d = resect_data_open(path, &(resect_data_options){0}, &err);
        if (!d)
                die(path, &err);
        size_t n = resect_data_count(d, RESECT_TRAIN),
               *list = calloc(STEPS * (size_t)j->batch, sizeof *list);
        if (!n || !list)
                die(path, NULL);
        for (size_t i = 0; i < STEPS * (size_t)j->batch;
                i++) /* one epoch of the same few pictures */
                list[i] = i % n;
        resect_train_options o;
        resect_train_defaults(&o);
        o.samples = list;
        o.n_samples = STEPS * (size_t)j->batch;
        o.epochs = 1;
        o.batch = (size_t)j->batch;
        o.no_shuffle = o.by_index = true;
        o.lr = 1e-6; /* random weights on noise: not to diverge */
        o.weight_decay = 1e-4;
        o.threads = j->threads;
        o.kernels = j->kernels;
        o.precision = j->precision;
        o.recompute = recompute;
        j->left = -WARM;
        resect_train_result result;
        if (!resect_train(j->model, d, &o, &(resect_train_events){.ctx = j, .step = on_step},
                    &result, &err) &&
                err.code != RESECT_STOPPED)
                die(j->path, &err);
        free(list);
        resect_data_free(d);
}

static int
choose(const char *word, const char *const *words)
{
        for (int i = 0; words[i]; i++)
                if (!strcmp(word, words[i]))
                        return i;
        fprintf(stderr, "resect_peer: %s is not to be had\n", word);
        exit(2);
}

int
main(int argc, char **argv)
{
        static const char *const jobs[] = {"forward", "train", NULL},
                                 *const kernels[] = {"auto", "fast", "reference", NULL},
                                 *const precisions[] = {"f32", "bf16", NULL};
        if (argc < 8)
                die("forward|train MODEL KERNELS PRECISION BATCH SIZE THREADS [DATA [RECOMPUTE]]",
                        NULL);
        resect_error err;
        int what = choose(argv[1], jobs);
        struct job j = {.path = argv[2],
                .kernels = (resect_kernels)choose(argv[3], kernels),
                .precision = (resect_precision)choose(argv[4], precisions),
                .batch = atoi(argv[5]),
                .size = atoi(argv[6]),
                .threads = atoi(argv[7])};
        if (j.batch < 1 || j.size < 1 || j.threads < 1 || (what == 1 && argc < 9))
                die("BATCH SIZE THREADS [DATA [RECOMPUTE]]", NULL);
        j.model = resect_model_read(j.path, NULL, &err);
        if (!j.model)
                die(j.path, &err);
        if (what == 0)
                forward(&j);
        else
                train(&j, argv[8], argc > 9 ? atoi(argv[9]) : 0);
        resect_model_free(j.model);
        return 0;
}
