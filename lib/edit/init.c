/* SPDX-License-Identifier: 0BSD */
/*
 * Fresh weights. Convolutions: He et al. 2015 (arXiv:1502.01852) in its fan-out form, a normal of
 * variance 2 / (out channels x kernel size), as the ResNet paper's code and torchvision have it.
 * Affine maps: PyTorch's default for Linear, uniform within 1 / sqrt(fan in). Element i of a tensor
 * is a pure function of (seed, the tensor's name, i).
 */
#include "edit/edit.h"

#include <math.h>

#include "base/random.h"
#include "base/threads.h"
#include "tensor/dtype.h"

enum { PIECE = 1024 };

typedef struct law {
        enum { NORMAL, UNIFORM, CONSTANT } kind;
        double scale;
        uint64_t seed, stream;
} law;

static double
draw(const law *l, uint64_t i)
{
        switch (l->kind) {
        case NORMAL:
                return l->scale * rs_normal(l->seed, l->stream, i);
        case UNIFORM:
                return l->scale * (2 * rs_uniform(l->seed, l->stream, i) - 1);
        default:
                return l->scale;
        }
}

static void
fill(const rs_surgery *s, rs_tensor *t, law l)
{
        const size_t width = t->count != 0 ? t->bytes / t->count : 0;
        unsigned char *to = (unsigned char *)(uintptr_t)t->data.data;
        const int64_t pieces = (int64_t)((t->count + PIECE - 1) / PIECE);
        const int threads = rs_threads(s->how.threads);
#pragma omp parallel for num_threads(threads) if (pieces > 1) schedule(static)
        for (int64_t p = 0; p < pieces; p++) {
                double machine[PIECE]; /* holds the elements in the machine's order, whatever their
                                          type */
                size_t from = (size_t)p * PIECE,
                       n = t->count - from < PIECE ? t->count - from : PIECE;
                for (size_t i = 0; i < n; i++)
                        rs_store(machine, t->dtype, i, draw(&l, from + i));
                rs_from_little(to + from * width, machine, t->dtype, n);
        }
}

void
rs_init_he(const rs_surgery *s, rs_tensor *t, uint64_t seed, const char *name)
{
        double fan = t->rank > 0 ? (double)t->dims[0] : 1;
        for (int i = 2; i < t->rank; i++)
                fan *= (double)t->dims[i];
        fill(s, t, (law){NORMAL, sqrt(2 / (fan > 0 ? fan : 1)), seed, rs_stream(name, 0, 0)});
}

void
rs_init_uniform(const rs_surgery *s, rs_tensor *t, uint64_t seed, const char *name, double bound)
{
        fill(s, t, (law){UNIFORM, bound, seed, rs_stream(name, 0, 0)});
}

void
rs_init_constant(const rs_surgery *s, rs_tensor *t, double value)
{
        fill(s, t, (law){CONSTANT, value, 0, 0});
}
